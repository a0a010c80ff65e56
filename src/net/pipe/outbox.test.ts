import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { Outbox } from './outbox.ts';

test('Outbox delivers in order through a sink that takes what it likes, though callers reuse their buffer', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 50 })),
      fc.array(fc.nat(20)),
      (chunks, room) => {
        const sent: number[] = [];
        let turn = 0;
        const sink = {
          write(bytes: Uint8Array) {
            const taken = Math.min(bytes.length, room[turn++ % (room.length || 1)] ?? 0);
            sent.push(...bytes.subarray(0, taken));
            return taken;
          },
        };
        const outbox = new Outbox(sink);
        const reused = Buffer.alloc(50);
        for (const chunk of chunks) {
          reused.set(chunk);
          outbox.push(reused.subarray(0, chunk.length));
          reused.fill(0xff);
        }
        const whole = chunks.flatMap((chunk) => [...chunk]);
        expect(sent.length + outbox.bytes).toBe(whole.length);
        if (room.some((bytes) => bytes > 0))
          for (let flushed = false; !flushed; ) flushed = outbox.flush();
        expect(sent).toEqual(whole.slice(0, sent.length));
      },
    ),
  );
});

test('Outbox pauses its source while the account it shares is at its limit, and gives back what it held', () => {
  const account = { bytes: 0, bytesMax: 100 };
  let room = 0;
  const sink = {
    write(bytes: Uint8Array) {
      const taken = Math.min(bytes.length, room);
      room -= taken;
      return taken;
    },
  };
  const [greedy, modest] = [new Outbox(sink, account), new Outbox(sink, account)];
  greedy.push(new Uint8Array(90));
  expect(greedy.full).toBe(false);
  modest.push(new Uint8Array(10));
  expect([greedy.full, modest.full, greedy.low, modest.low]).toEqual([true, true, false, false]);
  room = 10;
  modest.flush();
  expect([account.bytes, modest.low, modest.full]).toEqual([90, true, false]);
  greedy.clear();
  expect(account.bytes).toBe(0);
});
