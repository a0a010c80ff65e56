/**
 * Who sees what of a mesh whose API server knows roles: by client certificate, by a log-in with the token of an account, at either replica, and by a
 * kubeconfig with a token. The objects of examples/product-service are there as they are written, under their own load.
 */
import { afterAll, beforeAll, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { connectionFor } from '#cli/cluster.ts';
import { CONSOLE_PORT } from '#cli/console-client.ts';
import { openPodPort } from '#cli/pod-port.ts';
import type { ApplyAnswer } from '#console/api/config.ts';
import type { GraphAnswer } from '#console/api/graph.ts';
import type { LogsAnswer, WorkloadsAnswer } from '#console/api/lists.ts';
import type { ErrorAnswer, MeshAnswer, SessionAnswer } from '#console/api/mesh.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { eventually, ROOT } from '#test/support/lab.ts';
import type { MeshWorld } from './mesh-world.ts';

const TEST_MS = 120_000;
const MESH = 'istio-system';
/** Requests a second of the example's load. */
const LOAD = 20;

/** `reader` may list pods of its own namespace, `forwarder` reach the control plane as well, `boss` everything. */
const ACCOUNTS = `${['reader', 'forwarder', 'boss'].map(account).join('')}${[
  role('shop', 'reader', [{ resources: ['pods'], verbs: ['list'] }]),
  role('shop', 'forwarder', [{ resources: ['pods'], verbs: ['list'] }]),
  role(MESH, 'forwarder', [
    { resources: ['pods'], verbs: ['list'] },
    { resources: ['pods/portforward'], verbs: ['get', 'create'] },
  ]),
].join('')}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: console-boss}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, namespace: shop, name: boss}]
`;

function account(name: string): string {
  return `---
apiVersion: v1
kind: ServiceAccount
metadata: {name: ${name}, namespace: shop}
`;
}

function role(namespace: string, name: string, rules: readonly object[]): string {
  return `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: console-${name}, namespace: ${namespace}}
rules: ${JSON.stringify(rules.map((rule) => ({ apiGroups: [''], ...rule })))}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: console-${name}, namespace: ${namespace}}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: console-${name}}
subjects: [{kind: ServiceAccount, namespace: shop, name: ${name}}]
`;
}

const JSON_BODY = { 'content-type': 'application/json' };
const POLICY =
  'apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: console, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n';

/** Registers the tests; call it inside a `describe` of its own. */
export function consoleAccessScenario(world: () => MeshWorld, kubeconfig: () => string): void {
  let url = '';
  let forwarding: ReturnType<typeof openConsole> | undefined;

  const ask = async <T>(path: string, headers: Record<string, string> = {}, init?: RequestInit) =>
    (await (await fetch(`${url}/api/v1/${path}`, { ...init, headers })).json()) as T;
  const tokenOf = async (name: string) => {
    const { stdout } = await world().kubectl('create', 'token', name, '-n', 'shop');
    return stdout.trim();
  };
  const bearer = async (name: string) => ({ authorization: `Bearer ${await tokenOf(name)}` });
  const put = (headers: Record<string, string>, dryRun: boolean) =>
    ask<ApplyAnswer & ErrorAnswer>(
      'config/PeerAuthentication/shop/console',
      { ...headers, ...JSON_BODY },
      {
        method: 'PUT',
        body: JSON.stringify({ yaml: POLICY, dryRun }),
      },
    );

  beforeAll(async () => {
    expect((await world().apply(ACCOUNTS)).stderr).toBe('');
    await eventually('the roles in force', async () => {
      const as = '--as=system:serviceaccount:shop:boss';
      const { stdout } = await world().kubectl('auth', 'can-i', 'list', 'nodes', as);
      return stdout.trim() === 'yes' ? true : undefined;
    });
    forwarding = openConsole(world().home, kubeconfig());
    url = await forwarding.url;
  }, TEST_MS);

  afterAll(async () => {
    forwarding?.stop();
    await world().kubectl('delete', 'clusterrolebinding', 'console-boss');
    await world().kubectl('delete', 'role,rolebinding', 'console-forwarder', '-n', MESH);
  }, TEST_MS);

  test(
    'tulle status and tulle graph by client certificate: the example as it is',
    async () => {
      expect(await world().tulle('status')).toMatchObject({ status: 0, stderr: '' });
      // Connections that came before the waypoint was there are an edge of their own to the same service.
      const rateTo = (edges: GraphAnswer['edges'], id: string) =>
        edges
          .filter(({ target }) => target === id)
          .reduce((sum, { requestsPerSecond }) => sum + requestsPerSecond, 0);
      // v2 may have come after the load: the window has to fill with what the route says, 90 to 10.
      let seen = '';
      const { edges } = await eventually('the load and its split in the graph', async () => {
        seen = (await world().tulle('graph', '-n', 'shop', '-o', 'json')).stdout;
        const graph = JSON.parse(seen) as GraphAnswer;
        const [v1, v2] = [V1, V2].map((id) => rateTo(graph.edges, id));
        const share = v2 / (v1 + v2);
        const isLoad = rateTo(graph.edges, SERVICE) > LOAD / 4;
        return isLoad && share > 0.03 && share < 0.25 ? graph : undefined;
      }).catch(async (error: Error) => {
        const logs = ['logs', '-n', 'shop', '--tail', '40'];
        const waypoint = await world().kubectl(...logs, 'deploy/waypoint');
        const load = await world().kubectl(...logs, 'deploy/web');
        throw new Error(`${error.message}\n${seen}\n${waypoint.stdout}\n${load.stdout}`);
      });
      const http = edges.filter(({ requestsPerSecond }) => requestsPerSecond > 0);
      expect(http.map(({ source, target }) => `${source} ${target}`).sort()).toEqual([
        `${SERVICE} ${V1}`,
        `${SERVICE} ${V2}`,
        `workload/shop/web ${SERVICE}`,
      ]);
      for (const { protocol, via, mtls } of http)
        expect({ protocol, via, mtls }).toEqual({
          protocol: 'http',
          via: 'waypoint/shop/waypoint',
          mtls: 1,
        });
      expect(rateTo(http, SERVICE)).toBeLessThan(LOAD * 1.5);
    },
    TEST_MS,
  );

  test('without a token, through the API server: all that the mesh knows, and no change', async () => {
    const session = await ask<SessionAnswer>('session');
    expect(session).toMatchObject({ user: 'guest', namespaces: ['*'], isReadOnly: true });
    const { workloads } = await ask<WorkloadsAnswer>('workloads');
    const ids = workloads.map(({ id }) => id);
    expect(ids).toContain('workload/legacy/visitor');
    expect(ids).toContain('workload/shop/web');
    expect(await put({ 'x-tulle-csrf': session.csrfToken }, false)).toMatchObject({
      code: 'CONSOLE_NOT_LOGGED_IN',
    });
  });

  test(
    'a log-in that may list the pods of one namespace sees that one and no other, at every replica',
    async () => {
      const body = JSON.stringify({ token: await tokenOf('reader') });
      const answer = await fetch(`${url}/api/v1/login`, {
        method: 'POST',
        headers: JSON_BODY,
        body,
      });
      const session = (await answer.json()) as SessionAnswer;
      expect(session).toMatchObject({
        user: 'system:serviceaccount:shop:reader',
        namespaces: ['shop'],
      });
      const cookie = (answer.headers.get('set-cookie') ?? '').split(';')[0];
      for (const path of [
        'graph?idle=true',
        'workloads',
        'services',
        'history',
        'overview',
        'status',
      ])
        expectOnlyShop(await ask<object>(path, { cookie }));
      const graph = await ask<GraphAnswer>('graph', { cookie });
      expect(graph.nodes.map(({ id }) => id)).toContain(V1);
      const { proxies } = await ask<MeshAnswer>('mesh', { cookie });
      expect([...new Set(proxies.map(({ namespace }) => namespace))]).toEqual(['shop']);
      const headers = { cookie, 'x-tulle-csrf': session.csrfToken };
      expect(await put(headers, false)).toMatchObject({ code: 'CONSOLE_FORBIDDEN' });
      const path = 'jsonpath={.items[*].metadata.name}';
      const selector = ['-n', MESH, '-l', 'app=istiod', '-o', path];
      const { stdout: pods } = await world().kubectl('get', 'pods', ...selector);
      const connection = connectionFor(kubeconfig());
      const client = new RestClient({ fetch: fetch as Fetch }, connection);
      for (const name of pods.split(' ')) {
        const target = { namespace: MESH, name, port: CONSOLE_PORT };
        using replica = openPodPort({ client, connection, namespace: 'default' }, target);
        const there = await replica.ask('/api/v1/graph', { headers: { cookie } });
        const seen = (await there.json()) as GraphAnswer;
        expectOnlyShop(seen);
        expect(seen.edges.map(({ target: id }) => id)).toContain(V1);
      }
    },
    TEST_MS,
  );

  test(
    'an administrator’s token sees all, reads logs, and may change',
    async () => {
      const headers = await bearer('boss');
      expect(await ask<SessionAnswer>('session', headers)).toMatchObject({ namespaces: ['*'] });
      const { workloads } = await ask<WorkloadsAnswer>('workloads', headers);
      expect(workloads.map(({ id }) => id)).toContain('workload/legacy/visitor');
      expect(await put(headers, true)).toMatchObject({ isValid: true, isApplied: false });
      const path = 'jsonpath={.items[0].metadata.name}';
      const label = 'gateway.networking.k8s.io/gateway-name=waypoint';
      const selector = ['-n', 'shop', '-l', label, '-o', path];
      const { stdout: pod } = await world().kubectl('get', 'pods', ...selector);
      const logs = await ask<LogsAnswer>(`logs/shop/${pod}`, headers);
      expect(logs.notice).toBeUndefined();
      expect(logs.lines.map(({ from }) => from)).toContain('application');
      expect(await ask<LogsAnswer>(`logs/shop/${pod}`, await bearer('reader'))).toMatchObject({
        notice: expect.stringContaining('may not read logs in shop'),
      });
    },
    TEST_MS,
  );

  test(
    'a kubeconfig with a token: the namespaces of its user, if they may forward the port',
    async () => {
      const as = async (name: string) => {
        const config = parse(readFileSync(kubeconfig(), 'utf8')) as { users: object[] };
        const token = await tokenOf(name);
        config.users = config.users.map((user) => ({ ...user, user: { token } }));
        const path = join(world().home, `kubeconfig-${name}`);
        writeFileSync(path, stringify(config), { mode: 0o600 });
        return world().tulle('--kubeconfig', path, 'top', '-o', 'json');
      };
      const { stdout, stderr } = await as('forwarder');
      expect(stderr).toBe('');
      const { workloads } = JSON.parse(stdout) as WorkloadsAnswer;
      const namespaces = new Set(workloads.map(({ namespace }) => namespace));
      expect(namespaces.has('shop')).toBe(true);
      expect([...namespaces].filter((each) => each !== 'shop' && each !== MESH)).toEqual([]);
      const refused = await as('reader');
      expect(refused).toMatchObject({ status: 3, stdout: '' });
      expect(refused.stderr).toContain(`in the namespace "${MESH}"`);
    },
    TEST_MS,
  );
}

const SERVICE = 'service/shop/product-service';
const V1 = 'workload/shop/product-service-v1';
const V2 = 'workload/shop/product-service-v2';

/** Not one word of what else there is. */
function expectOnlyShop(answer: object): void {
  const text = JSON.stringify(answer);
  expect(text).toContain('shop');
  expect(text.match(/legacy|visitor|kube-system|"namespace":"(?!shop"|")[^"]*"/g)).toBeNull();
}

/** `tulle console` as a user runs it. */
function openConsole(home: string, kubeconfig: string) {
  const command = [join(ROOT, 'tulle'), '--kubeconfig', kubeconfig, 'console', '--port', '0'];
  const child = Bun.spawn(command, {
    env: { ...process.env, TULLE_HOME: home },
    stdout: 'pipe',
    stderr: 'inherit',
  });
  const firstLine = async () => {
    const decoder = new TextDecoder();
    let text = '';
    for await (const bytes of child.stdout) {
      text += decoder.decode(bytes, { stream: true });
      if (text.includes('\n')) return text.trim();
    }
    throw new Error('tulle console ended without an address');
  };
  return { url: firstLine(), stop: () => child.kill() };
}
