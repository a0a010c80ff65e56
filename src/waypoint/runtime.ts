/** What both modes of the process share: clock, log, registry, recorder, engine, connection server. */
import { type Clock, systemClock } from '#base/clock.ts';
import { Drain, type DrainPart } from '#base/drain.ts';
import { createLogger, type Logger, type LogLevel, LogLevels } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Network } from '#net/network.ts';
import { SystemNames } from '#net/resolve/system-names.ts';
import { OtlpExporters } from '#otlp/exporters.ts';
import { LogWriter, standardOutput } from '#telemetry/access-log/log-writer.ts';
import { exposeProcess } from '#telemetry/metrics/istio.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { SpanOutlet } from '#telemetry/tracing/span-outlet.ts';
import type { AccessLogChoice } from './config/options.ts';
import type { ProxyTelemetry } from './config/telemetry.ts';
import { Engine } from './engine.ts';
import { DEREGISTER_MS, DRAIN_DEADLINE_MS, EDGE_SWEEP_MS, IDLE_GRACE_MS } from './limits.ts';
import { ConnectionServer } from './listener/serve-connection.ts';
import { Recorder } from './record/recorder.ts';
import { exposeLoad, exposeTracing } from './record/waypoint-metrics.ts';
import { type KnownWorkloads, SourceRegistry } from './source.ts';
import { DialTrace } from './tracing/dial-trace.ts';
import type { ProxySelf } from './tracing/proxy-self.ts';
import { RequestTracing } from './tracing/request-tracing.ts';
import { httpDial } from './transport/http-dial.ts';
import type { Transport } from './transport/transport.ts';

export interface Base {
  /** Changed while the process runs. */
  readonly levels: LogLevels;
  readonly clock: Clock;
  readonly log: Logger;
  readonly network: Network;
  readonly registry: MetricRegistry;
}

export interface Runtime extends Base {
  readonly sources: SourceRegistry;
  readonly engine: Engine;
  readonly server: ConnectionServer;
  readonly accessLog: LogWriter | undefined;
  /** Takes the spans of this process. */
  readonly spans: SpanOutlet;
  /** Collectors that take them. */
  readonly exporters: OtlpExporters;
  /** SIGTERM came. */
  isDraining: boolean;
}

export function createBase(logLevel: LogLevel): Base {
  const clock = systemClock;
  const levels = new LogLevels(logLevel);
  return {
    clock,
    levels,
    log: createLogger('waypoint', { clock, level: levels }),
    network: new BunNetwork({ clock }),
    registry: new MetricRegistry(),
  };
}

export function createRuntime(
  base: Base,
  options: {
    transport: Transport;
    accessLog: AccessLogChoice;
    cluster: string;
    /** Discovery, where there is one. */
    known?: KnownWorkloads;
    /** Who makes spans, as far as known by now. */
    self: () => ProxySelf;
    streamIdleMs?: number;
    streamLifeMs?: number;
  },
): Runtime {
  const { clock, log, registry } = base;
  const random = systemRandom;
  const { transport, cluster } = options;
  exposeProcess(registry, { component: 'proxy', tag: 'tulle' });
  const sources = new SourceRegistry(options.known);
  const accessLog = options.accessLog === 'off' ? undefined : new LogWriter(standardOutput);
  const format = options.accessLog === 'json' ? 'json' : 'text';
  const exporters = new OtlpExporters({ ...base, random, environment: process.env });
  const logs = { clock, log, registry, exporters, self: options.self };
  const recorder = new Recorder({ clock, registry, sources, accessLog, format, cluster, logs });
  const spans = new SpanOutlet();
  const tracing = new RequestTracing({
    clock,
    random,
    outlet: spans,
    environment: process.env,
    self: options.self,
  });
  const dialTrace = new DialTrace();
  const dial = httpDial(transport, { clock, dialTrace });
  const engine = new Engine({
    clock,
    random,
    log,
    dial,
    recorder,
    tracing,
    dialTrace,
    onTelemetry: (telemetry) => retainOutputs(telemetry, exporters, recorder),
    names: new SystemNames(),
    streamIdleMs: options.streamIdleMs,
    streamLifeMs: options.streamLifeMs,
  });
  spans.exports = (provider, span) => exporters.span(provider, span);
  exposeLoad(registry, engine);
  exposeTracing(registry, tracing);
  const reportConnections = () => {
    for (const run of engine.connections) run.report();
  };
  registry.onCollect(reportConnections);
  recorder.flows.onTake(reportConnections);
  clock.every(EDGE_SWEEP_MS, () => recorder.sweep());
  const server = new ConnectionServer({ engine, transport });
  return {
    ...base,
    sources,
    engine,
    server,
    accessLog,
    spans,
    exporters,
    isDraining: false,
  };
}

/** Collectors and files that no settings name any more are let go. */
function retainOutputs(
  telemetry: ProxyTelemetry,
  exporters: OtlpExporters,
  { accessLogs }: Recorder,
): void {
  const all = [...telemetry.all];
  const providers = all.flatMap(({ tracing: { provider } }) => provider ?? []);
  const logs = all.flatMap(({ accessLog: { outputs } }) =>
    outputs.flatMap(({ provider: name, sink }) =>
      sink.kind === 'otlp' ? [{ name, collector: sink.collector }] : [],
    ),
  );
  exporters.retain(providers, logs);
  accessLogs?.retain(all.map(({ accessLog }) => accessLog));
}

/** What the process lets in, and how it stops doing so. */
export interface Door {
  /** Connections that are open, with requests or without. */
  readonly connections: number;
  /** No new ones; what runs finishes. */
  drain(): void;
  close(): void;
}

/**
 * SIGTERM and SIGINT drain, a second one ends it. One that clients find by discovery goes on serving until they have heard
 * that it is gone; `over` comes before the process ends.
 */
export function drainOnTermination(
  runtime: Runtime,
  door: Door,
  options: { isDiscovered: boolean; over?: () => void },
): void {
  const { clock, log, engine, server } = runtime;
  let heardAt: number | undefined;
  const part: DrainPart = {
    takenOver() {
      heardAt ??= clock.now() + DEREGISTER_MS;
      return clock.now() >= heardAt;
    },
    leave() {
      door.drain();
      server.retire();
      clock.after(IDLE_GRACE_MS, () => server.drain());
    },
    get remaining() {
      return Math.max(engine.active, door.connections);
    },
    force(reason) {
      engine.endAll(reason);
      server.close();
      door.close();
    },
  };
  const drain = new Drain(
    { clock, log, parts: () => [part] },
    { deadlineMs: DRAIN_DEADLINE_MS, successor: options.isDiscovered },
  );
  // As log rotation asks everywhere.
  process.on('SIGUSR1', () => engine.recorder.accessLogs?.reopen());
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      runtime.isDraining = true;
      drain.signal(signal);
    });
  }
  void drain.over.then(() => {
    server.close();
    door.close();
    options.over?.();
    engine.recorder.accessLogs?.flush();
    // One turn for what was written last.
    void runtime.exporters.close().then(() => setImmediate(() => process.exit(0)));
  });
}
