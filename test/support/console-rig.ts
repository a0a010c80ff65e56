/** The console's server on a real socket, over a small invented mesh, a store that answers fixed values, and an API server that knows a few tokens. */
import type { Clock } from '#base/clock.ts';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import type { GraphAnswer, GraphNode } from '#console/api/graph.ts';
import type { RequestRow, TraceAnswer } from '#console/api/traffic.ts';
import type { ConsoleData, GraphListener, GraphRequest, Packing } from '#console/console-data.ts';
import { pack } from '#console/graph/pack.ts';
import type { ConfigView, MeshView, ServiceView, WorkloadView } from '#console/mesh-view.ts';
import type { AccessOptions } from '#console/server/access/access.ts';
import type { BundleSource } from '#console/server/bundle.ts';
import { serveConsole } from '#console/server/listen.ts';
import { ConsoleServer } from '#console/server/server.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { FakeKubeClient } from './fake-kube-client.ts';

export const NAMESPACES = ['istio-system', 'shop', 'bank'] as const;

/** Tokens, whose they are, and in which namespaces that user may do what. */
export const TOKENS: Readonly<
  Record<string, { user: string; namespaces: readonly string[] | '*'; verbs: readonly string[] }>
> = {
  'admin-token': { user: 'admin', namespaces: '*', verbs: ['get', 'list', 'update', 'create'] },
  'shop-token': {
    user: 'system:serviceaccount:shop:reader',
    namespaces: ['shop'],
    verbs: ['get', 'list'],
  },
  'writer-token': {
    user: 'writer',
    namespaces: ['shop'],
    verbs: ['get', 'list', 'update', 'create'],
  },
  'nobody-token': { user: 'nobody', namespaces: [], verbs: [] },
};

/** Answers reviews as an API server with TOKENS would; everything else is the usual fake. */
export class ReviewingKube extends FakeKubeClient {
  reviews = 0;
  readonly revoked = new Set<string>();

  override async create<T extends KubeObject>(ref: ResourceRef, object: T): Promise<T> {
    const spec = (object as unknown as { spec?: Record<string, unknown> }).spec ?? {};
    if (ref.resource === 'tokenreviews') {
      this.reviews += 1;
      const known = this.revoked.has(String(spec.token)) ? undefined : TOKENS[String(spec.token)];
      const status =
        known === undefined
          ? { authenticated: false, error: 'invalid bearer token' }
          : { authenticated: true, user: { username: known.user } };
      return { ...object, status };
    }
    if (ref.resource === 'subjectaccessreviews') {
      this.reviews += 1;
      return { ...object, status: { allowed: allows(spec) } };
    }
    return super.create(ref, object);
  }
}

function allows(spec: Record<string, unknown>): boolean {
  const known = Object.values(TOKENS).find(({ user }) => user === spec.user);
  const { namespace, verb } = spec.resourceAttributes as { namespace?: string; verb: string };
  if (known === undefined || !known.verbs.includes(verb)) return false;
  return (
    known.namespaces === '*' || (namespace !== undefined && known.namespaces.includes(namespace))
  );
}

function workload(namespace: string, name: string, more: Partial<WorkloadView> = {}): WorkloadView {
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    kind: 'Deployment',
    app: name,
    versions: ['v1'],
    labels: { app: name },
    identity: `spiffe://cluster.local/ns/${namespace}/sa/${name}`,
    isCaptured: true,
    notCaptured: '',
    role: 'workload',
    waypoint: '',
    replicas: { ready: 1, desired: 1 },
    services: [`${namespace}/${name}.${namespace}.svc.cluster.local`],
    pods: () => [
      {
        name: `${name}-1`,
        node: 'node1',
        ip: '198.18.1.2',
        phase: 'Running',
        isReady: true,
        isCaptured: true,
        restarts: 0,
        startedAt: '2026-01-01T00:00:00Z',
      },
    ],
    ...more,
  };
}

function service(namespace: string, name: string): ServiceView {
  const host = `${name}.${namespace}.svc.cluster.local`;
  return {
    key: `${namespace}/${host}`,
    namespace,
    name,
    host,
    kind: 'Service',
    isExternal: false,
    addresses: ['198.19.0.7'],
    ports: [{ name: 'http', port: 80, protocol: 'http' }],
    waypoint: '',
    workloads: [`${namespace}/${name}`],
    endpoints: () => [
      {
        address: '198.18.1.2',
        workload: `${namespace}/${name}`,
        version: 'v1',
        locality: '',
        health: 'healthy',
        detail: '',
      },
    ],
  };
}

export function policy(namespace: string, name: string, spec: object = {}): ConfigView {
  const apiVersion = 'security.istio.io/v1';
  const kind = 'AuthorizationPolicy';
  const object = { apiVersion, kind, metadata: { namespace, name, resourceVersion: '7' }, spec };
  return {
    kind,
    apiVersion,
    namespace,
    name,
    resourceVersion: '7',
    createdAt: '2026-01-01T00:00:00Z',
    object,
  };
}

export function smallMesh(more: Partial<MeshView> = {}): MeshView {
  const workloads = [workload('shop', 'cart'), workload('shop', 'web'), workload('bank', 'vault')];
  const services = [service('shop', 'cart'), service('bank', 'vault')];
  return {
    version: '1.2.3',
    trustDomain: 'cluster.local',
    clusterId: 'Kubernetes',
    revision: 1,
    namespaces: () =>
      NAMESPACES.map((name) => ({
        name,
        isEnrolled: true,
        waypoint: '',
        mtlsMode: 'PERMISSIVE' as const,
        mtlsFrom: 'default',
      })),
    workloads: () => workloads,
    workload: (key) => workloads.find((each) => each.key === key),
    services: () => services,
    service: (key) => services.find((each) => each.key === key),
    splits: () => [],
    config: () => [policy('shop', 'only-web'), policy('bank', 'nobody')],
    findings: () => [
      {
        code: 'IST0101',
        level: 'warning',
        message: 'the host does not exist',
        resource: 'AuthorizationPolicy shop/only-web',
        path: 'spec',
        hint: 'create it',
      },
    ],
    proxies: () => [
      {
        kind: 'node',
        namespace: 'istio-system',
        name: 'ztunnel-1',
        node: 'node1',
        version: '1.2.3',
        sync: 'synced',
        detail: '',
        serves: 3,
      },
    ],
    control: () => [
      {
        pod: 'istiod-1',
        version: '1.2.3',
        revision: 'default',
        isLeader: true,
        isReady: true,
        startedAt: '2026-01-01T00:00:00Z',
        proxies: 1,
      },
    ],
    problems: () => [],
    ejected: () => [],
    certificates: () => ({
      certificates: [
        {
          principal: 'spiffe://cluster.local/ns/shop/sa/cart',
          proxy: 'istio-system/ztunnel-1',
          notAfter: '2036-01-01T00:00:00Z',
          state: 'valid',
        },
        {
          principal: 'spiffe://cluster.local/ns/bank/sa/vault',
          proxy: 'istio-system/ztunnel-1',
          notAfter: '2036-01-01T00:00:00Z',
          state: 'valid',
        },
      ],
      roots: [],
    }),
    onChange: () => () => undefined,
    ...more,
  };
}

const HEALTHY = { status: 'healthy', reason: '100 requests, none failed', samples: 100 } as const;
export const TRAFFIC = {
  requestsPerSecond: 10,
  errorRate: 0,
  connectionsPerSecond: 0,
  bytesPerSecond: 100,
  classes: { '2xx': 100, '3xx': 0, '4xx': 0, '5xx': 0, none: 0 },
};

export function node(namespace: string, name: string): GraphNode {
  return {
    id: `workload/${namespace}/${name}`,
    kind: 'workload',
    namespace,
    name,
    app: name,
    version: 'v1',
    labels: {},
    health: HEALTHY,
    badges: [],
    isOutside: false,
    inbound: TRAFFIC,
    outbound: TRAFFIC,
  };
}

export function requestRow(more: Partial<RequestRow> = {}): RequestRow {
  return {
    at: '2026-01-01T00:00:00.000Z',
    durationMs: 3,
    proxy: 'istio-system/ztunnel-1',
    reporter: 'waypoint',
    protocol: 'http',
    source: 'workload/shop/web',
    sourceAddress: '198.18.1.3:4711',
    destination: 'workload/shop/cart',
    destinationAddress: '198.18.1.2:8080',
    service: 'cart.shop.svc.cluster.local',
    isMutualTls: true,
    method: 'GET',
    authority: 'cart',
    path: '/items',
    status: 200,
    grpcStatus: '',
    flags: '-',
    reason: '',
    route: '',
    policy: '',
    requestBytes: 10,
    responseBytes: 20,
    attempts: 1,
    requestId: 'r1',
    userAgent: 'curl',
    traceId: '',
    spanId: '',
    ...more,
  };
}

/** Everything that was asked of it is kept; what listens can be told something. */
export class FakeConsoleData implements ConsoleData {
  readonly asked: { readonly what: string; readonly request: unknown }[] = [];
  readonly graphListeners = new Set<GraphListener>();
  readonly tapListeners = new Set<(row: RequestRow) => void>();
  nodes: GraphNode[] = [node('shop', 'cart'), node('shop', 'web'), node('bank', 'vault')];
  readonly sink = {
    opened: () => -1,
    edge: () => undefined,
    frame: () => undefined,
    spans: () => undefined,
    records: () => undefined,
    dropped: () => undefined,
    closed: () => undefined,
  };

  async graph(request: GraphRequest): Promise<GraphAnswer> {
    this.#note('graph', request);
    const { windowSeconds, type, visible } = request;
    const nodes = this.nodes.filter(
      ({ namespace }) => visible === undefined || visible.includes(namespace),
    );
    return {
      generatedAt: '2026-01-01T00:00:00Z',
      at: '2026-01-01T00:00:00Z',
      windowSeconds,
      type,
      isLive: true,
      nodes,
      edges: [],
    };
  }
  async graphJson(request: GraphRequest, packing: Packing = 'identity'): Promise<Uint8Array> {
    const text = new TextEncoder().encode(JSON.stringify(await this.graph(request)));
    return pack(text, packing);
  }
  subscribeGraph(request: GraphRequest, listener: GraphListener): () => void {
    this.graphListeners.add(listener);
    void this.graphJson(request).then((json) => listener.graph(json));
    return () => void this.graphListeners.delete(listener);
  }
  async timeline(request: object) {
    this.#note('timeline', request);
    return {
      from: '2026-01-01T00:00:00Z',
      to: '2026-01-01T01:00:00Z',
      stepSeconds: 60,
      observedFrom: '2026-01-01T00:00:00Z',
      observedTo: '2026-01-01T00:01:00Z',
      requests: [1, null],
      errors: [0, null],
      connections: [0, null],
      failures: [0, null],
      marks: [],
    };
  }
  async series(request: object) {
    this.#note('series', request);
    const none: (number | null)[] = [null];
    return {
      from: '2026-01-01T00:00:00Z',
      to: '2026-01-01T01:00:00Z',
      stepSeconds: 60,
      requestsPerSecond: none,
      errorRate: none,
      p50Ms: none,
      p95Ms: none,
      p99Ms: none,
      connectionsPerSecond: none,
      bytesPerSecond: none,
      heat: [[0]],
      bounds: [],
      responseCodes: {},
      flags: {},
    };
  }
  async changes(request: object) {
    this.#note('changes', request);
    return [CHANGE];
  }
  async change(version: number) {
    return version === CHANGE.version
      ? { ...CHANGE, before: '', after: 'kind: AuthorizationPolicy\n' }
      : undefined;
  }
  async traffic() {
    return new Map(
      this.nodes.map(({ id }) => [
        id,
        { health: HEALTHY, inbound: TRAFFIC, outbound: TRAFFIC, p95Ms: 12, mtls: 1, spark: [1, 2] },
      ]),
    );
  }
  async mtlsCells(request: object) {
    this.#note('mtls', request);
    return [
      {
        source: 'workload/shop/web',
        target: 'workload/shop/cart',
        mtls: 10,
        plaintext: 0,
        denied: 1,
      },
    ];
  }
  async policyHits() {
    return [{ resource: 'AuthorizationPolicy shop/only-web', action: 'ALLOW', denied: 1 }];
  }
  async requests(request: object) {
    this.#note('requests', request);
    return [requestRow()];
  }
  tap(request: object, listener: (row: RequestRow) => void): () => void {
    this.#note('tap', request);
    this.tapListeners.add(listener);
    return () => void this.tapListeners.delete(listener);
  }
  async traces(request: object) {
    this.#note('traces', request);
    return { traces: [] };
  }
  async trace(traceId: string): Promise<TraceAnswer | undefined> {
    if (traceId !== 'a'.repeat(32)) return undefined;
    return {
      traceId,
      at: '2026-01-01T00:00:00Z',
      durationMs: 3,
      name: 'GET /',
      spans: 0,
      services: [],
      status: 'ok',
      spanRows: [],
    };
  }
  async storeState() {
    return { isPersistent: false, bytes: 0, droppedSpans: 0, droppedRecords: 0 };
  }
  thread() {
    return { deaths: 0, lostSeconds: 0 };
  }
  async close() {
    this.graphListeners.clear();
  }

  #note(what: string, request: unknown): void {
    this.asked.push({ what, request });
  }
}

const CHANGE = {
  at: '2026-01-01T00:00:00Z',
  kind: 'config',
  resource: 'AuthorizationPolicy bank/nobody',
  change: 'added',
  summary: 'added',
  version: 3,
} as const;

export interface ConsoleRig extends AsyncDisposable {
  readonly server: ConsoleServer;
  readonly data: FakeConsoleData;
  readonly kube: ReviewingKube;
  /** Tokens with which somebody acted at the API server. */
  readonly actedWith: string[];
  readonly origin: string;
  readonly port: number;
  ask(path: string, init?: RequestInit & { token?: string }): Promise<Response>;
}

export interface RigOptions extends Partial<AccessOptions> {
  readonly mesh?: MeshView;
  readonly bundle?: BundleSource;
  readonly clock?: Clock;
}

export const NO_BUNDLE: BundleSource = { files: () => new Map(), buildCommand: 'npm run web' };

export function startConsoleRig(options: RigOptions = {}): ConsoleRig {
  const { mesh = smallMesh(), bundle = NO_BUNDLE, clock = systemClock, ...access } = options;
  const data = new FakeConsoleData();
  const kube = new ReviewingKube();
  const actedWith: string[] = [];
  const server = new ConsoleServer(
    {
      clock,
      random: seededRandom(7),
      log: silentLogger,
      mesh,
      data,
      tap: () => () => undefined,
      kube,
      asReader: (token): KubeClient => {
        actedWith.push(token);
        return kube;
      },
      answerWhy: async (body) => ({ status: 200, value: { asked: body } }),
      status: () => ({ control: { ready: true }, proxies: [] }),
      judge: () => undefined,
      bundle,
    },
    {
      openTo: ['loopback'],
      guests: 'read',
      isReadOnly: false,
      hosts: [],
      namespace: 'istio-system',
      ...access,
    },
  );
  const end = serveConsole(server, { hostname: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${end.port}`;
  return {
    server,
    data,
    kube,
    actedWith,
    origin,
    port: end.port ?? 0,
    ask: (path, { token, ...init } = {}) =>
      fetch(origin + path, {
        redirect: 'manual',
        ...init,
        headers: {
          ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...(init.headers as Record<string, string> | undefined),
        },
      }),
    async [Symbol.asyncDispose]() {
      server.stop();
      await end.stop();
    },
  };
}
