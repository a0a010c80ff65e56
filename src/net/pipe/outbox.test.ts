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
