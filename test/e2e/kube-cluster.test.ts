/**
 * The test cluster itself: a real Kubernetes with two nodes in which everything works that tests of the mesh stand on, and
 * of which nothing is left however it ends.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { processStart } from '#lab/launcher/process-identity.ts';
import { processesBelow } from '#test/kube/cgroups.ts';
import {
  APP_IMAGE,
  type KubeCluster,
  missingCluster,
  openCluster,
  stopCluster,
} from '#test/kube/cluster.ts';
import { namespacePath } from '#test/kube/network.ts';
import { type ClusterRecord, readRecord, statePaths } from '#test/kube/state.ts';
import { createTestCa } from '#test/support/certificates.ts';

const CLUSTER = join(import.meta.dir, '../kube/cluster.ts');
const NAME = `e2e-${process.pid}`;
const SYSCTLS = ['vm/overcommit_memory', 'vm/panic_on_oom', 'kernel/panic', 'kernel/panic_on_oops'];
const START_MS = 900_000; // the first on a machine builds Kubernetes
/** For what takes seconds on a quiet machine. */
const WAIT_MS = 180_000;

const why = missingCluster();

const container = (...command: string[]) => ({
  name: 'app',
  image: APP_IMAGE,
  imagePullPolicy: 'Never',
  command,
});
const QUICK = { terminationGracePeriodSeconds: 1 };
const pod = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: { ...QUICK, ...spec },
});
const service = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec,
});
const READY = { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1 };

const manifests = (tls: { cert: string; key: string }) => [
  {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'web' },
    spec: {
      selector: { matchLabels: { app: 'web' } },
      template: {
        metadata: { labels: { app: 'web' } },
        spec: {
          ...QUICK,
          containers: [{ ...container('app', 'http', ':8080'), readinessProbe: READY }],
        },
      },
    },
  },
  service('web', { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] }),
  service('balanced', {
    type: 'LoadBalancer',
    selector: { app: 'web' },
    ports: [{ port: 80, targetPort: 8080 }],
  }),
  pod('client', { nodeName: 'n1', containers: [container('sleep', '100000')] }),
  pod('host-client', {
    nodeName: 'n2',
    hostNetwork: true,
    dnsPolicy: 'ClusterFirstWithHostNet',
    containers: [container('sleep', '100000')],
  }),
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'refuse' },
    stringData: { 'tls.crt': tls.cert, 'tls.key': tls.key },
  },
  pod('refuse', {
    nodeName: 'n2',
    containers: [
      {
        ...container('app', 'admit', ':8443', '/tls/tls.crt', '/tls/tls.key'),
        volumeMounts: [{ name: 'tls', mountPath: '/tls' }],
        readinessProbe: { tcpSocket: { port: 8443 }, periodSeconds: 1 },
      },
    ],
    volumes: [{ name: 'tls', secret: { secretName: 'refuse' } }],
  }),
  service('refuse', { selector: { app: 'refuse' }, ports: [{ port: 443, targetPort: 8443 }] }),
];

const webhook = (caBundle: string) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingWebhookConfiguration',
  metadata: { name: 'refuse.example.com' },
  webhooks: [
    {
      name: 'refuse.example.com',
      clientConfig: { service: { name: 'refuse', namespace: 'default' }, caBundle },
      rules: [
        { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['configmaps'] },
      ],
      objectSelector: { matchLabels: { refuse: 'yes' } },
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
    },
  ],
});

/** A process that holds a cluster, to be killed. */
async function startHeld(name: string, nodes: number): Promise<Bun.Subprocess> {
  const script = `
    const { startCluster } = await import(${JSON.stringify(CLUSTER)});
    await startCluster({ name: '${name}', nodes: ${nodes}, progress: (text) => console.error(text) });
    console.log('held');
    await new Promise(() => setInterval(() => undefined, 1000));`;
  const holder = Bun.spawn([process.execPath, '-e', script], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const { value } = await holder.stdout.getReader().read();
  expect(Buffer.from(value ?? []).toString()).toBe('held\n');
  return holder;
}

interface Footprint {
  record: ClusterRecord;
  /** With their start times: the numbers may be given again. */
  processes: Map<number, string>;
}

function footprint(name: string): Footprint {
  const record = readRecord(name);
  if (record === undefined) throw new Error(`no record of ${name}`);
  const pids = [...new Set([record.pid, ...record.cgroups.flatMap(processesBelow)])];
  const starts = pids.map((pid) => [pid, processStart(pid)] as const);
  return {
    record,
    processes: new Map(starts.filter((each): each is [number, string] => each[1] !== undefined)),
  };
}

/** What is left of it, in words. */
function leftOf({ record, processes }: Footprint): string[] {
  const { name, cgroups } = record;
  const folders = [...cgroups, namespacePath(name), statePaths(name).root];
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return [
    ...folders.filter((folder) => existsSync(folder)),
    ...mounts.filter((line) => line.includes(`/${name}/`) || line.includes(`kube-${name}`)),
    ...[...processes]
      .filter(([pid, start]) => processStart(pid) === start)
      .map(([pid]) => `process ${pid}`),
  ];
}

async function until<T>(look: () => T | Promise<T>, good: (value: T) => boolean): Promise<T> {
  const deadline = systemClock.now() + WAIT_MS;
  for (;;) {
    const value = await look();
    if (good(value) || systemClock.now() > deadline) return value;
    await sleep(systemClock, 100);
  }
}

const sysctls = () => SYSCTLS.map((name) => readFileSync(`/proc/sys/${name}`, 'utf8').trim());

describe.skipIf(why !== undefined)('a test cluster', () => {
  let holder: Bun.Subprocess;
  let cluster: KubeCluster;
  const before = sysctls();
  const output = async (...args: string[]) => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    return code === 0 ? stdout.trim() : `exit ${code}: ${stdout}${stderr}`;
  };
  const inPod = (name: string, ...words: string[]) => output('exec', name, '--', ...words);
  const apply = async (...objects: object[]) => {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    return cluster.kubectl(['apply', '-f', '-'], { input });
  };
  /** Of the pod of `web` on that node. */
  const webOn = async (node: string) => {
    const query = ['get', 'pods', '-l', 'app=web', `--field-selector=spec.nodeName=${node}`];
    const [name, address] = (
      await output(...query, '-o', 'jsonpath={.items[0].metadata.name} {.items[0].status.podIP}')
    ).split(' ');
    return { name, address };
  };

  beforeAll(async () => {
    holder = await startHeld(NAME, 2);
    cluster = openCluster(NAME);
    const ca = await createTestCa();
    const identity = await ca.issue('', { dns: 'refuse.default.svc' });
    const applied = await apply(
      ...manifests({ cert: identity.certificateChain, key: identity.privateKey }),
    );
    expect(applied.stderr).toBe('');
    expect(await output('rollout', 'status', 'daemonset/web', '--timeout=120s')).toContain(
      'success',
    );
    const pods = ['pod/client', 'pod/host-client', 'pod/refuse'];
    expect(await output('wait', '--for=condition=Ready', '--timeout=120s', ...pods)).toContain(
      'pod/refuse',
    );
    const bundle = Buffer.from(ca.rootPem).toString('base64');
    expect((await apply(webhook(bundle))).stdout).toContain('created');
  }, START_MS);

  afterAll(async () => {
    holder?.kill('SIGKILL');
    await holder?.exited;
    for (const name of [NAME, `${NAME}-0`]) await stopCluster(name);
  });

  test('has two nodes of Kubernetes 1.34', async () => {
    const lines = (await output('get', 'nodes', '--no-headers')).split('\n');
    expect(lines.map((line) => line.split(/\s+/).filter((_, at) => at !== 2 && at !== 3))).toEqual([
      ['n1', 'Ready', 'v1.34.4'],
      ['n2', 'Ready', 'v1.34.4'],
    ]);
  });

  test.each(['n1', 'n2'])(
    'lets a pod of n1 reach one of %s by its address, with its own',
    async (node) => {
      const { name, address } = await webOn(node);
      const own = await output('get', 'pod', 'client', '-o', 'jsonpath={.status.podIP}');
      const answer = await inPod('client', 'app', 'get', `http://${address}:8080/direct`);
      expect(answer).toStartWith(`200 host=${name} remote=${own}:`);
      expect(await output('logs', name)).toContain(`GET /direct from ${own}:`);
    },
  );

  test.each(['client', 'host-client'])('has names of Services for %s', async (from) => {
    const address = await output('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    expect(await inPod(from, 'app', 'resolve', 'web')).toBe(address);
    expect(await inPod(from, 'app', 'get', 'http://web.default.svc.cluster.local/name')).toMatch(
      /^200 host=(web-|n).* path=\/name$/,
    );
    expect(await inPod(from, 'app', 'resolve', 'nobody.default.svc.cluster.local')).toContain(
      'no such host',
    );
    expect(await inPod(from, 'app', 'resolve', 'example.com')).toContain('no such host');
  });

  test('reaches Services from nodes and from the control plane', async () => {
    const address = await output('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
    const words = ['curl', '-s', '-m', '5', `http://${address}/rim`];
    for (const look of [() => cluster.inControlPlane(words), () => cluster.inNode('n2', words)])
      expect((await look()).stdout).toMatch(/^host=web-\S+ remote=\S+ path=\/rim\n$/);
  });

  test('gives a load balancer an address that is reached from inside and from the control plane', async () => {
    const query = [
      'get',
      'service',
      'balanced',
      '-o',
      'jsonpath={.status.loadBalancer.ingress[0].ip}',
    ];
    const address = await until(
      () => output(...query),
      (text) => text !== '',
    );
    expect(address).toMatch(/^198\.19\.128\.\d+$/);
    expect(await inPod('client', 'app', 'get', `http://${address}/pod`)).toMatch(
      /^200 host=web-\S+ .* path=\/pod$/,
    );
    const outside = await cluster.inControlPlane([
      'curl',
      '-s',
      '-m',
      '5',
      `http://${address}/out`,
    ]);
    expect(outside.stdout).toMatch(/^host=web-\S+ .* path=\/out\n$/);
  });

  test('asks a webhook by its Service', async () => {
    const refused = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'mine', labels: { refuse: 'yes' } },
    };
    const { code, stderr } = await cluster.kubectl(['create', '-f', '-'], {
      input: JSON.stringify(refused),
    });
    expect([code, stderr]).toEqual([1, expect.stringContaining('the webhook refuses mine')]);
  });

  test('carries exec with input and exit status, and port-forward', async () => {
    const echo = await cluster.kubectl(['exec', '-i', 'client', '--', 'cat'], { input: 'hello\n' });
    expect(echo.stdout).toBe('hello\n');
    expect((await cluster.kubectl(['exec', 'client', '--', 'sh', '-c', 'exit 7'])).code).toBe(7);
    const { name } = await webOn('n2');
    const script = `kubectl port-forward pod/${name} 18080:8080 >/dev/null & child=$!
      curl -s --retry 20 --retry-connrefused --retry-delay 1 -m 10 http://127.0.0.1:18080/forwarded; kill $child`;
    const { stdout } = await cluster.inControlPlane(['sh', '-c', script]);
    expect(stdout).toMatch(
      new RegExp(`^host=${name} remote=127\\.0\\.0\\.1:\\d+ path=/forwarded\n$`),
    );
  });

  test('enforces RBAC on the token of a pod', async () => {
    const answer = await inPod(
      'client',
      'app',
      'api',
      'kubernetes.default.svc',
      '/api/v1/namespaces/default/pods',
    );
    expect(answer).toMatch(/^403 .*system:serviceaccount:default:default.* cannot list/);
  });

  test('answers kubectl of the host over a loopback port', async () => {
    const child = Bun.spawnSync([
      'kubectl',
      '--kubeconfig',
      cluster.kubeconfig,
      'get',
      'pods',
      '-o',
      'name',
    ]);
    expect(child.stdout.toString()).toContain('pod/client\n');
    expect(readFileSync(cluster.kubeconfig, 'utf8')).toMatch(/"https:\/\/127\.0\.0\.1:\d+"/);
  });

  test('gets a part back that was killed', async () => {
    await cluster.killPart('kube-apiserver');
    expect((await cluster.kubectl(['get', 'nodes', '--request-timeout=2s'])).code).toBe(1);
    const part = (await cluster.parts()).find(({ name }) => name === 'kube-apiserver');
    expect(part?.state).toBe('stopped');
    await cluster.startPart('kube-apiserver');
    const nodes = () => output('get', 'nodes', '-o', 'name');
    expect(await until(nodes, (text) => text.startsWith('node/'))).toBe('node/n1\nnode/n2');
  });

  test(
    'loses a node, and that alone, and gets it back with its pods',
    async () => {
      const bridge = async () =>
        (await cluster.inControlPlane(['ip', '-br', 'link', 'show', 'br0'])).stdout;
      const before = await bridge();
      await cluster.killPart('n2');
      // By this address the other nodes know the control plane: they would dial the old one for half a minute.
      expect(await bridge()).toBe(before);
      await cluster.startPart('n2');
      // With another address; the old one stands there until kubelet has looked.
      const ask = async () => {
        const { address } = await webOn('n2');
        return inPod('client', 'app', 'get', `http://${address}:8080/back`);
      };
      expect(await until(ask, (text) => text.startsWith('200'))).toContain('path=/back');
    },
    2 * WAIT_MS,
  );

  test(
    'leaves nothing when its holder and starter are killed with SIGKILL, nor changes the machine',
    async () => {
      const steps = footprint(NAME);
      expect(steps.processes.size).toBeGreaterThan(15);
      expect(leftOf(steps).length).toBeGreaterThan(15);
      process.kill(steps.record.pid, 'SIGKILL');
      holder.kill('SIGKILL');
      expect(
        await until(
          () => leftOf(steps),
          (left) => left.length === 0,
        ),
      ).toEqual([]);
      expect(sysctls()).toEqual(before);
    },
    WAIT_MS,
  );

  test(
    'without nodes leaves nothing when its starter alone is killed with SIGKILL',
    async () => {
      const name = `${NAME}-0`;
      const starter = await startHeld(name, 0);
      const dryRun = await openCluster(name).kubectl([
        'create',
        'configmap',
        'a',
        '--dry-run=server',
      ]);
      expect(dryRun.stdout).toBe('configmap/a created (server dry run)\n');
      const steps = footprint(name);
      starter.kill('SIGKILL');
      expect(
        await until(
          () => leftOf(steps),
          (left) => left.length === 0,
        ),
      ).toEqual([]);
    },
    WAIT_MS,
  );
});
