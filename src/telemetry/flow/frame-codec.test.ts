import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FrameMessage } from '#wire/protobuf/telemetry.ts';
import { DEFAULT_BOUNDS } from '../metrics/istio.ts';
import type { FlowFrame, FlowSample } from './flow-frame.ts';
import { decodeFrame, encodeFrame } from './frame-codec.ts';
import { FLOW_EDGES_MAX, FRAME_ENTRIES_PER_EDGE_MAX } from './limits.ts';

const pairs = (key: fc.Arbitrary<number>) =>
  fc.uniqueArray(fc.tuple(key, fc.integer({ min: 1, max: 1e6 })), {
    selector: ([each]) => each,
    maxLength: 6,
  });
const sample: fc.Arbitrary<FlowSample> = fc.record({
  edge: fc.nat(FLOW_EDGES_MAX),
  requests: fc.nat(1e6),
  codes: pairs(fc.integer({ min: 0, max: 599 })),
  grpcStatuses: pairs(fc.nat(16)),
  flags: fc.uniqueArray(
    fc.tuple(fc.constantFrom('UF', 'NR', 'DC', 'UH'), fc.integer({ min: 1, max: 99 })),
    { selector: ([each]) => each },
  ),
  latency: pairs(fc.nat(DEFAULT_BOUNDS.length)),
  durationMsSum: fc.nat(1e9).map((micros) => micros / 1000),
  opened: fc.nat(1000),
  closed: fc.nat(1000),
  failed: fc.nat(1000),
  sentBytes: fc.maxSafeNat(),
  receivedBytes: fc.maxSafeNat(),
});
const frame: fc.Arbitrary<FlowFrame> = fc.record({
  second: fc.integer({ min: 0, max: 2 ** 40 }),
  samples: fc.uniqueArray(sample, { selector: ({ edge }) => edge, maxLength: 20 }),
});

const EMPTY: FlowSample = {
  edge: 0,
  requests: 0,
  codes: [],
  grpcStatuses: [],
  flags: [],
  latency: [],
  durationMsSum: 0,
  opened: 0,
  closed: 0,
  failed: 0,
  sentBytes: 0,
  receivedBytes: 0,
};

describe('decodeFrame', () => {
  test('reads what encodeFrame wrote, in order of edges', () => {
    fc.assert(
      fc.property(frame, (value) => {
        const samples = [...value.samples].sort((left, right) => left.edge - right.edge);
        expect(decodeFrame(encodeFrame(value))).toEqual({ second: value.second, samples });
      }),
    );
  });

  test('any bytes yield a frame or a reason, never a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(['string', 'object']).toContain(typeof decodeFrame(bytes));
      }),
    );
  });

  test('a frame with any byte changed or cut off yields a frame or a reason', () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat(255), (value, at, byte) => {
        const bytes = encodeFrame(value);
        const changed = Uint8Array.from(bytes);
        if (changed.length > 0) changed[at % changed.length] = byte;
        expect(['string', 'object']).toContain(typeof decodeFrame(changed));
        const cut = bytes.subarray(0, at % (bytes.length + 1));
        expect(['string', 'object']).toContain(typeof decodeFrame(cut));
      }),
    );
  });

  const bytes = (...values: number[]) => Uint8Array.from(values);
  const ROWS: [string, Partial<FrameMessage>, string][] = [
    ['an edge twice', { edge: bytes(1, 0) }, 'names one edge twice'],
    ['a column of other length', { edge: bytes(1, 1), requests: bytes(1) }, 'Frame.requests'],
    ['a flag that it does not name', { edge: bytes(1), flag_rows: bytes(1) }, 'Frame.flag holds 0'],
    [
      'a bucket beyond the last',
      { edge: bytes(1), bucket_rows: bytes(1), bucket: bytes(20), bucket_count: bytes(1) },
      'Frame.bucket holds 20',
    ],
    [
      'more entries than an edge can have',
      { edge: bytes(1), code_rows: bytes(FRAME_ENTRIES_PER_EDGE_MAX + 1) },
      'too many',
    ],
    ['more edges than a proxy may have', { edge: new Uint8Array(20_001).fill(1) }, '20001 edges'],
    ['too many flags', { flags: Array(65).fill('UF') }, 'Frame.flags are too many'],
  ];
  test.each(ROWS)('a frame with %s is refused', (_title, message, reason) => {
    const refused = decodeFrame(FrameMessage.encode(FrameMessage.create(message)));
    expect(refused).toBeString();
    expect(refused).toContain(reason);
  });
});

describe('encodeFrame', () => {
  test('has the golden bytes of one HTTP edge and one of bytes', () => {
    const http: FlowSample = {
      ...EMPTY,
      edge: 3,
      requests: 5,
      codes: [
        [200, 4],
        [503, 1],
      ],
      flags: [['UF', 1]],
      latency: [
        [1, 4],
        [4, 1],
      ],
      durationMsSum: 12.5,
      sentBytes: 500,
      receivedBytes: 2000,
    };
    const tcp: FlowSample = { ...EMPTY, edge: 1, opened: 2, closed: 1, sentBytes: 7 };
    const encoded = encodeFrame({ second: 1_800_000_000, samples: [http, tcp] });
    expect(Buffer.from(encoded).toString('hex')).toBe(GOLDEN);
  });

  test('takes a few bytes for a second without traffic, and for an edge with little', () => {
    expect(encodeFrame({ second: 1_800_000_000, samples: [] })).toHaveLength(6);
    const samples = Array.from({ length: 1000 }, (_, edge) => ({
      ...EMPTY,
      edge,
      requests: 10,
      codes: [[200, 10]] as const,
      latency: [
        [1, 8],
        [2, 2],
      ] as const,
      durationMsSum: 14.2,
      sentBytes: 4000,
      receivedBytes: 12_000,
    }));
    expect(encodeFrame({ second: 1, samples }).length / 1000).toBeLessThan(22);
  });
});

/** Second, `UF`, then the columns; those that hold nothing but zeros are left out. */
const GOLDEN =
  '0880a4a7da06120255461a020102220200052a0300d461320202003a0201004a0307f403520300d00f5a0200026204c801f7036a0204018a010200019a010101a201020002aa01020104b201020401';
