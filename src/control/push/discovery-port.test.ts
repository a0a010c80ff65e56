import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { type Disposer, Scope } from '#base/disposer.ts';
import type { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { type CertificateAuthority, createRoot, loadAuthority } from '#identity/ca/authority.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { GatewayConfig, TlsMaterial } from '#model/route/gateway-config.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import type { ScopedTelemetry } from '#model/telemetry/settings.ts';
import { RecordingSink } from '#test/support/recording-sink.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { AUTHORIZATION } from '#xds/resources/authorization.ts';
import type { ResourceType } from '#xds/resources/resource-type.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { TRUSTED_NODE_ACCOUNTS } from '../ca/impersonation.ts';
import { ServingCertificate } from '../ca/serving.ts';
import { Intake } from '../observe/intake.ts';
import type { Authenticate } from './caller.ts';
import { type DiscoveryPort, startDiscoveryPort } from './discovery-port.ts';
import {
  type AddressValue,
  type NodeScope,
  type ResourceSource,
  TYPE_URL,
} from './resource-source.ts';

const SERVER_NAME = 'istiod.istio-system.svc';

class TableSource<T> implements ResourceSource<T> {
  ready = true;
  readonly #values = new Map<string, { version: string; value: T }>();
  readonly #callbacks = new Set<(names: readonly string[]) => void>();
  #version = 0;

  constructor(
    readonly typeUrl: string,
    public sees: (name: string, scope: NodeScope) => boolean = () => true,
  ) {}

  set(name: string, value: T | undefined) {
    if (value === undefined) this.#values.delete(name);
    else this.#values.set(name, { version: String(++this.#version), value });
    for (const callback of this.#callbacks) callback([name]);
  }

  subscribe(onChange: (names: readonly string[]) => void): Disposer {
    this.#callbacks.add(onChange);
    return () => void this.#callbacks.delete(onChange);
  }

  get(name: string) {
    return this.#values.get(name);
  }

  all() {
    return this.#values.keys();
  }

  *names(scope: NodeScope) {
    for (const name of this.#values.keys()) if (this.visible(name, scope)) yield name;
  }

  visible(name: string, scope: NodeScope) {
    return this.sees(name, scope);
  }
}

const policy = (name: string, dryRun = false): Authorization => ({
  name,
  namespace: 'shop',
  scope: 'namespace',
  action: 'deny',
  rules: [],
  dryRun,
});

const CALLERS: Authenticate = async (token) => {
  if (token === 'node') {
    return {
      namespace: 'istio-system',
      serviceAccount: 'ztunnel',
      pod: { name: 'tulle-node-1', uid: 'uid-1' },
    };
  }
  if (token === 'waypoint') return { namespace: 'shop', serviceAccount: 'wp', pod: undefined };
  return 'token is not known';
};

const PODS = [
  {
    namespace: 'istio-system',
    name: 'tulle-node-1',
    uid: 'uid-1',
    serviceAccount: 'ztunnel',
    nodeName: 'node1',
    phase: 'Running',
  },
  {
    namespace: 'shop',
    name: 'web-1',
    uid: 'uid-2',
    serviceAccount: 'web',
    nodeName: 'node1',
    phase: 'Running',
  },
  {
    namespace: 'shop',
    name: 'db-1',
    uid: 'uid-3',
    serviceAccount: 'db',
    nodeName: 'node2',
    phase: 'Running',
  },
];

function newSources() {
  return {
    address: new TableSource<AddressValue>(TYPE_URL.address),
    authorization: new TableSource<Authorization>(TYPE_URL.authorization),
    routeTable: new TableSource<RouteTable>(
      TYPE_URL.routeTable,
      (_, scope) => scope.type === 'waypoint',
    ),
    upstream: new TableSource<Upstream>(TYPE_URL.upstream),
    gatewayConfig: new TableSource<GatewayConfig>(TYPE_URL.gatewayConfig),
    telemetry: new TableSource<ScopedTelemetry>(TYPE_URL.telemetry),
    tlsMaterial: new TableSource<TlsMaterial>(TYPE_URL.tlsMaterial),
  };
}

async function until(done: () => boolean) {
  const deadline = systemClock.now() + 10_000;
  while (!done()) {
    if (systemClock.now() > deadline) throw new Error('condition never came true');
    await Bun.sleep(1);
  }
}

describe('DiscoveryPort', () => {
  const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
  let scope: Scope;
  let folder: string;
  let authority: CertificateAuthority;
  let sources: ReturnType<typeof newSources>;
  let control: DiscoveryPort;
  let isCurrent: boolean;

  beforeEach(async () => {
    scope = new Scope();
    folder = mkdtempSync(join(tmpdir(), 'tulle-xds-'));
    scope.add(() => rmSync(folder, { recursive: true }));
    authority = await loadAuthority(deps, await createRoot(deps, 'cluster.local'));
    writeFileSync(join(folder, 'root.pem'), authority.root);
    writeFileSync(join(folder, 'token'), 'node\n');
    sources = newSources();
    isCurrent = true;
    control = await start(0);
  });

  afterEach(async () => {
    scope.dispose();
    await control.stop();
  });

  async function start(port: number, servingNames = [SERVER_NAME]) {
    const pods = {
      pod: (namespace: string, name: string) =>
        PODS.find((pod) => pod.namespace === namespace && pod.name === name),
      podsOnNode: (node: string) => PODS.filter((pod) => pod.nodeName === node),
    };
    const serving = await ServingCertificate.create({ ...deps, authority }, servingNames);
    scope.add(() => serving.stop());
    return startDiscoveryPort(
      {
        ...deps,
        serving,
        sources,
        authority,
        pods,
        authenticate: CALLERS,
        isCurrent: () => isCurrent,
        clusterId: 'Kubernetes',
        intake: new Intake({
          ...deps,
          sink: new RecordingSink(),
          refine: (edge) => edge,
          reportProblem: () => undefined,
        }),
      },
      {
        address: '127.0.0.1',
        port,
        trustDomain: 'cluster.local',
        trustedAccounts: TRUSTED_NODE_ACCOUNTS,
        ownPrincipal: 'spiffe://cluster.local/ns/istio-system/sa/istiod',
      },
    );
  }

  const endpoint = () => ({
    address: `127.0.0.1:${control.port}`,
    serverName: SERVER_NAME,
    rootFile: join(folder, 'root.pem'),
    tokenFile: join(folder, 'token'),
    clusterId: 'Kubernetes',
  });

  function connect(
    types: readonly ResourceType<unknown>[],
    node: Partial<{ type: 'ztunnel' | 'waypoint'; podNamespace: string }> = {},
  ): XdsClient {
    const client = startXdsClient(
      { ...deps, transport: grpcTransport(systemClock, endpoint()) },
      {
        node: {
          type: 'ztunnel',
          ip: '127.0.0.1',
          podName: 'tulle-node-1',
          podNamespace: 'istio-system',
          metadata: { NODE_NAME: 'node1' },
          ...node,
        },
        types,
      },
    );
    scope.add(() => client.stop());
    return client;
  }

  test('a proxy gets what exists, then each change, and its sync state shows it', async () => {
    sources.authorization.set('shop/one', policy('one'));
    const client = connect([AUTHORIZATION]);
    const store = client.store(AUTHORIZATION);
    await client.whenSynced();
    expect(store.get('shop/one')).toEqual(policy('one'));
    expect(client.connected).toBe(true);
    const changes: unknown[] = [];
    store.onChange((change) => changes.push(change));
    sources.authorization.set('shop/two', policy('two'));
    sources.authorization.set('shop/one', undefined);
    await until(() => changes.length > 0);
    // Both within one quiet time: one response.
    expect(changes).toEqual([{ changed: ['shop/two'], removed: ['shop/one'] }]);
    expect(control.push.pushes).toBe(2);
    await until(() => control.push.proxies()[0]?.types[0]?.state === 'synced');
    expect(control.push.proxies()).toMatchObject([
      {
        type: 'ztunnel',
        name: 'tulle-node-1',
        nodeName: 'node1',
        types: [{ typeUrl: TYPE_URL.authorization, resources: 1, nack: undefined }],
      },
    ]);
    client.stop();
    await until(() => control.push.proxies().length === 0);
  });

  test('scopes by node: the node proxy does not get route tables', async () => {
    sources.routeTable.set('shop/a', {
      namespace: 'shop',
      hostname: 'a',
      addresses: [],
      ports: [],
    });
    const node = connect([ROUTE_TABLE]);
    await node.whenSynced();
    expect(node.store(ROUTE_TABLE).size).toBe(0);
    writeFileSync(join(folder, 'token'), 'waypoint');
    const waypoint = connect([ROUTE_TABLE], { type: 'waypoint', podNamespace: 'shop' });
    await waypoint.whenSynced();
    expect(waypoint.store(ROUTE_TABLE).get('shop/a')?.hostname).toBe('a');
  });

  test('a refused resource is NACKed by name, the last good one stays', async () => {
    sources.routeTable.sees = () => true;
    const good = { namespace: 'shop', hostname: 'a', addresses: [], ports: [] };
    sources.routeTable.set('shop/a', good);
    const client = connect([ROUTE_TABLE]);
    await client.whenSynced();
    sources.routeTable.set('shop/a', { ...good, ports: undefined } as unknown as RouteTable);
    await until(() => control.push.proxies()[0]?.types[0]?.state === 'refused');
    expect(control.push.proxies()[0].types[0].nack).toContain('shop/a: field ports is missing');
    expect(client.store(ROUTE_TABLE).get('shop/a')).toEqual(good);
    expect(client.status().types[0].nack).toContain('shop/a');
  });

  test('control restarts: the proxy keeps all, comes back, and is sent only what differs', async () => {
    const table = (hostname: string): RouteTable => ({
      namespace: 'shop',
      hostname,
      addresses: [],
      ports: [],
    });
    sources.routeTable.sees = () => true;
    sources.routeTable.set('shop/same', table('same'));
    sources.routeTable.set('shop/gone', table('gone'));
    const client = connect([ROUTE_TABLE]);
    const store = client.store(ROUTE_TABLE);
    await client.whenSynced();
    const same = store.get('shop/same');
    const { port } = control;
    await control.stop();
    await until(() => !client.connected);
    expect(store.size).toBe(2);
    sources = newSources();
    sources.routeTable.sees = () => true;
    sources.routeTable.set('shop/new', table('new'));
    sources.routeTable.set('shop/same', table('same'));
    const changes: unknown[] = [];
    store.onChange((change) => changes.push(change));
    control = await start(port);
    await until(() => changes.length > 0);
    expect(changes).toEqual([{ changed: ['shop/new'], removed: ['shop/gone'] }]);
    expect(store.get('shop/same')).toBe(same!);
  });

  test('takes nothing back from a proxy that returns while it cannot follow the API', async () => {
    sources.authorization.set('shop/shut', policy('shut'));
    sources.authorization.set('shop/changed', policy('changed'));
    const client = connect([AUTHORIZATION]);
    await client.whenSynced();
    const store = client.store(AUTHORIZATION);
    const { port } = control;
    // Another replica, which the last change did not reach.
    await control.stop();
    sources = newSources();
    sources.authorization.set('shop/changed', policy('changed', true));
    isCurrent = false;
    const changes: unknown[] = [];
    store.onChange((change) => changes.push(change));
    control = await start(port);
    await until(() => control.push.proxies()[0]?.types.length === 1);
    // Whoever holds nothing is told what is known; what comes to be known otherwise, or not, changes nothing.
    const fresh = connect([AUTHORIZATION]);
    await fresh.whenSynced();
    expect(fresh.store(AUTHORIZATION).size).toBe(1);
    sources.authorization.set('shop/new', policy('new'));
    await until(() => fresh.store(AUTHORIZATION).size === 2);
    expect(changes).toEqual([]);
    expect(store.get('shop/shut')).toEqual(policy('shut'));
    isCurrent = true;
    await until(() => changes.length > 0);
    expect(changes).toEqual([{ changed: ['shop/changed', 'shop/new'], removed: ['shop/shut'] }]);
  });

  test('answers a proxy that returns with what is known here, also while it cannot follow the API', async () => {
    sources.authorization.set('shop/one', policy('one'));
    const client = connect([AUTHORIZATION]);
    await client.whenSynced();
    const { port } = control;
    await control.stop();
    await until(() => !client.connected);
    isCurrent = false;
    control = await start(port);
    await until(() => client.connected);
    sources.authorization.set('shop/two', policy('two'));
    await until(() => client.store(AUTHORIZATION).size === 2);
  });

  test('does not answer before the source is ready', async () => {
    sources.authorization.ready = false;
    const client = connect([AUTHORIZATION]);
    await until(() => control.push.proxies().length === 1);
    expect(control.push.proxies()[0].types[0].state).toBe('idle');
    sources.authorization.ready = true;
    sources.authorization.set('shop/one', policy('one'));
    await client.whenSynced();
    expect(client.store(AUTHORIZATION).size).toBe(1);
  });

  test('refuses unknown tokens, foreign namespaces and servers of another name or root', async () => {
    const failure = async (client: XdsClient) => {
      await until(() => client.status().lastError !== undefined);
      const { lastError } = client.status();
      expect(client.connected).toBe(false);
      client.stop();
      return lastError;
    };
    expect(await failure(connect([AUTHORIZATION], { podNamespace: 'shop' }))).toContain(
      'identity of namespace istio-system may not act as ztunnel~127.0.0.1~tulle-node-1.shop',
    );
    writeFileSync(join(folder, 'token'), 'stolen');
    expect(await failure(connect([AUTHORIZATION]))).toContain('token is not known');
    // The token file is read at every attempt: a new token lets the same client in.
    const client = connect([AUTHORIZATION]);
    await until(() => client.status().lastError !== undefined);
    writeFileSync(join(folder, 'token'), 'node');
    await client.whenSynced();
    client.stop();
    const { port } = control;
    await control.stop();
    control = await start(port, ['evil.example']);
    expect(await failure(connect([AUTHORIZATION]))).toContain('Hostname/IP does not match');
    writeFileSync(join(folder, 'root.pem'), (await createRoot(deps, 'x')).certificate);
    expect(await failure(connect([AUTHORIZATION]))).toMatch(/verify|self signed/);
    rmSync(join(folder, 'root.pem'));
    expect(await failure(connect([AUTHORIZATION]))).toContain('cannot read');
  });

  test('signs for pods of the same node, for nobody else', async () => {
    const signer = createCaClient(systemClock, { endpoint: endpoint(), impersonate: true });
    const store = createSvidStore({ ...deps, signer });
    scope.add(() => store.stop());
    const of = (serviceAccount: string) =>
      formatPrincipal({ trustDomain: 'cluster.local', namespace: 'shop', serviceAccount });
    const { certificateChain, trustBundle } = await store.whenReady(of('web'));
    expect(new X509Certificate(certificateChain).subjectAltName).toBe(`URI:${of('web')}`);
    expect(trustBundle).toBe(authority.root);
    const refusal = await store.whenReady(of('db')).catch((error: MeshError) => error);
    expect(refusal).toMatchObject({
      code: 'GRPC_REFUSED',
      message: expect.stringContaining('no pod of shop/db is on node node1'),
    });
    writeFileSync(join(folder, 'token'), 'waypoint');
    const other = await store.whenReady(of('cart')).catch((error: MeshError) => error.message);
    expect(other).toContain('shop/wp is not a trusted node account');
  });

  test('gives a caller its own identity without impersonation', async () => {
    writeFileSync(join(folder, 'token'), 'waypoint');
    const signer = createCaClient(systemClock, { endpoint: endpoint(), impersonate: false });
    const store = createSvidStore({ ...deps, signer });
    scope.add(() => store.stop());
    const own = formatPrincipal({
      trustDomain: 'cluster.local',
      namespace: 'shop',
      serviceAccount: 'wp',
    });
    const { certificateChain } = await store.whenReady(own);
    expect(new X509Certificate(certificateChain).subjectAltName).toBe(`URI:${own}`);
  });
});
