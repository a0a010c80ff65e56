/**
 * A bare machine joins a mesh on a real Kubernetes, with no more permissions than docs/join.md says it needs: called by a pod and calling
 * one, under STRICT; then it leaves.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { APP_IMAGE, type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';
import { API_SERVER, BareMachine, type JoinProcess } from '#test/support/bare-machine.ts';
import { eventually, ROOT, run } from '#test/support/lab.ts';

const why = missingCluster(['nft', 'nsenter', 'curl']);

const START_MS = 900_000; // the first on a machine builds Kubernetes
/** For what takes seconds on a quiet machine. */
const WAIT_MS = 180_000;

const named = (apiVersion: string, kind: string, name: string, rest: object = {}) => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'shop' },
  ...rest,
});
const service = (app: string) =>
  named('v1', 'Service', app, {
    spec: { selector: { app }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  });
const OBJECTS = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
  },
  named('v1', 'ServiceAccount', 'billing'),
  named('v1', 'ServiceAccount', 'machine'),
  {
    ...named('v1', 'Pod', 'web'),
    metadata: { name: 'web', namespace: 'shop', labels: { app: 'web' } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'app',
          image: APP_IMAGE,
          imagePullPolicy: 'Never',
          command: ['app', 'http', ':8080'],
        },
      ],
    },
  },
  service('web'),
  service('billing'),
  named('networking.istio.io/v1', 'WorkloadGroup', 'billing', {
    spec: {
      metadata: { labels: { app: 'billing' } },
      template: { serviceAccount: 'billing', ports: { http: 8080 } },
      probe: { periodSeconds: 1, httpGet: { path: '/', port: 8080 } },
    },
  }),
  named('security.istio.io/v1', 'PeerAuthentication', 'default', {
    spec: { mtls: { mode: 'STRICT' } },
  }),
];

/** The Roles of the page, bound to the account whose token the machine's kubeconfig holds. */
function documentedRoles(): object[] {
  const page = readFileSync(join(ROOT, 'docs/join.md'), 'utf8');
  const yaml = /```yaml\n([^`]*kind: Role[^`]*)```/.exec(page)?.[1] ?? '';
  return parseAllDocuments(yaml).flatMap((document) => {
    const role = document.toJS() as { apiVersion: string; kind: string; metadata: object };
    const { name, namespace } = role.metadata as { name: string; namespace: string };
    return [
      role,
      {
        apiVersion: role.apiVersion,
        kind: 'RoleBinding',
        metadata: { name, namespace },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
        subjects: [{ kind: 'ServiceAccount', name: 'machine', namespace: 'shop' }],
      },
    ];
  });
}

describe.skipIf(why !== undefined)('a bare machine beside a Kubernetes', () => {
  let cluster: KubeCluster;
  let home: string;
  let machine: BareMachine;
  let joined: JoinProcess;

  const kubectl = async (...args: string[]) => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const apply = async (objects: readonly object[]) => {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    const { code, stderr } = await cluster.kubectl(['apply', '-f', '-'], { input });
    if (code !== 0) throw new Error(stderr);
  };
  const becomes = (what: string, ask: () => Promise<boolean>) =>
    eventually(what, async () => (await ask()) || undefined, WAIT_MS).catch((error: unknown) => {
      throw new Error(`${error}\n${joined?.output()}`);
    });

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'tulle-kube-join-'));
    const archive = join(home, 'tulle.tar');
    const [started, built] = await Promise.all([
      startCluster({ name: `join-${process.pid}`, nodes: 1 }),
      run(['node', 'tools/run.mjs', 'image', '--out', archive]),
    ]);
    cluster = started;
    if (built.status !== 0) throw new Error(built.stderr);
    await cluster.loadImage(archive);
    const installed = await run([join(ROOT, 'tulle'), 'install', '--timeout', '180s'], {
      env: { TULLE_HOME: home, KUBECONFIG: cluster.kubeconfig },
    });
    if (installed.status !== 0) throw new Error(installed.stderr);
    await apply([...OBJECTS, ...documentedRoles()]);
    await kubectl('wait', '-n', 'shop', '--for=condition=Ready', '--timeout=120s', 'pod/web');
    const token = (await kubectl('create', 'token', 'machine', '-n', 'shop')).trim();
    const { clusters } = parse(readFileSync(cluster.insideKubeconfig, 'utf8')) as {
      clusters: { name: string; cluster: object }[];
    };
    const kubeconfig = JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'machine',
      clusters: [{ name: 'machine', cluster: { ...clusters[0].cluster, server: API_SERVER } }],
      users: [{ name: 'machine', user: { token } }],
      contexts: [{ name: 'machine', context: { cluster: 'machine', user: 'machine' } }],
    });
    machine = new BareMachine({
      enter: (command) => cluster.controlPlaneCommand(command),
      bridge: 'br0',
      kubeconfig,
      host: 200,
      nodes: 1,
    });
  }, START_MS);

  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]();
    await cluster?.down();
    rmSync(home, { recursive: true, force: true });
  }, WAIT_MS);

  test(
    'joins with the documented permissions, is called and calls under STRICT, and leaves',
    async () => {
      joined = machine.join('-n', 'shop', '--group', 'billing', '--name', 'vm1');
      await becomes('the joined machine', async () => joined.output().includes('healthy'));
      const healthy = ['wait', 'workloadentry/vm1', '-n', 'shop', '--for=condition=Healthy'];
      await kubectl(...healthy, '--timeout=120s');
      const get = ['exec', '-n', 'shop', 'web', '--', 'app', 'get', 'http://billing/'];
      await becomes('the machine', async () =>
        (await cluster.kubectl(get)).stdout.includes('machine-8080'),
      );
      await becomes('the pod', async () =>
        (await machine.curl('http://web.shop.svc.cluster.local/')).endsWith('200'),
      );
      // Plaintext from the node, which is no workload.
      const plain = ['curl', '-s', '-m', '3', `http://${machine.address}:8080/`];
      expect((await cluster.inNode('n1', plain)).code).not.toBe(0);
      joined.kill('SIGTERM');
      expect(await joined.exited).toBe(0);
      expect(await kubectl('get', 'workloadentries', '-n', 'shop', '-o', 'name')).toBe('');
      expect(machine.namespace.run('nft', 'list', 'ruleset')).toBe('');
      expect((await cluster.inNode('n1', plain)).code).toBe(0);
    },
    2 * WAIT_MS,
  );
});
