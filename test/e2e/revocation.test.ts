/** Revocation lists in ConfigMap istio-ca-crl: every proxy of the mesh mounts it, and a workload whose certificate is listed is nobody's peer. */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';
import { TRAFFIC_SERVER } from '#test/support/traffic/traffic.ts';
import { decodePem, encodePem } from '#wire/x509/pem.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS }) !== undefined;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const SERVER = 'spiffe://cluster.local/ns/vault/sa/server';
const OBJECTS = `
apiVersion: v1
kind: Namespace
metadata: {name: vault, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: server, namespace: vault}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: waypoint, namespace: vault}
spec:
  gatewayClassName: istio-waypoint
  listeners: [{name: mesh, port: 15008, protocol: HBONE}]
---
apiVersion: v1
kind: Service
metadata: {name: direct, namespace: vault}
spec:
  selector: {app: server}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: judged, namespace: vault, labels: {istio.io/use-waypoint: waypoint}}
spec:
  selector: {app: server}
  ports: [{name: http, port: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: vault, labels: {app: server}}
spec:
  nodeName: node1
  serviceAccountName: server
  containers: [{name: app, image: host, command: ${JSON.stringify(TRAFFIC_SERVER)}}]
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: vault}
spec:
  nodeName: node2
  containers: [{name: app, image: host, command: [sleep, infinity]}]
`;

let lab: TestLab;

beforeAll(async () => {
  if (skip) return;
  lab = await startLab([]);
  expect((await lab.apply(OBJECTS)).stderr).toBe('');
}, 90_000);

afterAll(async () => {
  await lab?.down();
});

const said = async (service: string) => {
  const url = `http://${service}:8080/`;
  const words = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-m', '5', url];
  return (await lab.tulle('exec', '-n', 'vault', 'client', '--', ...words)).stdout;
};

const bothSay = (direct: string, judged: string) =>
  eventually(`${direct} from the server and ${judged} from its waypoint`, async () =>
    (await said('direct')) === direct && (await said('judged')) === judged ? true : undefined,
  );

async function tellLists(pem: string): Promise<void> {
  for (const namespace of ['istio-system', 'vault']) {
    const metadata = { name: 'istio-ca-crl', namespace };
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'ca-crl.pem': pem } };
    expect((await lab.apply(JSON.stringify(map))).status).toBe(0);
  }
}

/** Signed by the root of the mesh. */
async function listOf(serialNumber: string): Promise<string> {
  const secret = await lab.kubectl(
    'get',
    'secret',
    'istio-ca-secret',
    '-n',
    'istio-system',
    '-o',
    'json',
  );
  const { data } = JSON.parse(secret.stdout) as { data: Record<string, string> };
  const text = (key: string) => Buffer.from(data[key], 'base64').toString();
  const [key] = decodePem('PRIVATE KEY', text('ca-key.pem'));
  const list = await x509.X509CrlGenerator.create({
    issuer: new x509.X509Certificate(text('ca-cert.pem')).subjectName.toString(),
    signingAlgorithm: ALGORITHM,
    signingKey: await crypto.subtle.importKey('pkcs8', new Uint8Array(key), ALGORITHM, false, [
      'sign',
    ]),
    entries: [{ serialNumber, revocationDate: new Date() }],
  });
  return encodePem('X509 CRL', new Uint8Array(list.rawData));
}

test.skipIf(skip)(
  'a workload whose certificate is listed is refused by node proxies and waypoints, and taken again when the list is empty',
  async () => {
    await bothSay('200', '200');
    const { stdout } = await lab.tulle('proxy', 'certs', 'node1', '-o', 'json');
    const rows = JSON.parse(stdout) as { identity: string; serial: string }[];
    const serial = rows.find(({ identity }) => identity === SERVER)?.serial ?? '';
    expect(serial).not.toBe('');

    await tellLists(await listOf(serial));
    await bothSay('000', '503');
    const metrics = ['curl', '-s', 'http://127.0.0.1:15020/metrics'];
    const counted = await lab.tulle('exec', '-n', 'vault', 'deploy/waypoint', '--', ...metrics);
    expect(counted.stdout).toMatch(/istio_crl_policy_rejections_total\{reporter="source"\} [1-9]/);

    await tellLists('');
    await bothSay('200', '200');
  },
  120_000,
);
