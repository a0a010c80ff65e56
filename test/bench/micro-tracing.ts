/**
 * `bun test/bench/micro-tracing.ts`: what traces cost a request at a waypoint, without sockets and codecs: not traced at all, begun here
 * and not sampled, passed on unsampled, and sampled (two spans made, encoded for a collector). Runs take turns, the best of
 * each counts, in processor time; on a shared machine trust the differences.
 */
import { systemClock } from '#base/clock.ts';
import { systemRandom } from '#base/random.ts';
import { protobufEncoding } from '#otlp/encode.ts';
import { beginTrace } from '#telemetry/tracing/request-trace.ts';
import { tracingRules } from '#telemetry/tracing/tracing-rules.ts';
import { TEST_SELF, tracingTelemetry } from '#test/support/tracing.ts';
import { RequestTracing } from '#waypoint/tracing/request-tracing.ts';
import { cpuNanos, exchange, headWith, printBest, REQUEST_ID, type Row, rig } from './micro-rig.ts';

const RUNS = 15;
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const UNSAMPLED = tracingTelemetry({ samplingPercent: 0 });

/** As if there were no tracing at all. */
class Untraced extends RequestTracing {
  override begin() {
    return undefined as never;
  }
  override finished() {
    return undefined;
  }
}

let encodedBytes = 0;
const deps = {
  clock: systemClock,
  random: systemRandom,
  environment: {},
  self: () => TEST_SELF,
  outlet: {
    offerSpan: (span: Parameters<typeof protobufEncoding.span>[0]) => {
      encodedBytes += protobufEncoding.span(span).length;
    },
  },
};

function request(title: string, tracing: RequestTracing, traceparent?: string): Row {
  const { engine, tunnel } = rig({ tracing, telemetry: UNSAMPLED, accessLog: undefined });
  return {
    title,
    run: () =>
      cpuNanos(
        () => exchange(traceparent),
        (each) => engine.serve(tunnel, each),
      ),
  };
}

const rules = tracingRules({ ...UNSAMPLED.of(undefined).tracing }, {});

function beginning(title: string, traceparent?: string): Row {
  return {
    title,
    run: () =>
      cpuNanos(
        () => headWith(traceparent),
        (head) => void beginTrace({ head, rules, random: systemRandom, requestId: REQUEST_ID }),
      ),
  };
}

const rows: Row[] = [
  request('request, no tracing at all', new Untraced(deps)),
  request('request, begins a trace, not sampled', new RequestTracing(deps)),
  request(
    'request, passes a trace on, not sampled',
    new RequestTracing(deps),
    `00-${TRACE}-${SPAN}-00`,
  ),
  request(
    'request, sampled: two spans, encoded',
    new RequestTracing(deps),
    `00-${TRACE}-${SPAN}-01`,
  ),
  beginning('beginTrace, none came'),
  beginning('beginTrace, one came, not sampled', `00-${TRACE}-${SPAN}-00`),
];
printBest(rows, RUNS);
console.log(`${encodedBytes > 0 ? 'spans were made' : 'no span was made'}`);
process.exit(0);
