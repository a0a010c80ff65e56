/** Certificates that files name and do not hold: nobody keeps keys beside manifests. One self-signed pair stands for all of them. */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { namespaceOf } from '#control/derive/mesh.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { bitString, element, oid, sequence, TAG } from '#wire/x509/der.ts';

interface Ref {
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
}
interface Listener {
  readonly tls?: { readonly certificateRefs?: readonly Ref[] };
}
interface Referring extends KubeObject {
  readonly spec?: {
    readonly listeners?: readonly Listener[];
    readonly tls?: { readonly frontend?: unknown };
    readonly validation?: { readonly caCertificateRefs?: readonly Ref[] };
  };
}

/** The Secrets and ConfigMaps that Gateways, ListenerSets and BackendTLSPolicies of the files name and that are not among them. */
export function missingMaterials(objects: readonly KubeObject[]): KubeObject[] {
  const known = new Set(
    objects.map((each) => `${each.kind} ${namespaceOf(each)}/${each.metadata.name}`),
  );
  const made: KubeObject[] = [];
  for (const object of objects as readonly Referring[]) {
    for (const ref of refsOf(object)) {
      const kind = ref.kind === 'ConfigMap' ? 'ConfigMap' : 'Secret';
      const namespace = ref.namespace ?? namespaceOf(object);
      const key = `${kind} ${namespace}/${ref.name}`;
      if (ref.name === undefined || known.has(key)) continue;
      known.add(key);
      made.push(material(kind, namespace, ref.name));
    }
  }
  return made;
}

function refsOf({ kind, spec }: Referring): readonly Ref[] {
  if (kind === 'BackendTLSPolicy') {
    return (spec?.validation?.caCertificateRefs ?? []).map((ref) => ({
      kind: 'ConfigMap',
      ...ref,
    }));
  }
  if (kind !== 'Gateway' && kind !== 'ListenerSet') return [];
  const own = (spec?.listeners ?? []).flatMap((each) => each.tls?.certificateRefs ?? []);
  return [...own, ...caRefs(spec?.tls?.frontend)];
}

/** Wherever they stand below `tls.frontend`: by default or by port. */
function caRefs(value: unknown): Ref[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap(caRefs);
  return Object.entries(value).flatMap(([name, each]) =>
    name === 'caCertificateRefs' ? (each as Ref[]) : caRefs(each),
  );
}

/** A Secret with a certificate of that name. */
export function materialNamed(namespace: string, name: string): KubeObject {
  return material('Secret', namespace, name);
}

function material(kind: 'Secret' | 'ConfigMap', namespace: string, name: string): KubeObject {
  pair ??= makePair();
  const { certificate, key } = pair;
  const encode = (text: string) =>
    kind === 'Secret' ? Buffer.from(text).toString('base64') : text;
  const data = {
    'ca.crt': encode(certificate),
    ...(kind === 'Secret' && { 'tls.crt': encode(certificate), 'tls.key': encode(key) }),
  };
  return { apiVersion: 'v1', kind, metadata: { namespace, name }, data } as KubeObject;
}

let pair: { certificate: string; key: string } | undefined;

/** RFC 5280 §4.1, version 1: no name, no extensions, valid from 2000 to 2049. */
function makePair(): { certificate: string; key: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const algorithm = sequence(oid('1.2.840.10045.4.3.2'));
  const time = (text: string) => element(UTC_TIME, new TextEncoder().encode(text));
  const validity = sequence(time('000101000000Z'), time('491231235959Z'));
  const serial = element(TAG.integer, new Uint8Array([1]));
  const signed = sequence(serial, algorithm, sequence(), validity, sequence(), publicKey);
  const signature = sign('sha256', signed, createPrivateKey(privateKey));
  const der = Buffer.from(sequence(signed, algorithm, bitString(signature)));
  const lines = der.toString('base64').replace(/.{64}/g, '$&\n');
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey,
  };
}

const UTC_TIME = 0x17;
