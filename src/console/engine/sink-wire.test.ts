import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { FlowFrame, FlowSample } from '#telemetry/flow/flow-frame.ts';
import { readSink, SinkWriter } from './sink-wire.ts';

const pairs = fc.array(fc.tuple(fc.nat(600), fc.nat()), { maxLength: 25 });

const sample: fc.Arbitrary<FlowSample> = fc.record({
  edge: fc.nat(500),
  requests: fc.nat(),
  opened: fc.nat(9),
  failed: fc.nat(9),
  sentBytes: fc.maxSafeNat(),
  receivedBytes: fc.maxSafeNat(),
  codes: pairs,
  grpcStatuses: pairs,
  latency: pairs,
  flags: fc.array(fc.tuple(fc.constantFrom('UH', 'UF', 'DC'), fc.nat()), { maxLength: 2 }),
  closed: fc.constant(0),
  durationMsSum: fc.constant(0),
});

const frame = fc.record({ second: fc.nat(), samples: fc.array(sample, { maxLength: 12 }) });

test('readSink: each frame is told as it was written, whatever was told in the one before', () => {
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 8 }), (frames) => {
      const writer = new SinkWriter();
      const at = { second: 7, receivedMs: 7000 };
      for (const each of frames) writer.frame('a/b', each, at);
      const read: FlowFrame[] = [];
      const bytes = writer.take();
      writer.frame('a/b', { second: 1, samples: [] }, at);
      readSink(bytes, {
        opened: () => undefined,
        edge: () => undefined,
        frame: (_proxy, { second, samples }) =>
          read.push({ second, samples: samples.map((one) => structuredClone({ ...one })) }),
      });
      expect(read).toEqual(frames);
    }),
  );
});
