import { beforeEach, describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import type { FrameTime, ProxyKey, TelemetrySink } from '#console/telemetry-sink.ts';
import type { ServerStream } from '#http/grpc/server.ts';
import { GRPC_STATUS } from '#http/grpc/status.ts';
import { NOBODY } from '#telemetry/flow/flow-book.ts';
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import { encodeFrame } from '#telemetry/flow/frame-codec.ts';
import { edgeMessage } from '#telemetry/report/messages.ts';
import { ANY_REQUEST } from '#telemetry/requests/match-tap.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { OrderMessage, RecordMessage, ReportMessage } from '#wire/protobuf/telemetry.ts';
import type { Caller } from '../push/caller.ts';
import { ClockOffset } from './clock-offset.ts';
import { Intake } from './intake.ts';
import {
  EDGE_IDS_MAX,
  FILTERS_MAX,
  FRAME_AGE_SECONDS_MAX,
  OFFSET_WINDOW_MS,
  REPORT_BYTES_MAX,
  REPORTS_BURST_MAX,
  REPORTS_PER_SECOND_MAX,
  ROLES_KEPT_MS,
  SHIFT_HYSTERESIS_MS,
  UNTAKEN_REPORTS_MAX,
} from './limits.ts';
import { refined, reportProblem, roleOfPod, workloadRoles } from './proxy-roles.ts';
import { reportMethod } from './report-stream.ts';
import { TokenBucket } from './token-bucket.ts';

const NOW = 1_800_000_000_000;
const SECOND = NOW / 1000;

class RecordingSink implements TelemetrySink {
  readonly events: string[] = [];
  readonly frames: { proxy: string; frame: FlowFrame; at: FrameTime }[] = [];
  readonly edges: FlowEdge[] = [];
  since = -1;

  opened(proxy: ProxyKey): number {
    this.events.push(`opened ${proxy}`);
    return this.since;
  }
  edge(_proxy: ProxyKey, edge: FlowEdge): void {
    this.edges.push(edge);
  }
  frame(proxy: ProxyKey, frame: FlowFrame, at: FrameTime): void {
    this.frames.push({ proxy, frame, at });
  }
  spans(proxy: ProxyKey, spans: readonly unknown[]): void {
    this.events.push(`spans ${proxy} ${spans.length}`);
  }
  records(proxy: ProxyKey, records: readonly RequestRecord[]): void {
    this.events.push(`records ${proxy} ${records.map((record) => record.proxy)}`);
  }
  dropped(proxy: ProxyKey, dropped: object): void {
    this.events.push(`dropped ${proxy} ${JSON.stringify(dropped)}`);
  }
  closed(proxy: ProxyKey): void {
    this.events.push(`closed ${proxy}`);
  }
}

class FakeServerStream implements ServerStream {
  readonly peer = '198.18.0.1:1';
  readonly principals = [];
  readonly orders: OrderMessage[] = [];
  status: { code: number; details: string } | undefined;
  onClose: () => void = () => undefined;

  header(name: string): string | undefined {
    return name === 'authorization' ? 'Bearer token' : undefined;
  }
  send(bytes: Uint8Array): void {
    const order = OrderMessage.decode(bytes);
    if (typeof order === 'string') throw new Error(order);
    this.orders.push(order);
  }
  close(status: { code: number; details: string }): void {
    if (this.status !== undefined) return;
    this.status = status;
    this.onClose();
  }
}

const EDGE: FlowEdge = {
  id: 0,
  reporter: 'waypoint',
  protocol: 'http',
  source: { ...NOBODY, kind: 'workload', namespace: 'shop', workload: 'web' },
  destination: { ...NOBODY, kind: 'workload', namespace: 'shop', workload: 'db' },
  service: { host: '', namespace: '', name: '' },
  isMutualTls: true,
};

function frameOf(second: number, edge = 0): Uint8Array {
  const sample = {
    edge,
    requests: 1,
    codes: [[200, 1]] as const,
    grpcStatuses: [],
    flags: [],
    latency: [],
    durationMsSum: 1,
    opened: 0,
    closed: 0,
    failed: 0,
    sentBytes: 1,
    receivedBytes: 1,
  };
  return encodeFrame({ second, samples: [sample] });
}

let clock: FakeClock;
let sink: RecordingSink;
let intake: Intake;
let caller: Caller | string;

beforeEach(() => {
  clock = new FakeClock(NOW);
  sink = new RecordingSink();
  caller = { namespace: 'shop', serviceAccount: 'waypoint', pod: { name: 'wp-1', uid: '1' } };
  intake = new Intake({
    clock,
    log: silentLogger,
    sink,
    refine: (edge) => edge,
    reportProblem: (_caller, proxy) => (proxy.startsWith('shop/') ? undefined : 'not yours'),
  });
});

/** A proxy's stream, `skewMs` ahead of our clock. */
async function connect(proxy = 'shop/wp-1', skewMs = 0) {
  const stream = new FakeServerStream();
  const method = reportMethod(intake, {
    log: silentLogger,
    authenticate: async () => caller,
    clusterId: 'Kubernetes',
  });
  const handler = method(stream);
  stream.onClose = () => handler.onClose();
  const send = (report: Partial<ReportMessage>) =>
    handler.onMessage(
      ReportMessage.encode(ReportMessage.create({ now_ms: clock.wallTime() + skewMs, ...report })),
    );
  send({ hello: { proxy, version: '1' } });
  await Bun.sleep(0);
  return { stream, send, handler };
}

describe('a report stream', () => {
  test('is welcomed with the last known second, and what it says reaches the sink', async () => {
    sink.since = SECOND - 50;
    const { stream, send } = await connect();
    expect(stream.orders).toMatchObject([{ resend: { since: SECOND - 50 }, taken: 1 }]);
    send({ edges: [edgeMessage(EDGE)] });
    send({ frames: [frameOf(SECOND - 60), frameOf(SECOND - 2), frameOf(SECOND - 1)] });
    // What came twice is passed over.
    send({ frames: [frameOf(SECOND - 1)], dropped: { spans: 2, records: 3 } });
    send({ records: [RecordMessage.create({ proxy: 'shop/other' })] });
    expect(sink.frames.map(({ at }) => at.second - SECOND)).toEqual([-2, -1]);
    expect(sink.edges).toEqual([EDGE]);
    expect(sink.events).toEqual([
      'opened shop/wp-1',
      'dropped shop/wp-1 {"spans":2,"records":3}',
      'records shop/wp-1 shop/wp-1',
    ]);
    expect(stream.orders.at(-1)?.taken).toBe(5);
    expect(intake.hasStreamed('shop/wp-1')).toBe(true);
  });

  test.each([
    ['an hour ahead', 3_600_000],
    ['a minute and a bit behind', -60_400],
    ['half a second ahead', 500],
    ['as ours', 0],
  ])('with a clock that is %s has its seconds booked as ours', async (_title, skewMs) => {
    const { send } = await connect('shop/wp-1', skewMs);
    send({ edges: [edgeMessage(EDGE)] });
    for (let second = 0; second < 5; second++) {
      clock.advance(1000);
      const own = Math.floor((clock.wallTime() + skewMs) / 1000) - 1;
      send({ frames: [frameOf(own)] });
    }
    const booked = sink.frames.map(({ at }) => at.second - SECOND);
    expect(booked).toEqual([0, 1, 2, 3, 4].map((second) => second + booked[0]));
    expect(Math.abs(booked[0])).toBeLessThanOrEqual(1);
    expect(intake.state('shop/wp-1')).toMatchObject({
      clockOffsetMs: skewMs,
      reportedMs: clock.wallTime(),
      connectedMs: NOW,
      replica: '',
    });
  });

  const ROWS: [string, Partial<ReportMessage>, string][] = [
    ['an edge that was not said', { frames: [frameOf(SECOND - 1, 7)] }, 'edge 7 was not said'],
    ['an id beyond all', { edges: [edgeMessage({ ...EDGE, id: EDGE_IDS_MAX })] }, 'is beyond'],
    ['a second that is not over', { frames: [frameOf(SECOND + 5)] }, 'is not over'],
    ['a broken frame', { frames: [Uint8Array.of(0x1a, 1, 0x80)] }, 'Frame'],
  ];
  test.each(ROWS)('that speaks of %s is ended', async (_title, report, reason) => {
    const { stream, send } = await connect();
    send({ edges: [edgeMessage(EDGE)] });
    send(report);
    expect(stream.status?.code).toBe(GRPC_STATUS.invalidArgument);
    expect(stream.status?.details).toContain(reason);
    expect(sink.events.at(-1)).toBe('closed shop/wp-1');
    expect(intake.states()).toEqual([]);
  });

  test('may resend what is old, which nobody wants', async () => {
    const { stream, send } = await connect();
    send({ edges: [edgeMessage(EDGE)], frames: [frameOf(SECOND - FRAME_AGE_SECONDS_MAX - 1)] });
    expect(stream.status).toBeUndefined();
    expect(sink.frames).toEqual([]);
  });

  test('is ended when it sends too much, too large, or nonsense', async () => {
    const large = await connect('shop/wp-1');
    large.handler.onMessage(new Uint8Array(REPORT_BYTES_MAX + 1));
    expect(large.stream.status?.code).toBe(GRPC_STATUS.resourceExhausted);
    const impatient = await connect('shop/wp-2');
    // So many at once are taken; of the next ones it is told only when it may send more.
    for (let count = 0; count < REPORTS_BURST_MAX; count++) impatient.send({});
    expect(impatient.stream.orders.at(-1)?.taken).toBe(REPORTS_BURST_MAX + 1);
    impatient.send({});
    expect(impatient.stream.orders.at(-1)?.taken).toBe(REPORTS_BURST_MAX + 1);
    clock.advance(1000 / REPORTS_PER_SECOND_MAX + 1);
    expect(impatient.stream.orders.at(-1)?.taken).toBe(REPORTS_BURST_MAX + 2);
    for (let count = 0; count <= UNTAKEN_REPORTS_MAX; count++) impatient.send({});
    expect(impatient.stream.status?.code).toBe(GRPC_STATUS.resourceExhausted);
    expect(clock.pending).toBe(0);
    const broken = await connect('shop/wp-3');
    broken.handler.onMessage(Uint8Array.of(0xff));
    expect(broken.stream.status?.code).toBe(GRPC_STATUS.invalidArgument);
  });

  test('of somebody else, or of nobody, is refused', async () => {
    const foreign = await connect('other/wp-1');
    expect(foreign.stream.status).toMatchObject({
      code: GRPC_STATUS.permissionDenied,
      details: 'not yours',
    });
    caller = 'token refused';
    const { stream } = await connect();
    expect(stream.status?.code).toBe(GRPC_STATUS.unauthenticated);
    expect(sink.events).toEqual([]);
  });

  test('that does not say first who it is is refused', async () => {
    const stream = new FakeServerStream();
    const authenticate = async () => caller;
    const handler = reportMethod(intake, { log: silentLogger, authenticate, clusterId: 'k' })(
      stream,
    );
    handler.onMessage(ReportMessage.encode(ReportMessage.create({ now_ms: 1 })));
    await Bun.sleep(0);
    expect(stream.status?.details).toContain('does not say who sends it');
  });

  test('any bytes end it or not, and never throw', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 60 })), async (messages) => {
        const { handler } = await connect();
        for (const bytes of messages) handler.onMessage(bytes);
      }),
      { numRuns: 50 },
    );
  });

  test('a second one of the same proxy takes over, and what the first still says is not heard', async () => {
    const first = await connect();
    first.send({ edges: [edgeMessage(EDGE)] });
    clock.advance(10);
    const second = await connect();
    expect(first.stream.status?.code).toBe(GRPC_STATUS.unavailable);
    first.send({ frames: [frameOf(SECOND - 1)] });
    expect(sink.frames).toEqual([]);
    second.send({ edges: [edgeMessage(EDGE)], frames: [frameOf(SECOND - 1)] });
    expect(sink.frames).toHaveLength(1);
    expect(sink.events).toEqual(['opened shop/wp-1', 'closed shop/wp-1', 'opened shop/wp-1']);
  });
});

describe('Intake.begin', () => {
  const options = (connectedMs: number, replica: string) => ({
    proxy: 'shop/wp-1',
    connectedMs,
    replica,
    offset: new ClockOffset(),
  });

  test('takes the younger connection, and an older one once that is over', () => {
    const ours = intake.begin(options(NOW, ''));
    expect(intake.begin(options(NOW - 1, 'istiod-2'))).toBeUndefined();
    const moved = intake.begin(options(NOW + 1, 'istiod-2'));
    expect(ours?.over).toBe(true);
    expect(intake.state('shop/wp-1')?.replica).toBe('istiod-2');
    if (moved !== undefined) intake.end(moved);
    expect(intake.states()).toEqual([]);
    expect(intake.begin(options(NOW - 1, 'istiod-3'))).toBeDefined();
    expect(intake.silent()).toEqual([]);
    for (const { proxy } of intake.states()) expect(proxy).toBe('shop/wp-1');
  });

  test('remembers who had a stream until it is told that it is gone', () => {
    const carrier = intake.begin(options(NOW, ''));
    if (carrier !== undefined) intake.end(carrier);
    expect(intake.silent()).toEqual(['shop/wp-1']);
    intake.forget('shop/wp-1');
    expect([intake.hasStreamed('shop/wp-1'), intake.silent()]).toEqual([false, []]);
  });
});

describe('Intake.tap', () => {
  test('tells all proxies what is asked for, also those that come later, and hands on what fits', async () => {
    const early = await connect('shop/wp-1');
    const got: string[] = [];
    const stop = intake.tap({ ...ANY_REQUEST, methods: ['GET'] }, ({ path }) => got.push(path));
    const later = await connect('shop/wp-2');
    for (const { stream } of [early, later])
      expect(stream.orders.at(-1)?.taps?.taps).toMatchObject([{ methods: ['GET'] }]);
    const records = ['GET', 'POST'].map((method) =>
      RecordMessage.create({ method, path: `/${method}`, flags: '-' }),
    );
    later.send({ records });
    expect(got).toEqual(['/GET']);
    stop();
    stop();
    expect(early.stream.orders.at(-1)?.taps?.taps).toEqual([]);
    later.send({ records });
    expect(got).toHaveLength(1);
  });

  test('tells one filter once, however many hold it, and refuses more than proxies can take', () => {
    const noop = () => undefined;
    const stops = [intake.tap(ANY_REQUEST, noop), intake.tap(ANY_REQUEST, noop)];
    expect(intake.filters.all).toEqual([ANY_REQUEST]);
    stops[0]();
    expect(intake.filters.all).toEqual([ANY_REQUEST]);
    for (let index = 1; index < FILTERS_MAX; index++)
      intake.tap({ ...ANY_REQUEST, pathPrefix: `/${index}` }, noop);
    expect(() => intake.tap({ ...ANY_REQUEST, pathPrefix: '/more' }, noop)).toThrow('in use');
    expect(() => intake.tap(ANY_REQUEST, noop)).not.toThrow();
  });

  test('knows what is asked for here from what is asked for at other replicas', () => {
    intake.tap(ANY_REQUEST, () => undefined);
    const foreign = { ...ANY_REQUEST, onlyFailed: true };
    intake.filters.holdFor('a', [foreign, ANY_REQUEST]);
    expect(intake.filters.own).toEqual([ANY_REQUEST]);
    expect(intake.filters.all).toEqual([ANY_REQUEST, foreign]);
    intake.filters.holdFor('a', []);
    expect(intake.filters.all).toEqual([ANY_REQUEST]);
  });
});

describe('ClockOffset', () => {
  test('is the nearest of what was measured lately, whatever the delays', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -1e9, max: 1e9 }),
        fc.array(fc.nat(5000), { minLength: 1, maxLength: 50 }),
        (skewMs, delays) => {
          const offset = new ClockOffset();
          let ours = NOW;
          for (const delay of delays) {
            offset.note(ours + skewMs, ours + delay);
            ours += 100;
          }
          expect(offset.ms).toBe(skewMs - Math.min(...delays));
        },
      ),
    );
  });

  test('follows a clock that is set', () => {
    const offset = new ClockOffset();
    offset.note(NOW + 5000, NOW);
    for (let at = 0; at <= 2 * OFFSET_WINDOW_MS; at += 1000) offset.note(NOW + at, NOW + at);
    expect(offset.ms).toBe(0);
    offset.note(NOW, NOW - 3_600_000);
    expect(offset.ms).toBe(3_600_000);
  });

  test('its shift stays where it is while clocks wander around half a second', () => {
    const offset = new ClockOffset();
    offset.note(NOW + 490, NOW);
    expect(offset.shiftSeconds).toBe(0);
    offset.note(NOW + SHIFT_HYSTERESIS_MS, NOW);
    expect(offset.shiftSeconds).toBe(0);
    offset.note(NOW + SHIFT_HYSTERESIS_MS + 1, NOW);
    expect(offset.shiftSeconds).toBe(1);
  });
});

describe('TokenBucket', () => {
  test('gives so much at once, then so much a second, and says how long to wait for more', () => {
    const bucket = new TokenBucket(clock, { burst: 10, perSecond: 2 });
    expect([bucket.spend(10), bucket.spend(1), bucket.spend(2)]).toEqual([0, 500, 1500]);
    clock.advance(1500);
    expect([bucket.spend(0), bucket.spend(2)]).toEqual([0, 1000]);
    clock.advance(60_000);
    expect([bucket.spend(10), bucket.spend(2)]).toEqual([0, 1000]);
  });
});

describe('reportProblem', () => {
  const pod = (labels: Record<string, string>, serviceAccountName?: string) => ({
    metadata: { uid: '1', labels },
    spec: { serviceAccountName },
  });
  const GATEWAY = { 'gateway.networking.k8s.io/gateway-name': 'wp' };
  const pods = new Map<string, unknown>([
    ['shop/wp-1', pod(GATEWAY, 'wp')],
    ['shop/app-1', pod({ app: 'ztunnel' }, 'wp')],
    ['istio-system/node-1', pod({ app: 'ztunnel' }, 'ztunnel')],
    ['shop/plain', pod(GATEWAY)],
  ]);
  const workloadEntries = new Map<string, unknown>([
    ['shop/vm', { spec: { serviceAccount: 'vm' } }],
  ]);
  pods.set('edge/ingress-1', pod({ istio: 'ingress' }, 'ingress'));
  // An Istio Gateway selects it.
  const gatewayProxies = new Map<string, unknown>([['edge/ingress-1', {}]]);
  const gateways = new Map<string, unknown>([
    ['shop/wp', { spec: { gatewayClassName: 'istio-waypoint' } }],
    ['edge/web', { spec: { gatewayClassName: 'istio' } }],
  ]);
  const mesh = { gatewayProxies, sources: { pods, workloadEntries, gateways } } as never;
  const who = (namespace: string, serviceAccount: string, name?: string, uid = '1'): Caller => ({
    namespace,
    serviceAccount,
    pod: name === undefined ? undefined : { name, uid },
  });
  const ROWS: [string, Caller, string, string | undefined][] = [
    ['a waypoint', who('shop', 'wp', 'wp-1'), 'shop/wp-1', undefined],
    ['a node proxy', who('istio-system', 'ztunnel', 'node-1'), 'istio-system/node-1', undefined],
    ['a token without a pod', who('shop', 'wp'), 'shop/wp-1', undefined],
    ['the default account', who('shop', 'default', 'plain'), 'shop/plain', undefined],
    ['a machine', who('shop', 'vm'), 'shop/vm', undefined],
    ['a gateway of the user', who('edge', 'ingress', 'ingress-1'), 'edge/ingress-1', undefined],
    ['another namespace', who('other', 'wp', 'wp-1'), 'shop/wp-1', 'may not report'],
    ['another pod', who('shop', 'wp', 'app-1'), 'shop/wp-1', 'pod app-1 may not'],
    ['the pod before it', who('shop', 'wp', 'wp-1', '0'), 'shop/wp-1', 'was replaced'],
    ['another account', who('shop', 'web'), 'shop/wp-1', 'runs as wp'],
    ['an app that calls itself a node proxy', who('shop', 'wp', 'app-1'), 'shop/app-1', 'no proxy'],
    ['a pod that is not there', who('shop', 'wp', 'gone'), 'shop/gone', 'not known'],
    ['an account of no machine', who('shop', 'web'), 'shop/vm', 'runs as vm'],
    ['a pod that plays a machine', who('shop', 'vm', 'vm'), 'shop/vm', 'not known'],
    ['a name without namespace', who('shop', 'wp'), 'wp-1', 'may not report'],
  ];
  test.each(ROWS)('%s', (_title, caller, proxy, want) => {
    const problem = reportProblem(mesh, { caller, proxy, rootNamespace: 'istio-system' });
    if (want === undefined) expect(problem).toBeUndefined();
    else expect(problem).toContain(want);
  });
});

describe('workloadRoles', () => {
  test('knows waypoints by their Gateway, and every proxy by its pods', () => {
    const owned = (name: string, labels: Record<string, string>) => ({
      metadata: {
        name: `${name}-abc-x`,
        labels: { ...labels, 'pod-template-hash': 'abc' },
        ownerReferences: [{ kind: 'ReplicaSet', name: `${name}-abc`, controller: true }],
      },
    });
    const named = { 'gateway.networking.k8s.io/gateway-name': 'x' };
    const pods = new Map<string, unknown>([
      ['shop/named-abc-x', owned('named', named)],
      ['edge/web-istio-abc-x', owned('web-istio', named)],
      ['edge/app-abc-x', owned('app', {})],
    ]);
    const gateways = new Map<string, unknown>([
      ['shop/wp', { spec: { gatewayClassName: 'istio-waypoint' } }],
      ['edge/web', { spec: { gatewayClassName: 'istio' } }],
    ]);
    const gatewayProxies = new Map<string, unknown>([['edge/web-istio-abc-x', {}]]);
    const proxies = new Map([...pods].filter(([key]) => key !== 'edge/app-abc-x'));
    const ownPods = { proxies };
    const mesh = { gatewayProxies, ownPods, sources: { pods, gateways } } as never;
    const roleOf = workloadRoles(clock, mesh);
    const names = ['shop/wp', 'shop/named', 'edge/web-istio', 'edge/app', 'edge/web'];
    expect(names.map(roleOf)).toEqual(['waypoint', 'waypoint', 'gateway', undefined, undefined]);
    gateways.delete('shop/wp');
    expect(roleOf('shop/wp')).toBe('waypoint');
    clock.advance(ROLES_KEPT_MS);
    expect(roleOf('shop/wp')).toBeUndefined();
    expect(roleOfPod(mesh, 'a/b', { metadata: { labels: { app: 'ztunnel' } } } as never)).toBe(
      'node',
    );
  });
});

describe('refined', () => {
  test('calls workloads what the mesh knows them as, and leaves what is outside', () => {
    const roles: Record<string, 'waypoint'> = { 'shop/db': 'waypoint' };
    const outside = { ...NOBODY, kind: 'external' as const, namespace: 'shop', workload: 'db' };
    const edge = refined({ ...EDGE, source: outside }, (key) => roles[key]);
    expect([edge.source.kind, edge.destination.kind]).toEqual(['external', 'waypoint']);
    expect(refined(EDGE, () => undefined)).toEqual(EDGE);
  });
});
