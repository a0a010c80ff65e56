import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { bytesOf, decodeBlock, encodeBlock, stepsOf, Usual } from './block.ts';
import { BUCKETS, Counts } from './counts.ts';

const count = fc.integer({ min: 0, max: 3000 });
const row = fc.record({
  id: fc.integer({ min: 0, max: 300 }),
  latency: fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 40 })), {
    minLength: BUCKETS,
    maxLength: BUCKETS,
  }),
  unmeasured: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5 })),
  opened: fc.oneof(fc.constant(0), count),
  failed: fc.oneof(fc.constant(0), count),
  sent: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 40 })),
  received: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2 ** 40 })),
  outcomes: fc.array(fc.tuple(fc.integer({ min: 0, max: 1023 }), fc.integer({ min: 1, max: 99 })), {
    maxLength: 3,
  }),
});
const rows = fc.array(row, { maxLength: 40 });

function countsOf(
  given: readonly (typeof row extends fc.Arbitrary<infer T> ? T : never)[],
): Counts {
  const counts = new Counts();
  for (const { id, latency, unmeasured, opened, failed, sent, received, outcomes } of given) {
    counts.touch(id);
    const total = latency.reduce((sum, each) => sum + each, 0);
    counts.requests[id] += total + unmeasured;
    if (total + unmeasured > 0)
      for (let bucket = 0; bucket < BUCKETS; bucket++)
        counts.latency[id * BUCKETS + bucket] += latency[bucket];
    counts.opened[id] += opened;
    counts.failed[id] += failed;
    counts.sent[id] += sent;
    counts.received[id] += received;
    if (total + unmeasured > 0)
      for (const [outcome, many] of outcomes) counts.addOutcome(id, outcome, many);
  }
  return counts;
}

function plain(counts: Counts) {
  return [...counts.sortedRows()]
    .filter((id) => !counts.isIdle(id))
    .map((id) => [
      id,
      counts.requests[id],
      counts.opened[id],
      counts.failed[id],
      counts.sent[id],
      counts.received[id],
      ...counts.latency.slice(id * BUCKETS, (id + 1) * BUCKETS),
    ]);
}

describe('encodeBlock and decodeBlock', () => {
  test('give back what was put in, with and without a usual period', () => {
    fc.assert(
      fc.property(rows, fc.option(rows), (given, before) => {
        const usual = before === null ? undefined : new Usual(countsOf(before), 60);
        const counts = countsOf(given);
        const bytes = encodeBlock(counts, 1, usual);
        const back = new Counts();
        expect(decodeBlock(bytes, 1, usual, back)).toBe(true);
        expect(plain(back)).toEqual(plain(counts));
        expect([...back.outcomes].sort()).toEqual(
          [...counts.outcomes].filter(([key]) => !counts.isIdle(Math.floor(key / 1024))).sort(),
        );
      }),
      { numRuns: 300 },
    );
  });

  test('decodeBlock refuses any block with one changed byte', () => {
    const counts = new Counts();
    for (let id = 0; id < 50; id++) {
      counts.touch(id);
      counts.requests[id] = id;
      counts.latency[id * BUCKETS + 3] = id;
    }
    const bytes = encodeBlock(counts, 1);
    for (let at = 0; at < bytes.length; at++) {
      const broken = Uint8Array.from(bytes);
      broken[at] ^= 0x10;
      expect(decodeBlock(broken, 1, undefined, new Counts())).toBe(false);
    }
  });

  test('decodeBlock answers on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(decodeBlock(bytes, 1, undefined, new Counts())).toBe(false);
      }),
    );
  });

  test('a second of an edge that goes its usual way is few bytes', () => {
    const minute = new Counts();
    const second = new Counts();
    for (let id = 0; id < 5000; id++) {
      minute.touch(id);
      minute.requests[id] = 120;
      minute.latency[id * BUCKETS + 3] = 100;
      minute.latency[id * BUCKETS + 4] = 20;
      minute.sent[id] = 120 * 500;
      second.touch(id);
      second.requests[id] = 1 + (id % 3);
      second.latency[id * BUCKETS + 3] = 1 + (id % 3);
      second.sent[id] = second.requests[id] * 510;
    }
    expect(encodeBlock(second, 1, new Usual(minute, 60)).length).toBeLessThan(5000);
  });
});

describe('stepsOf and bytesOf', () => {
  test('are at most 1/32 off, and exact for few bytes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 48 }), (bytes) => {
        const kept = bytesOf(stepsOf(bytes));
        if (bytes < 32) expect(kept).toBe(bytes);
        expect(Math.abs(kept - bytes)).toBeLessThanOrEqual(bytes / 32);
        expect(bytesOf(stepsOf(kept))).toBe(kept);
      }),
    );
  });
});
