/** What both modes of the process share: clock, log, registry, recorder, engine, connection server. */
import { type Clock, systemClock } from '#base/clock.ts';
import { createLogger, type Logger, type LogLevel } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Network } from '#net/network.ts';
import { LogWriter, standardOutput } from '#telemetry/access-log/log-writer.ts';
import { exposeBuild } from '#telemetry/metrics/istio.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { AccessLogChoice } from './config/options.ts';
import { Engine } from './engine.ts';
import { DRAIN_DEADLINE_MS, EDGE_SWEEP_MS } from './limits.ts';
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

/** Running requests finish, up to the deadline; then the process ends. `stop` closes the doors first. */
export async function drainAndExit(runtime: Runtime, stop: () => void): Promise<void> {
  const { clock, log, engine, server, accessLog } = runtime;
  runtime.isDraining = true;
  log.info('draining', { activeRequests: engine.active });
  stop();
  server.drain();
  const deadline = new Promise<void>((resolve) => clock.after(DRAIN_DEADLINE_MS, resolve));
  await Promise.race([engine.whenIdle(), deadline]);
  if (engine.active > 0) {
    log.warn('requests cut off at the drain deadline', { activeRequests: engine.active });
  }
  server.close();
  accessLog?.flush();
  // One turn for what was written last.
  setImmediate(() => process.exit(0));
}

/** SIGTERM and SIGINT, once. */
export function onTermination(act: () => void): void {
  let isOver = false;
  const once = () => {
    if (isOver) return;
    isOver = true;
    act();
  };
  process.on('SIGTERM', once);
  process.on('SIGINT', once);
}
