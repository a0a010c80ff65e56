/**
 * A Kubernetes of both address families: pods and Services with IPv4 and IPv6 addresses and one Service with IPv6 alone, in the mesh. What
 * holds for the one family holds for the other: mutual TLS on the wire, STRICT, waypoints. Nodes and pods are known by their IPv6 addresses,
 * and so probed there; the other campaigns have IPv4.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APP_IMAGE, type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';
import { packetsOf } from '#test/kube/packets.ts';
import { eventually, ROOT, run } from '#test/support/lab.ts';

const why = missingCluster(['tcpdump']);

const START_MS = 900_000; // the first on a machine builds Kubernetes
/** For what takes seconds on a quiet machine. */
const WAIT_MS = 180_000;
const MARKER = 'read-by-nobody';
const TOLD = 'by-the-waypoint';

const pod = (name: string, namespace: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: { terminationGracePeriodSeconds: 1, ...spec },
});
const container = (...words: string[]) => ({
  name: 'app',
  image: APP_IMAGE,
  imagePullPolicy: 'Never',
  command: ['app', ...words],
});
const service = (name: string, families: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop' },
  spec: {
    ...families,
    selector: { app: 'web' },
    ports: [{ name: 'http', port: 80, targetPort: 8080 }],
  },
});
const SHOP = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
  },
  pod('client', 'shop', { nodeName: 'n1', containers: [container('pause')] }),
  pod('outsider', 'default', { nodeName: 'n1', containers: [container('pause')] }),
  pod('web', 'shop', {
    nodeName: 'n2',
    containers: [
      {
        ...container('http', ':8080'),
        readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1 },
      },
    ],
  }),
  service('web', { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] }),
  service('web6', { ipFamilyPolicy: 'SingleStack', ipFamilies: ['IPv6'] }),
];
const STRICT = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'default', namespace: 'shop' },
  spec: { mtls: { mode: 'STRICT' } },
};
const WAYPOINT = [
  {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: {
      name: 'waypoint',
      namespace: 'shop',
      labels: { 'istio.io/waypoint-for': 'service' },
    },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }],
    },
  },
  ...['web', 'web6'].map((name) => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace: 'shop' },
    spec: {
      hosts: [name],
      http: [{ directResponse: { status: 200, body: { string: TOLD } } }],
    },
  })),
];

describe.skipIf(why !== undefined)('a mesh of both address families', () => {
  let cluster: KubeCluster;
  let home: string;
  let pods: string[];
  let services: string[];

  const kubectl = async (...args: string[]) => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const apply = async (...objects: object[]) => {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { input });
    if (code !== 0) throw new Error(stderr);
  };
  const listed = async (path: string, ...what: string[]) =>
    (await kubectl('get', '-n', 'shop', ...what, '-o', `jsonpath=${path}`)).trim().split(' ');
  /** What a request says that answers, and '' of one that has none. */
  const answer = async (namespace: string, from: string, url: string) => {
    const words = ['exec', '-n', namespace, from, '--', 'app', 'get', url];
    const { code, stdout } = await cluster.kubectl(words);
    return code === 0 ? stdout : '';
  };
  const inMesh = (url: string) => answer('shop', 'client', url);
  const outside = (url: string) => answer('default', 'outsider', url);
  const host = (address: string) => (address.includes(':') ? `[${address}]` : address);

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'tulle-kube-dual-'));
    const archive = join(home, 'tulle.tar');
    const [started, built] = await Promise.all([
      startCluster({ name: `dual-${process.pid}`, nodes: 2, families: 'dual-ipv6-first' }),
      run(['node', 'tools/run.mjs', 'image', '--out', archive]),
    ]);
    cluster = started;
    if (built.status !== 0) throw new Error(built.stderr);
    await cluster.loadImage(archive);
    const installed = await run([join(ROOT, 'tulle'), 'install', '--timeout', '180s'], {
      env: { TULLE_HOME: home, KUBECONFIG: cluster.kubeconfig },
    });
    if (installed.status !== 0) throw new Error(installed.stderr);
    await apply(...SHOP);
    const ready = ['--for=condition=Ready', '--timeout=120s'];
    await kubectl('wait', '-n', 'shop', 'pod', '--all', ...ready);
    await kubectl('wait', 'pod/outsider', ...ready);
    pods = await listed('{.status.podIPs[*].ip}', 'pod', 'web');
    services = [
      ...(await listed('{.spec.clusterIPs[*]}', 'service', 'web')),
      ...(await listed('{.spec.clusterIPs[*]}', 'service', 'web6')),
    ];
  }, START_MS);

  afterAll(async () => {
    await cluster?.down();
    rmSync(home, { recursive: true, force: true });
  }, WAIT_MS);

  const urls = () => [
    'http://web/',
    'http://web6/',
    ...services.map((address) => `http://${host(address)}/`),
    ...pods.map((address) => `http://${host(address)}:8080/`),
  ];

  test(
    'pods and Services have both, and every address answers a pod of the mesh and one outside',
    async () => {
      const families = [...pods, ...services].map((address) => address.includes(':'));
      expect(families).toEqual([true, false, false, true, true]);
      for (const url of urls())
        expect({ url, said: await inMesh(url) }).toMatchObject(answered(url));
      for (const url of urls().slice(2))
        expect({ url, said: await outside(url) }).toMatchObject(answered(url));
    },
    WAIT_MS,
  );

  test(
    'between the nodes IPv6 carries HBONE, and nothing that can be read',
    async () => {
      const url = `http://${host(pods[0])}:8080/${MARKER}`;
      const between = 'ip6 and src net fd00:198:18:1::/64 and dst net fd00:198:18:2::/64';
      const text = await packetsOf(cluster, 'n1', between, async () =>
        expect({ url, said: await inMesh(url) }).toMatchObject(answered(url)),
      );
      expect(text).toContain('.15008: ');
      expect(text).not.toContain(MARKER);
    },
    WAIT_MS,
  );

  test(
    'STRICT refuses who comes without mutual TLS, by every address',
    async () => {
      await apply(STRICT);
      for (const url of urls().slice(2))
        await eventually(`a refusal at ${url}`, async () =>
          (await outside(url)) === '' ? true : undefined,
        );
      for (const url of urls())
        expect({ url, said: await inMesh(url) }).toMatchObject(answered(url));
    },
    WAIT_MS,
  );

  test(
    'a waypoint answers for a Service by every address of it',
    async () => {
      await apply(...WAYPOINT);
      await kubectl('label', 'namespace', 'shop', 'istio.io/use-waypoint=waypoint');
      await kubectl(
        'wait',
        '-n',
        'shop',
        'gtw/waypoint',
        '--for=condition=Programmed',
        '--timeout=120s',
      );
      for (const url of urls().slice(0, 2 + services.length))
        await eventually(`the waypoint at ${url}`, async () =>
          (await inMesh(url)).includes(TOLD) ? true : undefined,
        );
      // STRICT has been in force for longer than its probes may fail.
      await kubectl('wait', '-n', 'shop', 'pod/web', '--for=condition=Ready', '--timeout=1s');
    },
    WAIT_MS,
  );

  const answered = (url: string) => ({ url, said: expect.stringContaining('host=web') });
});
