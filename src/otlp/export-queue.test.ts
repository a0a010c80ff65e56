import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ExportQueue, type SendOutcome } from './export-queue.ts';
import * as limits from './limits.ts';

const RESOURCE = { attributes: [] };
const ACCEPTED: SendOutcome = { kind: 'accepted', rejected: 0, reason: '' };
const AGAIN: SendOutcome = { kind: 'again', reason: 'down' };

class Rig {
  readonly clock = new FakeClock();
  /** Records in each request. */
  readonly sent: number[] = [];
  readonly ends: Record<string, number> = {};
  readonly troubles: (string | undefined)[] = [];
  /** Answers in order; the last one stays. Empty: never. */
  answers: SendOutcome[] = [ACCEPTED];
  readonly queue = new ExportQueue({
    clock: this.clock,
    random: seededRandom(1),
    send: (groups) => {
      this.sent.push(groups.reduce((sum, { records }) => sum + records.length, 0));
      const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
      return answer === undefined ? new Promise(() => undefined) : Promise.resolve(answer);
    },
    events: {
      onRecords: (count, end) => {
        this.ends[end] = (this.ends[end] ?? 0) + count;
      },
      onTrouble: (reason) => void this.troubles.push(reason),
    },
  });

  offer(count: number, bytes = 10): void {
    for (let index = 0; index < count; index += 1) {
      this.queue.offer(`r${index % 3}`, RESOURCE, new Uint8Array(bytes));
    }
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      this.clock.advance(Math.min(100, left));
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
    }
  }
}

describe('ExportQueue', () => {
  test('records wait for company, then leave in one request', async () => {
    const rig = new Rig();
    rig.offer(7);
    await rig.pass(limits.BATCH_DELAY_MS - 100);
    expect(rig.sent).toEqual([]);
    await rig.pass(100);
    expect([rig.sent, rig.ends, rig.queue.length, rig.queue.bytes]).toEqual([
      [7],
      { exported: 7 },
      0,
      0,
    ]);
  });

  test('a full batch leaves at once; the rest follows', async () => {
    const rig = new Rig();
    rig.offer(limits.BATCH_RECORDS_MAX + 5);
    await rig.pass(100);
    expect(rig.sent).toEqual([limits.BATCH_RECORDS_MAX]);
    await rig.pass(limits.BATCH_DELAY_MS);
    expect(rig.sent).toEqual([limits.BATCH_RECORDS_MAX, 5]);
  });

  test('a request stays below the bytes that collectors take', async () => {
    const rig = new Rig();
    rig.offer(5, limits.BATCH_BYTES_MAX / 2 - 100);
    await rig.pass(5 * limits.BATCH_DELAY_MS);
    expect(rig.sent).toEqual([2, 2, 1]);
  });

  test('a record that alone is too long for a batch goes alone', async () => {
    const rig = new Rig();
    rig.offer(2, limits.BATCH_BYTES_MAX + 1);
    await rig.pass(5 * limits.BATCH_DELAY_MS);
    expect(rig.sent).toEqual([1, 1]);
  });

  test('while a collector does not answer, records wait up to the bound, then are dropped and counted', async () => {
    const rig = new Rig();
    rig.answers = [];
    rig.offer(limits.QUEUE_RECORDS_MAX + 10);
    await rig.pass(10_000);
    expect([rig.sent.length, rig.queue.length, rig.ends]).toEqual([
      ...[1, limits.QUEUE_RECORDS_MAX, { dropped: 10 }],
    ]);
  });

  test('bytes are bounded too', async () => {
    const rig = new Rig();
    rig.answers = [];
    rig.offer(20, limits.QUEUE_BYTES_MAX / 10);
    expect([rig.ends.dropped, rig.queue.bytes <= limits.QUEUE_BYTES_MAX]).toEqual([10, true]);
  });

  test('a batch is tried again with growing distance, is not hurried by new records, and is given up in the end', async () => {
    const rig = new Rig();
    rig.answers = [AGAIN];
    rig.offer(3);
    await rig.pass(limits.BATCH_DELAY_MS);
    rig.offer(limits.BATCH_RECORDS_MAX);
    await rig.pass(100);
    expect(rig.sent).toEqual([3]);
    await rig.pass(31_000);
    expect(rig.sent.slice(0, limits.TRIES_MAX)).toEqual(Array(limits.TRIES_MAX).fill(3));
    expect(rig.sent[limits.TRIES_MAX]).toBe(limits.BATCH_RECORDS_MAX);
    expect([rig.ends.failed, rig.troubles]).toEqual([3, ['down']]);
  });

  test('an outage that ends loses nothing, and is told once', async () => {
    const rig = new Rig();
    rig.answers = [AGAIN, AGAIN, ACCEPTED];
    rig.offer(3);
    await rig.pass(20_000);
    expect([rig.ends, rig.troubles]).toEqual([{ exported: 3 }, ['down', undefined]]);
  });

  test('the collector may say when to come again', async () => {
    const rig = new Rig();
    rig.answers = [{ ...AGAIN, afterMs: 9_000 }, ACCEPTED];
    rig.offer(1);
    await rig.pass(limits.BATCH_DELAY_MS + 8_900);
    expect(rig.sent.length).toBe(1);
    await rig.pass(200);
    expect(rig.sent.length).toBe(2);
  });

  test('what is refused is not sent again; what is rejected in part is counted', async () => {
    const rig = new Rig();
    rig.answers = [
      { kind: 'refused', reason: 'no' },
      { kind: 'accepted', rejected: 2, reason: 'old' },
    ];
    rig.offer(1);
    await rig.pass(limits.BATCH_DELAY_MS);
    rig.offer(5);
    await rig.pass(limits.BATCH_DELAY_MS);
    expect(rig.ends).toEqual({ failed: 1, exported: 3, rejected: 2 });
  });

  test('close sends all that waits, and takes no more', async () => {
    const rig = new Rig();
    rig.offer(limits.BATCH_RECORDS_MAX * 2 + 1);
    await Promise.all([rig.queue.close(), rig.pass(100)]);
    rig.offer(1);
    expect(rig.ends).toEqual({ exported: limits.BATCH_RECORDS_MAX * 2 + 1, dropped: 1 });
  });

  test('close does not wait for a collector that is silent', async () => {
    const rig = new Rig();
    rig.answers = [];
    rig.offer(3);
    const closed = rig.queue.close();
    await rig.pass(limits.LAST_FLUSH_MS);
    await closed;
    expect([rig.ends, rig.queue.length]).toEqual([{ failed: 3 }, 0]);
  });
});
