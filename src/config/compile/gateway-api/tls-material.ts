/** Certificates, keys and roots that objects refer to: what is usable, and what is wrong with the rest. Pure. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { messageOf } from '#base/errors.ts';
import type { Fault } from './conditions.ts';
import type { Granted, Referent, Referrer } from './references.ts';
import { CONFIG_MAP, describeReferent, referentOf, SECRET } from './references.ts';

/** A Secret's `data` is base64, a ConfigMap's is text. */
export interface DataObject {
  readonly data?: Readonly<Record<string, string>>;
}

export interface TlsLookups {
  readonly secret: (key: string) => DataObject | undefined;
  readonly configMap: (key: string) => DataObject | undefined;
  readonly granted: Granted;
}

export type Resolved =
  | { readonly name: string; readonly fault?: undefined }
  | { readonly fault: Fault };

const CERTIFICATE_KEYS = [
  ['tls.crt', 'tls.key'],
  ['cert', 'key'],
] as const;
const ROOT_KEYS = ['ca.crt', 'cacert'] as const;
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/;

/** Name of a `TlsMaterial`, as Istio names secret resources (pilot/pkg/model/credentials). */
export function materialName(kind: 'Secret' | 'ConfigMap', key: string): string {
  return `${kind === 'Secret' ? 'kubernetes' : 'configmap'}://${key}`;
}

type Ref = { group?: string; kind?: string; namespace?: string; name: string };

/** A server certificate of a listener. */
export function resolveCertificate(ref: Ref, from: Referrer, lookups: TlsLookups): Resolved {
  const to = referentOf(ref, { ...SECRET, namespace: from.namespace });
  // Asked before the Secret is looked up: a status must not tell whether it exists (CWE-203; as Istio).
  const refused = notGranted(from, to, lookups);
  if (refused !== undefined) return { fault: refused };
  const invalid = (what: string): Resolved => ({
    fault: { reason: 'InvalidCertificateRef', message: `${describeReferent(to)} ${what}` },
  });
  if (to.group !== SECRET.group || to.kind !== SECRET.kind)
    return invalid(`is of group "${to.group}": only Secrets hold certificates`);
  const key = `${to.namespace}/${to.name}`;
  const secret = lookups.secret(key);
  if (secret === undefined) return invalid('does not exist');
  const problem = keyPairProblem(secret);
  return problem === undefined ? { name: materialName('Secret', key) } : invalid(problem);
}

/** Roots that client certificates are checked against. */
export function resolveRoots(ref: Ref, from: Referrer, lookups: TlsLookups): Resolved {
  const to = referentOf(ref, { ...CONFIG_MAP, namespace: from.namespace });
  const refused = notGranted(from, to, lookups);
  if (refused !== undefined) return { fault: refused };
  const kind = to.kind === 'Secret' || to.kind === 'ConfigMap' ? to.kind : undefined;
  if (to.group !== '' || kind === undefined) {
    const message = `${describeReferent(to)}: roots are kept in ConfigMaps or Secrets`;
    return { fault: { reason: 'InvalidCACertificateKind', message } };
  }
  const key = `${to.namespace}/${to.name}`;
  const object = kind === 'Secret' ? lookups.secret(key) : lookups.configMap(key);
  const problem = object === undefined ? 'does not exist' : rootsProblem(object, kind);
  if (problem === undefined) return { name: materialName(kind, key) };
  const message = `${describeReferent(to)} ${problem}`;
  return { fault: { reason: 'InvalidCACertificateRef', message } };
}

function notGranted(from: Referrer, to: Referent, { granted }: TlsLookups): Fault | undefined {
  if (granted(from, to)) return undefined;
  const message = `no ReferenceGrant in ${to.namespace} lets a ${from.kind} of ${from.namespace} refer to ${to.kind} ${to.name}`;
  return { reason: 'RefNotPermitted', message };
}

/** Undefined when the Secret holds a certificate and its key. */
export function keyPairProblem({ data = {} }: DataObject): string | undefined {
  const names = CERTIFICATE_KEYS.find(([certificate]) => data[certificate] !== undefined);
  if (names === undefined) return 'has neither tls.crt nor cert';
  const [certificate, key] = names.map((name) =>
    Buffer.from(data[name] ?? '', 'base64').toString(),
  );
  if (key === '') return `has ${names[0]} without ${names[1]}`;
  try {
    const matches = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
    return matches ? undefined : `holds a key that is not its certificate's`;
  } catch (error) {
    return `holds no PEM certificate and key: ${messageOf(error)}`;
  }
}

export function rootsProblem(
  { data = {} }: DataObject,
  kind: 'Secret' | 'ConfigMap',
): string | undefined {
  const name = ROOT_KEYS.find((each) => data[each] !== undefined);
  if (name === undefined) return 'has no ca.crt';
  const text = kind === 'Secret' ? Buffer.from(data[name], 'base64').toString() : data[name];
  const first = PEM_CERTIFICATE.exec(text)?.[0];
  if (first === undefined) return `holds no PEM certificate in ${name}`;
  try {
    return new X509Certificate(first) && undefined;
  } catch (error) {
    return `holds a malformed certificate in ${name}: ${messageOf(error)}`;
  }
}
