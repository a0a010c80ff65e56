/**
 * `bun test/bench/micro-flow.ts`: what the flows of a mesh cost: a request at its proxy, a second of a proxy with a thousand edges, and a second
 * of 20,000 edges at the control plane, decoded and handed over. Best of several runs; on a shared machine trust the ratios.
 */
import { systemClock } from '#base/clock.ts';
import type { TelemetrySink } from '#console/telemetry-sink.ts';
import { Carrier } from '#control/observe/carrier.ts';
import { ClockOffset } from '#control/observe/clock-offset.ts';
import { FlowBook, NOBODY } from '#telemetry/flow/flow-book.ts';
import { encodeFrame } from '#telemetry/flow/frame-codec.ts';
import { edgeMessage } from '#telemetry/report/messages.ts';
import { ReportMessage } from '#wire/protobuf/telemetry.ts';

const RUNS = 15;
const PROXIES = 20;
const EDGES = 1_000;
const SECOND = 1_800_000_000;

function best(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let index = 0; index < RUNS; index++) {
    const start = systemClock.now();
    run();
    least = Math.min(least, systemClock.now() - start);
  }
  return least;
}

function busyBook() {
  const book = new FlowBook();
  const outcomes = Array.from({ length: EDGES }, (_, index) => {
    const tally = book.tally({
      reporter: 'waypoint',
      protocol: 'http',
      source: { ...NOBODY, kind: 'workload', namespace: 'shop', workload: `from-${index % 50}` },
      destination: { ...NOBODY, kind: 'workload', namespace: 'shop', workload: `to-${index}` },
      service: { host: `s-${index}.shop.svc.cluster.local`, namespace: 'shop', name: `s-${index}` },
      isMutualTls: true,
    });
    return [tally.outcome(200, -1, '-'), tally.outcome(503, -1, 'UF')];
  });
  /** Ten requests an edge over four buckets, one of them failed. */
  const fill = () => {
    for (const [fine, failed] of outcomes) {
      for (let index = 0; index < 9; index++) fine.add(index * 3, 400, 4_000);
      failed.add(120, 400, 200);
    }
  };
  return { book, outcomes, fill };
}

const { book, outcomes, fill } = busyBook();
const [[one]] = outcomes;
const REQUESTS = 1_000_000;
const request = best(() => {
  for (let index = 0; index < REQUESTS; index++) one.add(index & 31, 400, 4_000);
});
book.take(SECOND);
console.log(`a request: ${((request * 1e6) / REQUESTS).toFixed(1)} ns`);

let bytes: Uint8Array = new Uint8Array();
let second = SECOND;
let spent = Number.POSITIVE_INFINITY;
for (let run = 0; run < 10 * RUNS; run++) {
  fill();
  const start = systemClock.now();
  bytes = encodeFrame({ second, samples: book.take(second) });
  spent = Math.min(spent, systemClock.now() - start);
  second += 1;
}
console.log(
  `a second of a proxy with ${EDGES} edges in use: ${spent.toFixed(2)} ms, ${(bytes.length / EDGES).toFixed(1)} bytes an edge`,
);

let handed = 0;
const sink: TelemetrySink = {
  opened: () => -1,
  edge: () => undefined,
  frame(_proxy, { samples }) {
    for (const sample of samples) handed += sample.requests;
  },
  spans: () => undefined,
  records: () => undefined,
  dropped: () => undefined,
  closed: () => undefined,
};
const carriers = Array.from({ length: PROXIES }, (_, index) => {
  const carrier = new Carrier(
    { sink, refine: (edge) => edge, onRecords: () => undefined },
    { proxy: `shop/p-${index}`, connectedMs: 0, replica: '', offset: new ClockOffset() },
  );
  const edges = book.untold(index + 1, -1).map(edgeMessage);
  carrier.take(ReportMessage.create({ edges, now_ms: SECOND * 1000 }), SECOND * 1000);
  return carrier;
});
let intake = Number.POSITIVE_INFINITY;
for (let run = 0; run < RUNS; run++) {
  fill();
  const frame = encodeFrame({ second, samples: book.take(second) });
  const now_ms = (second + 1) * 1000;
  const report = ReportMessage.encode(ReportMessage.create({ frames: [frame], now_ms }));
  second += 1;
  const start = systemClock.now();
  for (const carrier of carriers) {
    const read = ReportMessage.decode(report);
    if (typeof read === 'string') throw new Error(read);
    const problem = carrier.take(read, now_ms);
    if (problem !== undefined) throw new Error(problem);
  }
  intake = Math.min(intake, systemClock.now() - start);
}
if (handed !== RUNS * PROXIES * EDGES * 10) throw new Error(`${handed} requests were handed over`);
console.log(
  `a second of ${PROXIES * EDGES} edges at the control plane: ${intake.toFixed(1)} ms (${(intake / 10).toFixed(1)} % of a core)`,
);
