/** HPACK: RFC 7541 Appendix C, malformed blocks, and properties against our own encoder. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { huffmanDecode, huffmanEncode, huffmanSize } from './huffman.ts';
import * as reason from './reasons.ts';

function decode(decoder: HpackDecoder, bytes: Buffer): string[] | number {
  const fields: string[] = [];
  const verdict = decoder.decode(bytes, 0, bytes.length, fields);
  return verdict < 0 ? verdict : fields;
}

function encode(encoder: HpackEncoder, fields: readonly string[]): Buffer {
  let bytes = 16;
  for (const text of fields) bytes += text.length + 16;
  const out = Buffer.alloc(bytes);
  let at = encoder.begin(out, 0);
  for (let i = 0; i < fields.length; i += 2) at = encoder.field(fields[i], fields[i + 1], out, at);
  return out.subarray(0, at);
}

const get = (path: string, ...more: string[]) => [
  ...[':method', 'GET', ':scheme', 'http', ':path', path, ':authority', 'www.example.com'],
  ...more,
];

describe('HpackDecoder decodes the examples of RFC 7541', () => {
  const custom = ['custom-key', 'custom-value'];
  const rows = [
    {
      spec: 'C.3 requests without Huffman coding',
      blocks: [
        '828684410f7777772e6578616d706c652e636f6d',
        '828684be58086e6f2d6361636865',
        '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
      ],
    },
    {
      spec: 'C.4 requests with Huffman coding',
      blocks: [
        '828684418cf1e3c2e5f23a6ba0ab90f4ff',
        '828684be5886a8eb10649cbf',
        '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      ],
    },
  ];
  for (const { spec, blocks } of rows) {
    test(spec, () => {
      const decoder = new HpackDecoder();
      const third = get('/index.html', ...custom);
      third[3] = 'https';
      expect(blocks.map((hex) => decode(decoder, Buffer.from(hex, 'hex')))).toEqual([
        get('/'),
        get('/', 'cache-control', 'no-cache'),
        third,
      ]);
    });
  }

  test('C.2.3 never-indexed and C.2.4 indexed fields', () => {
    const decoder = new HpackDecoder();
    const never = Buffer.from('100870617373776f726406736563726574', 'hex');
    expect(decode(decoder, never)).toEqual(['password', 'secret']);
    expect(decode(decoder, Buffer.from('82', 'hex'))).toEqual([':method', 'GET']);
  });
});

describe('HpackDecoder refuses', () => {
  const rows: { title: string; hex: string; want: number }[] = [
    { title: 'index 0 (RFC 7541 §6.1)', hex: '80', want: reason.BAD_INDEX },
    { title: 'an index behind the table (§2.3.3)', hex: 'be', want: reason.BAD_INDEX },
    { title: 'a name index behind the table', hex: '7f00', want: reason.BAD_INDEX },
    { title: 'an integer without end (§5.1)', hex: 'ffffffffffffffff0f', want: reason.BAD_INTEGER },
    { title: 'an integer cut off', hex: 'ff', want: reason.TRUNCATED },
    { title: 'a string cut off (§5.2)', hex: '400a6375', want: reason.TRUNCATED },
    { title: 'no string at all', hex: '40', want: reason.TRUNCATED },
    { title: 'a value length behind the block', hex: '40016101', want: reason.TRUNCATED },
    { title: 'EOS in a string (§5.2)', hex: '0084ffffffff00', want: reason.BAD_HUFFMAN },
    { title: 'padding of zeros', hex: '008118' + '00', want: reason.BAD_HUFFMAN },
    { title: 'padding of more than 7 bits', hex: '008207ff' + '00', want: reason.BAD_HUFFMAN },
    { title: 'a table size above the setting (§6.3)', hex: '3fe25f', want: reason.BAD_TABLE_SIZE },
    { title: 'a size update behind a field (§4.2)', hex: '8220', want: reason.BAD_TABLE_SIZE },
    { title: 'three size updates', hex: '202020', want: reason.BAD_TABLE_SIZE },
  ];
  for (const { title, hex, want } of rows) {
    test(title, () => expect(decode(new HpackDecoder(), Buffer.from(hex, 'hex'))).toBe(want));
  }

  test('no bytes by throwing, looping, or passing the list limit', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 5 }), (blocks) => {
        const decoder = new HpackDecoder(1000);
        for (const block of blocks) {
          const fields: string[] = [];
          decoder.decode(Buffer.from(block), 0, block.length, fields);
          expect(fields.join('').length + fields.length * 16).toBeLessThanOrEqual(1000);
        }
      }),
    );
  });

  test('no changed block by throwing or passing a limit, nor by growing the table over its size', () => {
    const change = fc.tuple(fc.nat(400), fc.nat(255));
    const changes = fc.array(fc.array(change, { maxLength: 4 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(changes, (perBlock) => {
        const encoder = new HpackEncoder();
        const decoder = new HpackDecoder(1000);
        for (const each of perBlock) {
          const block = encode(encoder, [
            ':path',
            '/a',
            'x-a',
            'v'.repeat(60),
            'x-b',
            'w',
            'x-a',
            'u',
          ]);
          for (const [at, value] of each) block[at % block.length] = value;
          const fields: string[] = [];
          const verdict = decoder.decode(block, 0, block.length, fields);
          expect(verdict <= 0).toBe(true);
          expect(fields.join('').length + fields.length * 16).toBeLessThanOrEqual(1000);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('marks forbidden bytes as malformed and a long list as too large, and stays in step', () => {
    const decoder = new HpackDecoder(100);
    const encoder = new HpackEncoder();
    decode(decoder, encode(encoder, ['x-bad', 'a\nb']));
    expect(decoder.malformed).toBe(true);
    decode(decoder, encode(encoder, ['Upper', 'a']));
    expect(decoder.malformed).toBe(true);
    decode(decoder, encode(encoder, ['x-long', 'y'.repeat(80)]));
    expect([decoder.malformed, decoder.tooLarge]).toEqual([false, true]);
    expect(decode(decoder, encode(encoder, ['x-bad', 'a\nb']))).toEqual(['x-bad', 'a\nb']);
    expect(decoder.malformed).toBe(true);
    expect(decode(decoder, encode(encoder, ['ok', 'yes']))).toEqual(['ok', 'yes']);
    expect([decoder.malformed, decoder.tooLarge]).toEqual([false, false]);
  });
});

const name = fc.oneof(
  fc.constantFrom(':path', 'content-type', 'x-request-id', 'authorization', 'server', 'x-a', 'x-b'),
  fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/),
);
const value = fc.oneof(
  fc.constantFrom('', 'a', 'application/grpc'),
  fc.stringMatching(/^[!-~]{0,80}$/),
);
const lists = fc.array(fc.array(fc.tuple(name, value), { maxLength: 12 }), { maxLength: 40 });

describe('HpackEncoder', () => {
  test('is undone by HpackDecoder over many blocks, any table size, with and without Huffman', () => {
    const sizes = fc.array(fc.constantFrom(-1, 0, 40, 100, 500, 4096, 65_536), { maxLength: 40 });
    fc.assert(
      fc.property(lists, sizes, fc.boolean(), (blocks, tableSizes, huffman) => {
        const encoder = new HpackEncoder({ huffman });
        const decoder = new HpackDecoder();
        blocks.forEach((block, index) => {
          const size = tableSizes[index] ?? -1;
          if (size >= 0) encoder.setTableBytesMax(size);
          const fields = block.flat();
          expect(decode(decoder, encode(encoder, fields))).toEqual(fields);
        });
      }),
    );
  });

  test('sends a repeated field in one byte, and never stores authorization', () => {
    const encoder = new HpackEncoder();
    encode(encoder, ['x-a', '1', 'authorization', 'Bearer t']);
    const again = encode(encoder, ['x-a', '1', 'authorization', 'Bearer t']);
    expect(again[0]).toBe(0x80 | 62);
    expect(again[1] & 0xf0).toBe(0x10);
  });

  test('stays in step when thousands of entries pass through the table', () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder();
    for (let round = 0; round < 3000; round++) {
      const fields = ['x-round', String(round % 700), `x-n${round % 90}`, 'v', 'server', 'tulle'];
      expect(decode(decoder, encode(encoder, fields))).toEqual(fields);
    }
  });
});

test('huffmanDecode undoes huffmanEncode for every byte string', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      const text = Buffer.from(bytes).toString('latin1');
      const coded = Buffer.alloc(huffmanSize(text) + 1);
      const end = huffmanEncode(text, coded, 0);
      expect(end).toBe(huffmanSize(text));
      const out = Buffer.alloc(1024);
      const count = huffmanDecode(coded, 0, end, out);
      expect(out.subarray(0, count)).toEqual(Buffer.from(bytes));
    }),
  );
});
