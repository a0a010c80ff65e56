/** Proxies' reporters and control planes on real sockets: what is counted arrives, over restarts and by way of another replica. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Clock, systemClock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { FrameTime, ProxyKey, TelemetrySink } from '#console/telemetry-sink.ts';
import { openChannel } from '#http/grpc/channel.ts';
import { type CertificateAuthority, createRoot, loadAuthority } from '#identity/ca/authority.ts';
import { FlowBook, NOBODY } from '#telemetry/flow/flow-book.ts';
import type { FlowEdge, FlowFrame } from '#telemetry/flow/flow-frame.ts';
import { type Reporter, startReporter } from '#telemetry/report/reporter.ts';
import { ANY_REQUEST } from '#telemetry/requests/match-tap.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import { REPORT_METHOD, WATCH_METHOD } from '#wire/protobuf/telemetry.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { TRUSTED_NODE_ACCOUNTS } from '../ca/impersonation.ts';
import { ServingCertificate } from '../ca/serving.ts';
import { type DiscoveryPort, startDiscoveryPort } from '../push/discovery-port.ts';
import type { ResourceSources } from '../push/resource-source.ts';
import { Intake } from './intake.ts';
import { controlPrincipal, watchOthers } from './replicas.ts';

/** No sample takes what lasted less than nothing: only somebody who asks does. */
const isTapped = (report: Reporter['report']) => report.wantsRecord(false, -1);
const SERVER_NAME = 'istiod.istio-system.svc';
const PROXY = 'shop/wp-1';
const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
const principal = controlPrincipal({ trustDomain: 'cluster.local', rootNamespace: 'istio-system' });

/** Keeps what it is told beyond the control plane that it belongs to, as a store on disk does. */
class KeepingSink implements TelemetrySink {
  readonly seconds = new Map<ProxyKey, number>();
  /** Requests by workload and second, and how often each second came. */
  readonly requests = new Map<string, number[]>();
  readonly booked: number[] = [];
  /** Seconds between the proxy's clock and ours, as frames were booked. */
  readonly shifts = new Set<number>();
  readonly spans_: unknown[] = [];
  readonly records_: RequestRecord[] = [];
  #edges = new Map<number, FlowEdge>();

  opened(proxy: ProxyKey): number {
    this.#edges = new Map();
    return this.seconds.get(proxy) ?? -1;
  }
  edge(_proxy: ProxyKey, edge: FlowEdge): void {
    this.#edges.set(edge.id, edge);
  }
  frame(proxy: ProxyKey, frame: FlowFrame, at: FrameTime): void {
    if (frame.second <= (this.seconds.get(proxy) ?? -1)) return;
    this.seconds.set(proxy, frame.second);
    this.booked.push(frame.second);
    this.shifts.add(frame.second - at.second);
    for (const sample of frame.samples) {
      const workload = this.#edges.get(sample.edge)?.destination.workload ?? 'unsaid';
      this.requests.set(workload, [...(this.requests.get(workload) ?? []), sample.requests]);
    }
  }
  spans(_proxy: ProxyKey, spans: readonly unknown[]): void {
    this.spans_.push(...spans);
  }
  records(_proxy: ProxyKey, records: readonly RequestRecord[]): void {
    this.records_.push(...records);
  }
  dropped(): void {
    return;
  }
  closed(): void {
    return;
  }

  total(workload: string): number {
    return (this.requests.get(workload) ?? []).reduce((sum, each) => sum + each, 0);
  }
}

async function until(done: () => boolean, what: string) {
  const deadline = systemClock.now() + 10_000;
  while (!done()) {
    if (systemClock.now() > deadline) throw new Error(`never came true: ${what}`);
    await Bun.sleep(2);
  }
}

/** Real time, some seconds of it in one: frames come faster. */
function fastClock(factor: number): Clock {
  const start = systemClock.wallTime();
  return {
    now: () => systemClock.now() * factor,
    wallTime: () => start + (systemClock.wallTime() - start) * factor,
    after: (delayMs, callback) => systemClock.after(delayMs / factor, callback),
    every: (periodMs, callback) => systemClock.every(periodMs / factor, callback),
  };
}

const NO_SOURCE = {
  ready: true,
  typeUrl: '',
  subscribe: () => () => undefined,
  get: () => undefined,
  all: () => [],
  names: () => [],
  visible: () => false,
};

let scope: Scope;
let folder: string;
let authority: CertificateAuthority;

beforeEach(async () => {
  scope = new Scope();
  folder = mkdtempSync(join(tmpdir(), 'tulle-report-'));
  scope.add(() => rmSync(folder, { recursive: true }));
  authority = await loadAuthority(deps, await createRoot(deps, 'cluster.local'));
  writeFileSync(join(folder, 'root.pem'), authority.root);
  writeFileSync(join(folder, 'token'), 'wp');
});
afterEach(() => scope.dispose());

interface Control {
  readonly port: DiscoveryPort;
  readonly intake: Intake;
  stop(): Promise<void>;
}

async function startControl(
  sink: TelemetrySink,
  options: { address?: string; port?: number; clock?: Clock } = {},
): Promise<Control> {
  const { address = '127.0.0.1', port = 0, clock = systemClock } = options;
  const intake = new Intake({
    ...deps,
    clock,
    sink,
    refine: (edge) => edge,
    reportProblem: (caller, proxy) =>
      caller.namespace === proxy.split('/')[0] ? undefined : 'not yours',
  });
  const serving = await ServingCertificate.create({ ...deps, authority }, [SERVER_NAME]);
  const types = [
    'address',
    'authorization',
    'routeTable',
    'upstream',
    'gatewayConfig',
    'telemetry',
    'tlsMaterial',
  ];
  const sources = Object.fromEntries(types.map((type) => [type, { ...NO_SOURCE, typeUrl: type }]));
  const started = await startDiscoveryPort(
    {
      ...deps,
      serving,
      sources: sources as unknown as ResourceSources,
      authority,
      pods: { pod: () => undefined, podsOnNode: () => [] },
      authenticate: async (token) => ({ namespace: 'shop', serviceAccount: token, pod: undefined }),
      isCurrent: () => true,
      clusterId: 'Kubernetes',
      intake,
    },
    {
      address,
      port,
      trustDomain: 'cluster.local',
      trustedAccounts: TRUSTED_NODE_ACCOUNTS,
      ownPrincipal: principal,
    },
  );
  let stopped = false;
  const stop = async () => {
    if (stopped) return;
    stopped = true;
    serving.stop();
    await started.stop();
  };
  scope.add(() => void stop());
  return { port: started, intake, stop };
}

interface Proxy {
  readonly reporter: Reporter;
  readonly xds: XdsClient;
  count(workload: string, requests?: number): void;
}

function startProxy(to: string, clock: Clock = systemClock, name = PROXY): Proxy {
  const book = new FlowBook();
  const transport = grpcTransport(systemClock, {
    address: to,
    serverName: SERVER_NAME,
    rootFile: join(folder, 'root.pem'),
    tokenFile: join(folder, 'token'),
    clusterId: 'Kubernetes',
  });
  const xds = startXdsClient(
    { ...deps, transport },
    {
      node: {
        type: 'waypoint',
        ip: '127.0.0.1',
        podName: 'wp-1',
        podNamespace: 'shop',
        metadata: {},
      },
      types: [{ typeUrl: 'address', decode: () => 'never' } as never],
    },
  );
  const reporter = startReporter(
    {
      clock,
      random: systemRandom,
      log: silentLogger,
      book,
      open: (handler) => transport.stream(REPORT_METHOD, handler),
    },
    { proxy: name, version: '1' },
  );
  xds.onConnection((connected) => reporter.connected(connected));
  scope.add(() => {
    reporter.stop();
    xds.stop();
  });
  return {
    reporter,
    xds,
    count(workload, requests = 1) {
      const tally = book.tally({
        reporter: 'waypoint',
        protocol: 'http',
        source: NOBODY,
        destination: { ...NOBODY, kind: 'workload', namespace: 'shop', workload },
        service: { host: '', namespace: '', name: '' },
        isMutualTls: true,
      });
      const outcome = tally.outcome(200, -1, '-');
      for (let index = 0; index < requests; index++) outcome.add(1, 1, 1);
    },
  };
}

const RECORD: RequestRecord = {
  startMs: 1,
  durationMs: 1,
  proxy: PROXY,
  reporter: 'waypoint',
  protocol: 'http',
  source: NOBODY,
  sourceAddress: '',
  destination: NOBODY,
  destinationAddress: '',
  service: '',
  isMutualTls: true,
  method: 'GET',
  authority: '',
  path: '/',
  status: 200,
  grpcStatus: '',
  flags: '-',
  reason: '',
  route: '',
  policy: '',
  requestBytes: 0,
  responseBytes: 0,
  attempts: 1,
  requestId: '',
  userAgent: '',
  traceId: '',
  spanId: '',
};

const FACTOR = 20;

describe('the telemetry stream', () => {
  test('brings what is counted, once, over a control plane that is killed and comes back', async () => {
    const clock = fastClock(FACTOR);
    const sink = new KeepingSink();
    let control = await startControl(sink, { clock });
    const { port } = control.port;
    const proxy = startProxy(`127.0.0.1:${port}`, clock);
    let counted = 0;
    const timer = systemClock.every(5, () => {
      proxy.count(counted % 2 === 0 ? 'v1' : 'v2');
      counted += 1;
    });
    await until(() => sink.booked.length >= 4, 'frames before');
    await control.stop();
    const before = sink.booked.length;
    await Bun.sleep(300);
    expect(sink.booked).toHaveLength(before);
    control = await startControl(sink, { port, clock });
    await until(() => sink.booked.length >= before + 10, 'frames after');
    timer.cancel();
    await until(() => sink.total('v1') + sink.total('v2') === counted, 'all of it');
    expect(sink.requests.has('unsaid')).toBe(false);
    expect(sink.booked).toEqual([...new Set(sink.booked)].sort());
    expect([...sink.shifts].every((shift) => Math.abs(shift) <= 1)).toBe(true);
  });

  test('a tap reaches the proxy and what it asks for comes back', async () => {
    const sink = new KeepingSink();
    const control = await startControl(sink);
    const { reporter } = startProxy(`127.0.0.1:${control.port.port}`);
    await until(() => control.intake.states().length === 1, 'connected');
    const got: RequestRecord[] = [];
    const stop = control.intake.tap(ANY_REQUEST, (record) => got.push(record));
    await until(() => isTapped(reporter.report), 'asked');
    reporter.report.offerRecord(RECORD);
    await until(() => got.length === 1, 'record');
    expect(got[0]).toEqual(RECORD);
    stop();
    await until(() => !isTapped(reporter.report), 'asked no more');
  });

  test('another replica is told the same, from its own last second on, and its taps reach the proxy', async () => {
    const clock = fastClock(FACTOR);
    const here = new KeepingSink();
    const there = new KeepingSink();
    const control = await startControl(here, { clock });
    const { port } = control.port;
    const proxy = startProxy(`127.0.0.1:${port}`, clock);
    proxy.count('v1', 3);
    await until(() => here.total('v1') === 3, 'here');
    const other = await startControl(there, { address: '127.0.0.2', port, clock });
    const watch = () =>
      watchOthers(
        { ...deps, authority, intake: other.intake },
        {
          principal,
          port,
          serverName: SERVER_NAME,
          clusterId: 'Kubernetes',
          replicas: () => [{ name: 'istiod-1', ip: '127.0.0.1' }],
        },
      );
    let stopWatch = watch();
    scope.add(() => stopWatch());
    // What was before it began to watch is resent.
    await until(() => there.total('v1') === 3, 'there');
    proxy.count('v2', 2);
    await until(() => there.total('v2') === 2, 'live there');
    expect(other.intake.state(PROXY)?.replica).toBe('istiod-1');
    const got: RequestRecord[] = [];
    const stopTap = other.intake.tap(ANY_REQUEST, (record) => got.push(record));
    await until(() => isTapped(proxy.reporter.report), 'asked from there');
    proxy.reporter.report.offerRecord(RECORD);
    await until(() => got.length === 1, 'record there');
    stopTap();
    await until(() => !isTapped(proxy.reporter.report), 'asked no more');
    // Away for a while, and back.
    stopWatch();
    proxy.count('v2', 5);
    await until(() => here.total('v2') === 7, 'here meanwhile');
    expect(there.total('v2')).toBe(2);
    stopWatch = watch();
    await until(() => there.total('v2') === 7, 'caught up');
    expect(here.total('v1') + here.total('v2')).toBe(10);
    expect(there.requests.has('unsaid')).toBe(false);
    // A second that one of them may have had later than the other.
    const count = Math.min(here.booked.length, there.booked.length);
    expect(there.booked.slice(0, count)).toEqual(here.booked.slice(0, count));
  });

  test('a proxy that moves to the other replica is known to both by its new connection', async () => {
    const sinks = [new KeepingSink(), new KeepingSink()];
    const one = await startControl(sinks[0]);
    const { port } = one.port;
    const two = await startControl(sinks[1], { address: '127.0.0.2', port });
    const ips = ['127.0.0.1', '127.0.0.2'];
    for (const [self, { intake }] of [one, two].entries()) {
      const replicas = () => [{ name: `istiod-${2 - self}`, ip: ips[1 - self] }];
      const options = { principal, port, serverName: SERVER_NAME, clusterId: 'k', replicas };
      scope.add(watchOthers({ ...deps, authority, intake }, options));
    }
    const first = startProxy(`127.0.0.1:${port}`);
    await until(() => two.intake.state(PROXY)?.replica === 'istiod-1', 'relayed to two');
    // Its old connection is left hanging: nobody told one that it is gone.
    await Bun.sleep(5);
    const second = startProxy(`127.0.0.2:${port}`);
    await until(() => two.intake.state(PROXY)?.replica === '', 'direct at two');
    await until(() => one.intake.state(PROXY)?.replica === 'istiod-2', 'relayed to one');
    first.reporter.stop();
    second.count('v1', 4);
    await until(() => sinks.every((sink) => sink.total('v1') === 4), 'both know');
  });
});

describe('watching', () => {
  test('is for control planes only', async () => {
    const control = await startControl(new KeepingSink());
    const address = `127.0.0.1:${control.port.port}`;
    const refusals: (string | undefined)[] = [];
    const channel = openChannel(systemClock, {
      address,
      serverName: SERVER_NAME,
      rootFile: join(folder, 'root.pem'),
      tokenFile: join(folder, 'token'),
      clusterId: 'Kubernetes',
    });
    scope.add(() => channel.close());
    const stream = channel.stream(WATCH_METHOD, {
      onMessage: () => refusals.push('told something'),
      onClose: (error) => refusals.push(error?.code),
    });
    stream.send(new Uint8Array());
    await until(() => refusals.length > 0, 'refused');
    expect(refusals).toEqual(['GRPC_REFUSED']);
  });

  test('reports of somebody else are refused', async () => {
    const control = await startControl(new KeepingSink());
    startProxy(`127.0.0.1:${control.port.port}`, systemClock, 'other/wp-1');
    await Bun.sleep(200);
    expect(control.intake.states()).toEqual([]);
  });
});
