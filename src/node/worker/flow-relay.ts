/**
 * The flows of data workers on their way into the main thread's book. A worker closes its second a moment before the main thread does and hands
 * over what it counted; there it is added to the same edges.
 */
import type { Clock } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import type { FlowBook } from '#telemetry/flow/flow-book.ts';
import type { FlowEdge, FlowSample } from '#telemetry/flow/flow-frame.ts';
import type { FlowTally } from '#telemetry/flow/flow-tally.ts';
import { ReportClock } from '#telemetry/flow/report-clock.ts';
import { BOOK_SWEEP_SECONDS } from '#telemetry/report/limits.ts';

export interface RelayedFlow {
  /** Those that samples speak of and that were not said before; ids are the worker's. */
  readonly edges: readonly FlowEdge[];
  readonly samples: readonly FlowSample[];
}

/** A worker has one stream in its life: the thread. */
const STREAM = 1;

/** In a worker. */
export function relayFlows(
  clock: Clock,
  book: FlowBook,
  send: (flow: RelayedFlow) => void,
): Disposer {
  const time = new ReportClock(clock);
  let last = -1;
  const close = () => {
    const second = Math.floor(time.now() / 1000) - 1;
    if (second > last) {
      last = second;
      const samples = book.take(second);
      if (samples.length > 0) send({ edges: book.untold(STREAM, second - 1), samples });
      if (second % BOOK_SWEEP_SECONDS === 0) book.sweep(second);
    }
    timer = clock.after(time.untilNextSecond(0), close);
  };
  let timer = clock.after(time.untilNextSecond(0), close);
  return () => timer.cancel();
}

/** In the main thread, one for each worker. */
export class FlowReceiver {
  readonly #book: FlowBook;
  readonly #tallies = new Map<number, FlowTally>();

  constructor(book: FlowBook) {
    this.#book = book;
  }

  take({ edges, samples }: RelayedFlow): void {
    for (const { id, ...facts } of edges) this.#tallies.set(id, this.#book.tally(facts));
    for (const sample of samples) this.#tallies.get(sample.edge)?.add(sample);
  }
}
