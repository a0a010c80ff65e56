import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { QUEUE_CHUNK_BYTES } from '../limits.ts';
import { ByteQueue } from './byte-queue.ts';

/** Everything that waits, by taking it out in pieces of at most `step`. */
function drain(
  queue: ByteQueue,
  step = Number.POSITIVE_INFINITY,
): { text: string; chunks: number } {
  const parts: string[] = [];
  let chunks = 0;
  for (let chunk = queue.first; chunk !== undefined; chunk = queue.first) {
    const count = Math.min(step, chunk.length);
    parts.push(Buffer.from(chunk.subarray(0, count)).toString('latin1'));
    queue.take(count);
    chunks += 1;
  }
  return { text: parts.join(''), chunks };
}

describe('ByteQueue', () => {
  test('keeps a megabyte of single bytes in few chunks', () => {
    const queue = new ByteQueue();
    const one = Uint8Array.of(0x61);
    for (let index = 0; index < 1 << 20; index++) queue.push(one);
    expect(queue.bytes).toBe(1 << 20);
    expect(drain(queue).chunks).toBeLessThan((1 << 20) / QUEUE_CHUNK_BYTES + 10);
  });

  test('copies: what the caller does with its bytes afterwards changes nothing', () => {
    const queue = new ByteQueue();
    for (const size of [1, 10, QUEUE_CHUNK_BYTES]) {
      const bytes = Buffer.alloc(size, 'a');
      queue.push(bytes);
      bytes.fill('b');
    }
    expect(drain(queue).text).toBe('a'.repeat(QUEUE_CHUNK_BYTES + 11));
  });

  test('lets go of what was taken though it never runs empty', () => {
    const queue = new ByteQueue();
    const chunk = Buffer.alloc(1 << 20, 'a');
    const before = process.memoryUsage.rss();
    queue.push(chunk);
    for (let index = 0; index < 2000; index++) {
      queue.push(chunk);
      queue.take(queue.first?.length ?? 0);
    }
    Bun.gc(true);
    expect(queue.bytes).toBe(1 << 20);
    expect(process.memoryUsage.rss() - before).toBeLessThan(500 << 20);
  });

  test('gives back every byte in order, whatever the sizes of pushes and takes between them', () => {
    const size = fc.oneof(fc.nat(40), fc.nat(3 * QUEUE_CHUNK_BYTES));
    const act = fc.record({ push: size, take: size });
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 30 }),
        fc.integer({ min: 1, max: 40_000 }),
        (acts, step) => {
          const queue = new ByteQueue();
          let model = '';
          let next = 0;
          let taken = '';
          for (const { push, take } of acts) {
            const text = Array.from({ length: push }, () => String.fromCharCode(next++ % 251)).join(
              '',
            );
            model += text;
            queue.push(Buffer.from(text, 'latin1'));
            const { first } = queue;
            if (first === undefined) continue;
            const count = Math.min(take, first.length);
            taken += Buffer.from(first.subarray(0, count)).toString('latin1');
            queue.take(count);
            expect(queue.bytes).toBe(model.length - taken.length);
          }
          expect(taken + drain(queue, step).text).toBe(model);
          expect(queue.bytes).toBe(0);
        },
      ),
      { numRuns: 200 },
    );
  });
});
