/**
 * Enrolment on a real Kubernetes: the CNI plugin that the node proxy installs, pods that run already and pods that come,
 * everything that takes the plugin or the agent away for a while, and the way back to a node without the mesh.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { APP_IMAGE, type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';
import { packetsOf } from '#test/kube/packets.ts';
import { eventually, ROOT, run } from '#test/support/lab.ts';

const why = missingCluster(['tcpdump', 'nft', 'nsenter', 'pgrep']);

const NODES = ['n1', 'n2'];
const MODE = 'istio.io/dataplane-mode';
const CONF_DIR = '/etc/cni/net.d';
const START_MS = 900_000; // the first on a machine builds Kubernetes
const MARKER = 'read-by-nobody';
const PLAIN = { hbone: false, readable: true };
/** For what takes seconds on a quiet machine. */
const WAIT_MS = 180_000;

const container = (name: string, ...command: string[]) => ({
  name,
  image: APP_IMAGE,
  imagePullPolicy: 'Never',
  command,
});
const READY = { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1, failureThreshold: 2 };
const server = { ...container('app', 'app', 'http', ':8080'), readinessProbe: READY };
const pod = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop' },
  spec: { terminationGracePeriodSeconds: 1, ...spec },
});
const SHOP = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
  ...NODES.map((nodeName) => ({
    ...pod(`web-${nodeName}`, { nodeName, containers: [server] }),
    metadata: { name: `web-${nodeName}`, namespace: 'shop', labels: { app: 'web' } },
  })),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  },
];
const STRICT = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'default', namespace: 'shop' },
  spec: { mtls: { mode: 'STRICT' } },
};
/** Its first process already speaks to a server that takes nothing but mutual TLS; one try. */
const JOB = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name: 'job', namespace: 'shop' },
  spec: {
    backoffLimit: 0,
    template: {
      spec: {
        restartPolicy: 'Never',
        initContainers: [
          container('first', 'app', 'get', 'http://web/first'),
          {
            ...container('sidecar', 'app', 'http', ':9090'),
            restartPolicy: 'Always',
            startupProbe: { httpGet: { path: '/', port: 9090 }, periodSeconds: 1 },
          },
        ],
        containers: [container('main', 'app', 'get', 'http://web/main')],
      },
    },
  },
};

describe.skipIf(why !== undefined)('enrolment on Kubernetes', () => {
  let cluster: KubeCluster;
  let home: string;
  const original = new Map<string, string>();

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
  const onNode = async (node: string, ...words: string[]) =>
    (await cluster.inNode(node, words)).stdout;
  const redirection = (name: string) =>
    kubectl(
      ...['get', 'pod', name, '-n', 'shop', '-o'],
      'jsonpath={.metadata.annotations.ambient\\.istio\\.io/redirection}',
    );
  const captured = (...names: string[]) =>
    eventually(
      `${names} captured`,
      async () =>
        (await Promise.all(names.map(redirection))).every((is) => is === 'enabled') || undefined,
      WAIT_MS,
    );
  const plain = (...names: string[]) =>
    eventually(
      `${names} plain`,
      async () => (await Promise.all(names.map(redirection))).every((is) => is === '') || undefined,
      WAIT_MS,
    );
  const ready = (...names: string[]) =>
    kubectl(
      'wait',
      '-n',
      'shop',
      '--for=condition=Ready',
      '--timeout=120s',
      ...names.map((name) => `pod/${name}`),
    );
  const get = (from: string, path: string) =>
    kubectl('exec', '-n', 'shop', from, '--', 'app', 'get', `http://web${path}`);
  const conflist = (node: string) => onNode(node, 'sh', '-c', `cat ${CONF_DIR}/*.conf*`);
  const installedOn = (node: string) =>
    eventually(
      `the plugin on ${node}`,
      async () => (await conflist(node)).includes('tulle-cni') || undefined,
      WAIT_MS,
    );
  const proxyOf = async (node: string) =>
    (await onNode(node, 'pgrep', '-f', 'tulle role node')).trim().split('\n').at(-1) ?? '';

  /** What pods of the first node send to pods of the second while the work runs. */
  async function onTheWire(work: () => Promise<unknown>) {
    const between = 'src net 198.18.1.0/24 and dst net 198.18.2.0/24';
    const seen = await packetsOf(cluster, 'n1', between, work);
    return { hbone: seen.includes('.15008: '), readable: seen.includes(MARKER) };
  }

  /** A request from each pod to the service until told; says how many, and each that failed. */
  async function traffic(from: string) {
    const loop =
      'i=0; while [ ! -e /tmp/stop ]; do app get http://web/load >/tmp/said || cat /tmp/said; i=$((i+1)); done; rm /tmp/stop; echo requests $i';
    const running = cluster.kubectl(['exec', '-n', 'shop', from, '--', 'sh', '-c', loop]);
    return async () => {
      await kubectl('exec', '-n', 'shop', from, '--', 'touch', '/tmp/stop');
      return (await running).stdout.trim().split('\n');
    };
  }

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'tulle-kube-enrol-'));
    const archive = join(home, 'tulle.tar');
    const [started, built] = await Promise.all([
      startCluster({ name: `enrol-${process.pid}`, nodes: 2 }),
      run(['node', 'tools/run.mjs', 'image', '--out', archive]),
    ]);
    cluster = started;
    if (built.status !== 0) throw new Error(built.stderr);
    await cluster.loadImage(archive);
    for (const node of NODES) original.set(node, await conflist(node));
    await apply(...SHOP);
    await ready('web-n1', 'web-n2');
    await kubectl('taint', 'node', 'n2', 'tulle.dev/not-ready=:NoSchedule');
    const installed = await run([join(ROOT, 'tulle'), 'install', '--timeout', '180s'], {
      env: { TULLE_HOME: home, KUBECONFIG: cluster.kubeconfig },
    });
    if (installed.status !== 0) throw new Error(installed.stderr);
  }, START_MS);

  afterAll(async () => {
    await cluster?.down();
    rmSync(home, { recursive: true, force: true });
  }, WAIT_MS);

  test(
    'the plugin is installed on every node, and the startup taint is gone',
    async () => {
      for (const node of NODES) {
        await installedOn(node);
        expect(await onNode(node, 'ls', '/opt/cni/bin')).toContain('tulle-cni');
      }
      await eventually(
        'no taint',
        async () =>
          (await kubectl('get', 'node', 'n2', '-o', 'jsonpath={.spec.taints}')) === '' || undefined,
      );
    },
    WAIT_MS,
  );

  test(
    'pods that run already are captured by a label, without a restart and with their probes',
    async () => {
      expect(await onTheWire(ask)).toEqual(PLAIN);
      await kubectl('label', 'namespace', 'shop', `${MODE}=ambient`);
      await captured('web-n1', 'web-n2');
      await apply(STRICT);
      expect(await onTheWire(ask)).toEqual({ hbone: true, readable: false });
      const restarts = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}';
      expect(await kubectl('get', 'pods', '-n', 'shop', '-o', restarts)).toBe('0 0');
      await ready('web-n1', 'web-n2');
    },
    WAIT_MS,
  );

  /** From the pod on the first node to the one on the second. */
  async function ask() {
    const address = await kubectl(
      ...['get', 'pod', 'web-n2', '-n', 'shop', '-o', 'jsonpath={.status.podIP}'],
    );
    const url = `http://${address}:8080/${MARKER}`;
    expect(await kubectl('exec', '-n', 'shop', 'web-n1', '--', 'app', 'get', url)).toContain(
      '200 ',
    );
  }

  test(
    'a new pod is captured before its first process: a Job with init containers completes',
    async () => {
      await apply(JOB);
      await kubectl('wait', '-n', 'shop', 'job/job', '--for=condition=Complete', '--timeout=120s');
    },
    WAIT_MS,
  );

  test(
    'opted out and host network pods are left alone, and start without waiting',
    async () => {
      const out = pod('out', { containers: [server] });
      await apply(
        { ...out, metadata: { ...out.metadata, labels: { [MODE]: 'none' } } },
        pod('host', { hostNetwork: true, containers: [container('app', 'app', 'pause')] }),
      );
      await ready('out', 'host');
      expect([await redirection('out'), await redirection('host')]).toEqual(['', '']);
      await kubectl('delete', 'pod', '-n', 'shop', 'out', 'host', '--wait=false');
    },
    WAIT_MS,
  );

  test(
    'a conflist that somebody rewrites is repaired; a pod that started meanwhile is captured as it runs',
    async () => {
      const proxy = await proxyOf('n1');
      await onNode('n1', 'kill', '-STOP', proxy);
      const [file] = (await onNode('n1', 'sh', '-c', `ls ${CONF_DIR}/*.conf*`)).split('\n');
      await cluster.inNode('n1', ['sh', '-c', `cat > ${file}`], { input: original.get('n1') });
      await apply(pod('meanwhile', { nodeName: 'n1', containers: [server] }));
      await ready('meanwhile');
      expect(await redirection('meanwhile')).toBe('');
      await onNode('n1', 'kill', '-CONT', proxy);
      await installedOn('n1');
      await captured('meanwhile');
      expect(await get('meanwhile', '/')).toContain('200 ');
      const metrics = await onNode('n1', 'curl', '-s', 'http://127.0.0.1:15020/metrics');
      expect(metrics).toMatch(/tulle_capture_repairs_total\{what="CNI configuration"\} [1-9]/);
    },
    WAIT_MS,
  );

  test(
    'while the node proxy is away nothing starts uncaptured; when it is back everything goes on',
    async () => {
      await onNode('n1', 'kill', '-STOP', await proxyOf('n1'));
      await onNode('n1', 'rm', '/var/run/tulle/cni.sock');
      await apply(pod('held', { nodeName: 'n1', containers: [server] }));
      await eventually('the reason as an event', async () => {
        const events = await kubectl(
          'get',
          'events',
          '-n',
          'shop',
          '-o',
          'jsonpath={.items[*].message}',
        );
        return events.includes('shop/held must not start uncaptured') || undefined;
      });
      await onNode('n1', 'kill', '-KILL', await proxyOf('n1'));
      await ready('held');
      await captured('held', 'web-n1');
      await eventually(
        'traffic again',
        async () => (await get('held', '/')).includes('200 ') || undefined,
      );
    },
    WAIT_MS,
  );

  test(
    'without the label everything is plain again',
    async () => {
      await kubectl('label', 'namespace', 'shop', `${MODE}-`);
      await plain('web-n1', 'web-n2', 'held', 'meanwhile');
      await kubectl('delete', 'peerauthentication', 'default', '-n', 'shop');
      expect(await onTheWire(ask)).toEqual(PLAIN);
    },
    WAIT_MS,
  );

  test(
    'when the DaemonSet goes, the nodes are as before and no request fails',
    async () => {
      await kubectl('label', 'namespace', 'shop', `${MODE}=ambient`);
      await captured('web-n1', 'web-n2');
      const stop = await traffic('web-n1');
      await kubectl('delete', 'daemonset', 'ztunnel', '-n', 'istio-system');
      await kubectl(
        'wait',
        'pod',
        '-l',
        'app=ztunnel',
        '-n',
        'istio-system',
        '--for=delete',
        '--timeout=120s',
      );
      await plain('web-n1', 'web-n2');
      const lines = await stop();
      expect(lines).toEqual([expect.stringMatching(/^requests [1-9][0-9]/)]);
      for (const node of NODES) {
        expect(await conflist(node)).toBe(original.get(node) ?? '');
        expect(await onNode(node, 'ls', CONF_DIR, '/opt/cni/bin', '/var/run/tulle')).not.toMatch(
          /tulle-cni|saved|sock/,
        );
        const rules = `nft list ruleset; for n in /run/netns/*; do nsenter --net=$n nft list ruleset; done`;
        expect(await onNode(node, 'sh', '-c', rules)).not.toContain('istio-ambient');
      }
      await apply(pod('after', { nodeName: 'n1', containers: [server] }));
      await ready('after');
    },
    2 * WAIT_MS,
  );
});
