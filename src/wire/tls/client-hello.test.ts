/** The ClientHello reader: what it takes, what it refuses, any cut, any bytes. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  type ClientHello,
  MALFORMED,
  NEED_MORE,
  NOT_TLS,
  readClientHello,
  TOO_LONG,
} from './client-hello.ts';
import { CLIENT_HELLO_BYTES_MAX } from './limits.ts';

const u16 = (value: number) => [value >> 8, value & 0xff];
const text = (value: string) => [...Buffer.from(value, 'latin1')];
const extension = (type: number, value: number[]) => [...u16(type), ...u16(value.length), ...value];
const sniOf = (name: string) => {
  const entry = [0, ...u16(name.length), ...text(name)];
  return extension(0, [...u16(entry.length), ...entry]);
};
const alpnOf = (...names: string[]) => {
  const list = names.flatMap((name) => [name.length, ...text(name)]);
  return extension(16, [...u16(list.length), ...list]);
};

function messageOf(extensions: number[] | undefined): number[] {
  const tail = extensions === undefined ? [] : [...u16(extensions.length), ...extensions];
  const body = [3, 3, ...new Array<number>(32).fill(7), 0, 0, 2, 0x13, 1, 1, 0, ...tail];
  return [1, 0, ...u16(body.length), ...body];
}

/** Cut into records of at most `fragment` bytes. */
function records(message: number[], fragment = 16_384): Buffer {
  const parts: number[] = [];
  for (let at = 0; at < message.length; at += fragment) {
    const piece = message.slice(at, at + fragment);
    parts.push(22, 3, 1, ...u16(piece.length), ...piece);
  }
  return Buffer.from(parts);
}

const GREASE = extension(0x0a0a, []);
const GOOD: { title: string; bytes: Buffer; want: ClientHello }[] = [
  {
    title: 'name and protocols',
    bytes: records(messageOf([...GREASE, ...sniOf('a.example.com'), ...alpnOf('h2', 'http/1.1')])),
    want: { serverName: 'a.example.com', alpn: ['h2', 'http/1.1'] },
  },
  {
    title: 'a name in upper case with a dot at its end',
    bytes: records(messageOf(sniOf('A.Example.COM.'))),
    want: { serverName: 'a.example.com', alpn: [] },
  },
  {
    title: 'no extensions (TLS 1.2)',
    bytes: records(messageOf(undefined)),
    want: { serverName: undefined, alpn: [] },
  },
  {
    title: 'records of three bytes each',
    bytes: records(messageOf([...sniOf('b'), ...alpnOf('h2')]), 3),
    want: { serverName: 'b', alpn: ['h2'] },
  },
];

describe('readClientHello takes', () => {
  for (const { title, bytes, want } of GOOD) {
    test(`${title}, whatever the cut, and leaves what follows alone`, () => {
      for (let cut = 0; cut < bytes.length; cut += 1) {
        expect(readClientHello(bytes.subarray(0, cut))).toBe(NEED_MORE);
      }
      expect(readClientHello(bytes)).toEqual(want);
      expect(readClientHello(Buffer.concat([bytes, Buffer.from([20, 3, 3, 0, 1, 1])]))).toEqual(
        want,
      );
    });
  }
});

describe('readClientHello refuses', () => {
  const rows: { title: string; bytes: Buffer; want: number }[] = [
    { title: 'HTTP', bytes: Buffer.from('GET / HTTP/1.1\r\n'), want: NOT_TLS },
    { title: 'SSL 2', bytes: Buffer.from([0x80, 0x2e, 1, 0, 2]), want: NOT_TLS },
    { title: 'another major version', bytes: Buffer.from([22, 4, 1, 0, 5]), want: NOT_TLS },
    { title: 'a server hello', bytes: Buffer.from([22, 3, 3, 0, 4, 2, 0, 0, 0]), want: MALFORMED },
    { title: 'an empty record', bytes: Buffer.from([22, 3, 1, 0, 0]), want: MALFORMED },
    { title: 'a record over its limit', bytes: Buffer.from([22, 3, 1, 0x40, 1]), want: MALFORMED },
    {
      title: 'an alert between two records',
      bytes: Buffer.concat([
        records(messageOf(sniOf('a'))).subarray(0, 0),
        records([1, 0, 1]),
        Buffer.from([21, 3, 1, 0, 2]),
      ]),
      want: MALFORMED,
    },
    {
      title: 'a message over its limit',
      bytes: records([1, 0, 0x40, 1, 3, 3]),
      want: TOO_LONG,
    },
    {
      title: 'two names',
      bytes: records(messageOf([...sniOf('a'), ...sniOf('b')])),
      want: MALFORMED,
    },
    {
      title: 'two lists of protocols',
      bytes: records(messageOf([...alpnOf('h2'), ...alpnOf('h2')])),
      want: MALFORMED,
    },
    { title: 'an empty name', bytes: records(messageOf(sniOf(''))), want: MALFORMED },
    { title: 'a dot as the name', bytes: records(messageOf(sniOf('.'))), want: MALFORMED },
    { title: 'a NUL in a name', bytes: records(messageOf(sniOf('a\0b'))), want: MALFORMED },
    { title: 'a space in a name', bytes: records(messageOf(sniOf('a b'))), want: MALFORMED },
    {
      title: 'a name of 256 bytes',
      bytes: records(messageOf(sniOf('a'.repeat(256)))),
      want: MALFORMED,
    },
    {
      title: 'a name list that is longer than its extension',
      bytes: records(messageOf(extension(0, [0, 9, 0, 0, 1, 97]))),
      want: MALFORMED,
    },
    { title: 'an empty protocol', bytes: records(messageOf(alpnOf(''))), want: MALFORMED },
    {
      title: 'an extension beyond the end',
      bytes: records(messageOf([...u16(5), ...u16(9), 1])),
      want: MALFORMED,
    },
    {
      title: 'extensions that are cut short',
      bytes: records(messageOf([0, 0, 0])),
      want: MALFORMED,
    },
  ];
  for (const { title, bytes, want } of rows) {
    test(title, () => expect(readClientHello(bytes)).toBe(want));
  }

  test('a hello that goes on beyond the limit in small records', () => {
    const message = [1, 0, 0x3f, 0xf0, ...new Array<number>(0x3ff0).fill(0)];
    const bytes = records(message, 1);
    expect(readClientHello(bytes.subarray(0, CLIENT_HELLO_BYTES_MAX - 1))).toBe(NEED_MORE);
    expect(readClientHello(bytes.subarray(0, CLIENT_HELLO_BYTES_MAX))).toBe(TOO_LONG);
  });
});

test('readClientHello never throws, and never changes its mind once it decided', () => {
  const start = GOOD[0].bytes;
  fc.assert(
    fc.property(
      fc.nat(start.length),
      fc.uint8Array({ maxLength: 200 }),
      fc.nat(300),
      (kept, tail, cut) => {
        const bytes = Buffer.concat([start.subarray(0, kept), tail]);
        const early = readClientHello(bytes.subarray(0, cut));
        if (early !== NEED_MORE) expect(readClientHello(bytes)).toEqual(early);
      },
    ),
  );
});

test('readClientHello takes a changed hello as another one or refuses it', () => {
  fc.assert(
    fc.property(fc.nat(GOOD[0].bytes.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(GOOD[0].bytes);
      bytes[at] = byte;
      const got = readClientHello(bytes);
      if (typeof got !== 'number') expect(got.alpn.length).toBeLessThan(4);
    }),
  );
});
