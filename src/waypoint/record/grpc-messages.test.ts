import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { GrpcMessages } from './grpc-messages.ts';

function framed(sizes: readonly number[]): Uint8Array {
  return Buffer.concat(
    sizes.map((size) => {
      const frame = Buffer.alloc(5 + size, 0xff);
      frame[0] = 0;
      frame.writeUInt32BE(size, 1);
      return frame;
    }),
  );
}

test('GrpcMessages counts the same however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(600), { maxLength: 20 }),
      fc.array(fc.nat(), { maxLength: 30 }),
      (sizes, cuts) => {
        const bytes = framed(sizes);
        const messages = new GrpcMessages();
        const places = [
          0,
          ...cuts.map((cut) => (bytes.length === 0 ? 0 : cut % bytes.length)),
          bytes.length,
        ];
        places.sort((left, right) => left - right);
        for (let at = 1; at < places.length; at += 1)
          messages.push(bytes.subarray(places[at - 1], places[at]));
        expect(messages.count).toBe(sizes.length);
      },
    ),
  );
});

test('GrpcMessages takes a length that never comes for one message', () => {
  const messages = new GrpcMessages();
  messages.push(new Uint8Array([0, 0xff, 0xff, 0xff, 0xff]));
  for (let at = 0; at < 100; at += 1) messages.push(new Uint8Array(1000));
  expect(messages.count).toBe(1);
});
