/**
 * `bun test/bench/micro-telemetry.ts`: what telemetry costs a request at a waypoint, without sockets and codecs: none of it, each part
 * alone, and all as it comes (metrics, access log, one trace in a hundred). What remains beside it is that the codec writes a
 * longer head. Runs take turns, the best of each counts, in processor time; the differences count.
 */
import { systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import { DEFAULT_SCOPED } from '#model/telemetry/scopes.ts';
import type { TelemetrySettings } from '#model/telemetry/settings.ts';
import { protobufEncoding } from '#otlp/encode.ts';
import { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { TEST_SELF } from '#test/support/tracing.ts';
import { ProxyTelemetry } from '#waypoint/config/telemetry.ts';
import { RequestTracing } from '#waypoint/tracing/request-tracing.ts';
import { cpuNanos, exchange, printBest, type Row, rig } from './micro-rig.ts';

const RUNS = 21;

const ON = DEFAULT_SCOPED.server;
const OFF: TelemetrySettings = {
  metrics: { disabled: true, overrides: {} },
  accessLog: { outputs: [] },
  tracing: { ...ON.tracing, disabled: true, samplingPercent: 0 },
};

let encodedBytes = 0;
const output = {
  write(lines: Uint8Array) {
    encodedBytes += lines.length;
    return true;
  },
  onDrain: () => undefined,
};

function row(title: string, on: Partial<TelemetrySettings>): Row {
  const settings = { ...OFF, ...on };
  const scoped = { scope: 'bench', server: settings, client: settings };
  const tracing = new RequestTracing({
    clock: systemClock,
    random: systemRandom,
    environment: {},
    self: () => TEST_SELF,
    outlet: {
      offerSpan(span) {
        encodedBytes += protobufEncoding.span(span).length;
      },
    },
  });
  const accessLog = new LogWriter(output);
  const telemetry = new ProxyTelemetry(scoped, 'server');
  const { engine, tunnel } = rig({ tracing, telemetry, accessLog });
  const run = () =>
    cpuNanos(
      () => exchange(undefined),
      (each) => engine.serve(tunnel, each),
      () => accessLog.flush(),
    );
  return { title, run };
}

printBest(
  [
    row('nothing', {}),
    row('metrics', { metrics: ON.metrics }),
    row('access log', { accessLog: ON.accessLog }),
    row('traces, one in a hundred', { tracing: ON.tracing }),
    row('all', ON),
  ],
  RUNS,
);
if (encodedBytes === 0) throw new Error('nothing was written');
process.exit(0);
