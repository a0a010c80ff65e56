/**
 * What waits for a collector: bounded in records and bytes, sent in batches, one request at a time. A collector that is slow or down
 * costs records, which are counted, and never a request of the proxy.
 *
 *   offer ─► queue ─► batch ─► send ─┬─ accepted, rejected in part
 *                        ▲           ├─ again later: back-off, doubled, with jitter
 *                        └───────────┘  refused, or tried too often: given up
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Random } from '#base/random.ts';
import type { ResourceGroup } from './encode.ts';
import * as limits from './limits.ts';
import type { Resource } from './messages.ts';

export type SendOutcome =
  | { readonly kind: 'accepted'; readonly rejected: number; readonly reason: string }
  /** Another try may help; `afterMs`: not before that. */
  | { readonly kind: 'again'; readonly reason: string; readonly afterMs?: number }
  | { readonly kind: 'refused'; readonly reason: string };

export interface QueueDeps {
  readonly clock: Clock;
  readonly random: Random;
  /** Never throws, always settles within the export's timeout. */
  readonly send: (groups: readonly ResourceGroup[]) => Promise<SendOutcome>;
  readonly events: QueueEvents;
}

export interface QueueEvents {
  /** Records that reached the end of their way. */
  onRecords(count: number, end: 'exported' | 'rejected' | 'dropped' | 'failed'): void;
  /** It stands still since now, or goes again (undefined). */
  onTrouble(reason: string | undefined): void;
}

interface Waiting {
  readonly key: string;
  readonly resource: Resource;
  readonly record: Uint8Array;
}

export class ExportQueue {
  readonly #deps: QueueDeps;
  #waiting: Waiting[] = [];
  #bytes = 0;
  #timer: Timer | undefined = undefined;
  #sending = false;
  #batch: readonly Waiting[] = [];
  #tries = 0;
  #troubled = false;
  #closed = false;
  #whenIdle: (() => void) | undefined = undefined;

  constructor(deps: QueueDeps) {
    this.#deps = deps;
  }

  /** Records that wait, the batch under way included. */
  get length(): number {
    return this.#waiting.length + this.#batch.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** `key` stands for the resource. */
  offer(key: string, resource: Resource, record: Uint8Array): void {
    const isFull =
      this.length >= limits.QUEUE_RECORDS_MAX ||
      this.#bytes + record.length > limits.QUEUE_BYTES_MAX;
    if (isFull || this.#closed) {
      this.#deps.events.onRecords(1, 'dropped');
      return;
    }
    this.#waiting.push({ key, resource, record });
    this.#bytes += record.length;
    if (this.#waiting.length >= limits.BATCH_RECORDS_MAX) this.#next();
    else if (this.#timer === undefined && !this.#sending) this.#wait(limits.BATCH_DELAY_MS);
  }

  /** Sends what waits, once, and takes no more; resolves when that is done or took too long. */
  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    return new Promise((resolve) => {
      const timer = this.#deps.clock.after(limits.LAST_FLUSH_MS, () => {
        this.#giveUpAll();
        resolve();
      });
      this.#whenIdle = () => {
        timer.cancel();
        resolve();
      };
      this.#timer?.cancel();
      this.#timer = undefined;
      this.#next();
    });
  }

  #wait(delayMs: number): void {
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(delayMs, () => {
      this.#timer = undefined;
      this.#next();
    });
  }

  #next(): void {
    if (this.#sending) return;
    // A batch that waits for its next try is not hurried by new records.
    if (this.#batch.length > 0 && this.#timer !== undefined) return;
    if (this.#batch.length === 0) this.#takeBatch();
    if (this.#batch.length === 0) {
      this.#whenIdle?.();
      return;
    }
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#sending = true;
    this.#tries += 1;
    void this.#deps.send(groupsOf(this.#batch)).then((outcome) => this.#sent(outcome));
  }

  #takeBatch(): void {
    let count = 0;
    let bytes = 0;
    for (const { record } of this.#waiting) {
      if (count === limits.BATCH_RECORDS_MAX) break;
      if (count > 0 && bytes + record.length > limits.BATCH_BYTES_MAX) break;
      count += 1;
      bytes += record.length;
    }
    this.#batch = this.#waiting.slice(0, count);
    this.#waiting = this.#waiting.slice(count);
    this.#tries = 0;
  }

  #sent(outcome: SendOutcome): void {
    this.#sending = false;
    const { events } = this.#deps;
    const { length } = this.#batch;
    if (length === 0) return;
    if (outcome.kind === 'accepted') {
      const rejected = Math.min(outcome.rejected, length);
      if (rejected < length) events.onRecords(length - rejected, 'exported');
      if (rejected > 0) events.onRecords(rejected, 'rejected');
      this.#trouble(rejected > 0 ? outcome.reason : undefined);
      this.#done();
      return;
    }
    this.#trouble(outcome.reason);
    const isLast = this.#closed || this.#tries >= limits.TRIES_MAX;
    if (outcome.kind === 'refused' || isLast) {
      events.onRecords(length, 'failed');
      this.#done();
      return;
    }
    this.#wait(Math.max(outcome.afterMs ?? 0, this.#backoffMs()));
  }

  /** Between half and all of what is doubled with each try. */
  #backoffMs(): number {
    const fullMs = Math.min(limits.BACKOFF_BASE_MS * 2 ** this.#tries, limits.BACKOFF_MAX_MS);
    return (fullMs * (1 + this.#deps.random.fraction())) / 2;
  }

  #done(): void {
    for (const { record } of this.#batch) this.#bytes -= record.length;
    this.#batch = [];
    if (this.#closed || this.#waiting.length >= limits.BATCH_RECORDS_MAX) this.#next();
    else if (this.#waiting.length > 0) this.#wait(limits.BATCH_DELAY_MS);
  }

  #trouble(reason: string | undefined): void {
    const isTroubled = reason !== undefined;
    if (isTroubled === this.#troubled) return;
    this.#troubled = isTroubled;
    this.#deps.events.onTrouble(reason);
  }

  #giveUpAll(): void {
    const count = this.length;
    if (count > 0) this.#deps.events.onRecords(count, 'failed');
    this.#batch = [];
    this.#waiting = [];
    this.#bytes = 0;
    this.#timer?.cancel();
  }
}

function groupsOf(batch: readonly Waiting[]): ResourceGroup[] {
  const groups = new Map<string, { resource: Resource; records: Uint8Array[] }>();
  for (const { key, resource, record } of batch) {
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { resource, records: [record] });
    else known.records.push(record);
  }
  return [...groups.values()];
}
