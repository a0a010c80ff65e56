/** The cluster's public key infrastructure: one CA, a certificate for each component, kubeconfigs, the service account key. */
import 'reflect-metadata';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';
import { systemClock } from '#base/clock.ts';
import { encodePem } from '#wire/x509/pem.ts';
import { API_SERVICE, CONTROL_PLANE, nodeAddress, nodeAddress6, nodeName } from './addresses.ts';
import type { StatePaths } from './state.ts';

x509.cryptoProvider.set(crypto);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
/** RFC 7518 section 3.3 asks for 2048 bits at least. */
const TOKEN_ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: 2048,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash: 'SHA-256',
} as const;
const DAY_MS = 86_400_000;
const LIFE_DAYS = 30;

interface Leaf {
  /** The file's name, without .crt and .key. */
  file: string;
  user: string;
  group?: string;
  names?: x509.JsonGeneralNames;
  /** Its kubeconfig is wanted, too. */
  client?: boolean;
}

const API_NAMES = ['kubernetes', 'kubernetes.default', 'kubernetes.default.svc'];
const dns = (value: string) => ({ type: 'dns', value }) as const;
const ip = (value: string) => ({ type: 'ip', value }) as const;

function leaves(nodes: number): Leaf[] {
  const numbers = Array.from({ length: nodes }, (_, at) => at + 1);
  return [
    {
      file: 'apiserver',
      user: 'kube-apiserver',
      names: [
        ...['localhost', ...API_NAMES, 'kubernetes.default.svc.cluster.local'].map(dns),
        // 127.0.0.1 is also how the host's relay is dialled.
        ...['127.0.0.1', CONTROL_PLANE, API_SERVICE].map(ip),
      ],
    },
    { file: 'apiserver-kubelet', user: 'apiserver-kubelet-client', group: 'system:masters' },
    { file: 'front-proxy', user: 'front-proxy-client' },
    { file: 'admin', user: 'admin', group: 'system:masters', client: true },
    { file: 'kube-controller-manager', user: 'system:kube-controller-manager', client: true },
    { file: 'kube-scheduler', user: 'system:kube-scheduler', client: true },
    { file: 'kube-proxy', user: 'system:kube-proxy', client: true },
    { file: 'coredns', user: 'system:coredns', client: true },
    ...numbers.map((number) => ({
      file: nodeName(number),
      user: `system:node:${nodeName(number)}`,
      group: 'system:nodes',
      names: [ip(nodeAddress(number)), ip(nodeAddress6(number)), dns(nodeName(number))],
      client: true,
    })),
  ];
}

/** Writes everything into `paths.certificates`, and NAME.kubeconfig of each client into `paths.root`. */
export async function writeCertificates(paths: StatePaths, nodes: number): Promise<void> {
  const write = (name: string, text: string) =>
    writeFileSync(join(paths.certificates, name), text, { mode: 0o600 });
  const authority = await makeKeys();
  const validity = validFrom(systemClock.wallTime());
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    ...validity,
    name: 'CN=tulle-test-cluster',
    keys: authority,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(authority.publicKey),
    ],
  });
  const rootPem = root.toString('pem');
  write('ca.crt', rootPem);
  write('ca.key', await privatePem(authority.privateKey));
  for (const leaf of leaves(nodes)) {
    const keys = await makeKeys();
    const certificate = await x509.X509CertificateGenerator.create({
      ...validity,
      subject: [...(leaf.group === undefined ? [] : [{ O: [leaf.group] }]), { CN: [leaf.user] }],
      issuer: root.subject,
      publicKey: keys.publicKey,
      signingKey: authority.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        await x509.AuthorityKeyIdentifierExtension.create(root),
        ...(leaf.names === undefined ? [] : [new x509.SubjectAlternativeNameExtension(leaf.names)]),
      ],
    });
    const pair = { cert: certificate.toString('pem'), key: await privatePem(keys.privateKey) };
    write(`${leaf.file}.crt`, pair.cert);
    write(`${leaf.file}.key`, pair.key);
    if (leaf.client !== true) continue;
    const path = join(paths.root, `${leaf.file}.kubeconfig`);
    writeKubeconfig(path, { server: `https://${CONTROL_PLANE}:6443`, rootPem, ...pair });
    if (leaf.file === 'admin') write('admin.json', JSON.stringify({ rootPem, ...pair }));
  }
  const tokenKeys = await crypto.subtle.generateKey(TOKEN_ALGORITHM, true, ['sign', 'verify']);
  write('service-account.key', await privatePem(tokenKeys.privateKey));
  const spki = new Uint8Array(await crypto.subtle.exportKey('spki', tokenKeys.publicKey));
  write('service-account.pub', encodePem('PUBLIC KEY', spki));
}

export interface ClientAccess {
  server: string;
  rootPem: string;
  cert: string;
  key: string;
}

/** JSON, which is YAML as well. */
export function writeKubeconfig(path: string, { server, rootPem, cert, key }: ClientAccess): void {
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'tulle-test',
    contexts: [{ name: 'tulle-test', context: { cluster: 'tulle-test', user: 'tulle-test' } }],
    clusters: [
      { name: 'tulle-test', cluster: { server, 'certificate-authority-data': base64(rootPem) } },
    ],
    users: [
      {
        name: 'tulle-test',
        user: { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) },
      },
    ],
  };
  writeFileSync(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

/** A little in the past: the machine's clock may be set back by its host. */
function validFrom(nowMs: number) {
  return {
    notBefore: new Date(nowMs - DAY_MS),
    notAfter: new Date(nowMs + LIFE_DAYS * DAY_MS),
  };
}

const makeKeys = () => crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

async function privatePem(key: CryptoKey): Promise<string> {
  return encodePem('PRIVATE KEY', new Uint8Array(await crypto.subtle.exportKey('pkcs8', key)));
}
