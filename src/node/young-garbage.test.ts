import { edenGC, fullGC, heapStats } from 'bun:jsc';
import { describe, expect, test } from 'bun:test';
import { connections } from '#test/support/memory-path.ts';

const COUNT = 2000;
const PARALLEL = 32;

/** Of class instances and literals alike. */
const objects = () => heapStats().objectTypeCounts.Object;

describe('what a connection made', () => {
  test('is gone with the next young collection, and not kept until the whole heap is collected', async () => {
    await connections(COUNT, PARALLEL);
    fullGC();
    const before = objects();
    for (let part = 0; part < 4; part++) {
      await connections(COUNT / 4, PARALLEL);
      edenGC();
    }
    // Some 85 of both ends are made; those of the few that are open while it collects stay.
    expect((objects() - before) / COUNT).toBeLessThan(8);
  });
});
