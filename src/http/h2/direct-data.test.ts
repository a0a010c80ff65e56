/** Large DATA goes to the socket uncopied; whatever the socket takes at a time, the peer must read what was written. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Recorder } from '#test/support/h2-recorder.ts';
import { memoryPair } from '#test/support/memory-connection.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2Connection } from './connection.ts';

const WINDOW = 4 << 20;
const OPTIONS = {
  streamWindowBytes: WINDOW,
  connectionWindowBytes: WINDOW,
  frameBytesMax: 1 << 20,
} as const;
const IGNORE = { onChange: () => undefined, onClose: () => undefined };

test('H2Sender: large and small bodies of two streams arrive whole and in order at any capacity of the socket', async () => {
  const body = fc
    .record({ bytes: fc.integer({ min: 1, max: 700_000 }), first: fc.nat(255) })
    .map(({ bytes, first }) =>
      Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => first + at * 7)),
    );
  const capacity = fc.integer({ min: 1_000, max: 1_000_000 });
  await fc.assert(
    fc.asyncProperty(body, body, capacity, async (one, two, capacityBytes) => {
      const [near, far] = memoryPair({ capacityBytes });
      const deps = { clock: new FakeClock() };
      const received = [new Recorder(), new Recorder()];
      far.handler = new H2Connection(
        far,
        deps,
        { ...OPTIONS, role: 'server' },
        {
          ...IGNORE,
          onStream(stream, head) {
            stream.handler = received[Number(head.path.slice(1))];
          },
        },
      );
      const client = new H2Connection(
        near,
        deps,
        { ...OPTIONS, role: 'client' },
        { ...IGNORE, onStream: () => undefined },
      );
      near.handler = client;
      const senders = [one, two].map((_, index) => {
        const sender = new Recorder();
        const head = MessageHead.request('POST', 'a', `/${index}`, 'https');
        sender.stream = client.openStream(head, false, sender);
        return sender;
      });
      // The peer's settings first: until then frames are small.
      while (!client.established) await new Promise(setImmediate);
      senders[0].send(one, true);
      senders[1].send(two, true);
      while (!received.every(({ ended }) => ended)) await new Promise(setImmediate);
      expect(received[0].bytes.equals(one)).toBe(true);
      expect(received[1].bytes.equals(two)).toBe(true);
    }),
    { numRuns: 40 },
  );
});
