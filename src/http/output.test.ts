import { describe, expect, test } from 'bun:test';
import type { Connection } from '#net/connection.ts';
import { OUTPUT_CALM_WRITES, OUTPUT_KEEP_BYTES, OUTPUT_SPARE_MAX } from './limits.ts';
import { Output } from './output.ts';

const FIRST_BYTES = 1024;

/** A socket that takes everything, as one string a write. */
function outputTo(writes: string[]) {
  const connection = {
    write(bytes: Uint8Array) {
      writes.push(Buffer.from(bytes).toString('latin1'));
      return bytes.length;
    },
  };
  return new Output(connection as unknown as Connection, FIRST_BYTES);
}

function write(output: Output, text: string): void {
  output.append(Buffer.from(text));
  output.flush();
}

describe('Output', () => {
  test('gives a large buffer up after small writes, and loses nothing', () => {
    const writes: string[] = [];
    const output = outputTo(writes);
    const burst = 'x'.repeat(OUTPUT_KEEP_BYTES + 1);
    write(output, burst);
    for (let index = 1; index < OUTPUT_CALM_WRITES; index++) write(output, `small ${index}`);
    expect(output.bytes.length).toBeGreaterThan(OUTPUT_KEEP_BYTES);
    write(output, 'last');
    expect(output.bytes.length).toBe(0);
    write(output, burst);
    write(output, 'end');
    expect(writes.length).toBe(OUTPUT_CALM_WRITES + 3);
    expect([writes[0], writes.at(-3), writes.at(-2), writes.at(-1)]).toEqual([
      burst,
      'last',
      burst,
      'end',
    ]);
  });

  test('keeps it as long as large writes come between', () => {
    const output = outputTo([]);
    for (let round = 0; round < 3; round++) {
      write(output, 'x'.repeat(OUTPUT_KEEP_BYTES + 1));
      for (let index = 1; index < OUTPUT_CALM_WRITES; index++) write(output, 'small');
    }
    expect(output.bytes.length).toBeGreaterThan(OUTPUT_KEEP_BYTES);
  });

  test('lends the buffer of one that has nothing to write to others, and never one with bytes that wait', () => {
    const taken: string[] = [];
    let room = 0;
    const slow = {
      write(bytes: Uint8Array) {
        const count = Math.min(room, bytes.length);
        taken.push(Buffer.from(bytes.subarray(0, count)).toString('latin1'));
        return count;
      },
    };
    const first = new Output(slow as unknown as Connection, FIRST_BYTES);
    const writes: string[] = [];
    const second = outputTo(writes);
    room = 2;
    write(first, 'slowly');
    for (let round = 0; round < 3; round++) write(second, `fast ${round}`);
    room = 100;
    first.drained();
    write(second, 'last');
    expect(taken.join('')).toBe('slowly');
    expect(writes).toEqual(['fast 0', 'fast 1', 'fast 2', 'last']);
    expect([first.bytes.length, second.bytes.length]).toEqual([0, 0]);
  });

  test('keeps a bounded number of buffers for others', () => {
    const outputs = Array.from({ length: OUTPUT_SPARE_MAX + 10 }, () => outputTo([]));
    const fill = () => {
      for (const output of outputs) output.append(Buffer.from('x'));
      const used = outputs.map(({ bytes }) => bytes);
      for (const output of outputs) output.flush();
      return new Set(used);
    };
    const before = fill();
    const again = fill();
    expect([before.size, again.size]).toEqual([outputs.length, outputs.length]);
    expect(again.intersection(before).size).toBe(OUTPUT_SPARE_MAX);
  });
});
