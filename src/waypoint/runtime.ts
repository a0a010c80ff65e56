/** What both modes of the process share: clock, log, registry, recorder, engine, connection server. */
import { type Clock, systemClock } from '#base/clock.ts';
import { Drain, type DrainPart } from '#base/drain.ts';
import { createLogger, type Logger, type LogLevel } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Network } from '#net/network.ts';
import { LogWriter, standardOutput } from '#telemetry/access-log/log-writer.ts';
import { exposeBuild } from '#telemetry/metrics/istio.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { AccessLogChoice } from './config/options.ts';
import { Engine } from './engine.ts';
import { DEREGISTER_MS, DRAIN_DEADLINE_MS, EDGE_SWEEP_MS, IDLE_GRACE_MS } from './limits.ts';
import { ConnectionServer } from './listener/serve-connection.ts';
import { Recorder } from './record/recorder.ts';
import { SourceRegistry } from './source.ts';
import { httpDial } from './transport/http-dial.ts';
import type { Transport } from './transport/transport.ts';

export interface Base {
  readonly clock: Clock;
  readonly log: Logger;
  readonly network: Network;
}

export interface Runtime extends Base {
  readonly registry: MetricRegistry;
  readonly sources: SourceRegistry;
  readonly engine: Engine;
  readonly server: ConnectionServer;
  readonly accessLog: LogWriter | undefined;
  /** SIGTERM came. */
  isDraining: boolean;
}

export function createBase(logLevel: LogLevel): Base {
  const clock = systemClock;
  return {
    clock,
    log: createLogger('waypoint', { clock, level: logLevel }),
    network: new BunNetwork({ clock }),
  };
}

export function createRuntime(
  base: Base,
  options: { transport: Transport; accessLog: AccessLogChoice; cluster: string },
): Runtime {
  const { clock, log } = base;
  const { transport, cluster } = options;
  const registry = new MetricRegistry();
  exposeBuild(registry, { component: 'proxy', tag: 'tulle' });
  const sources = new SourceRegistry();
  const accessLog = options.accessLog === 'off' ? undefined : new LogWriter(standardOutput);
  const format = options.accessLog === 'json' ? 'json' : 'text';
  const recorder = new Recorder({ clock, registry, sources, accessLog, format, cluster });
  const dial = httpDial(transport, { clock });
  const engine = new Engine({ clock, random: systemRandom, log, dial, recorder });
  clock.every(EDGE_SWEEP_MS, () => recorder.sweep());
  const server = new ConnectionServer({ engine, transport });
  return { ...base, registry, sources, engine, server, accessLog, isDraining: false };
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
  const { clock, log, engine, server, accessLog } = runtime;
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
    force() {
      server.close();
      door.close();
    },
  };
  const drain = new Drain(
    { clock, log, parts: () => [part] },
    { deadlineMs: DRAIN_DEADLINE_MS, successor: options.isDiscovered },
  );
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
    accessLog?.flush();
    // One turn for what was written last.
    setImmediate(() => process.exit(0));
  });
}
