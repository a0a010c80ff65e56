/** HTTP/1.1 codec: a table of RFC 9112 rules, cases of other parsers where present, and cut properties. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  BODY_UNTIL_CLOSE,
  requestBody,
  responseBody,
} from './body.ts';
import { CHUNKED_DATA, CHUNKED_TRAILERS, ChunkedDecoder, writeChunkSize } from './chunked.ts';
import { type HeadKind, HeadParser } from './head-parser.ts';
import { HEADERS_MAX } from './limits.ts';
import * as reason from './reasons.ts';

function parse(text: string, kind: HeadKind = 'request'): { result: number; parser: HeadParser } {
  const bytes = Buffer.from(text, 'latin1');
  const parser = new HeadParser();
  parser.start(kind);
  return { result: parser.parse(bytes, 0, bytes.length), parser };
}

function fieldsOf(parser: HeadParser, bytes: Buffer): string[] {
  const fields: string[] = [];
  for (let span = 0; span < parser.count * 4; span += 4) {
    fields.push(bytes.toString('latin1', parser.spans[span], parser.spans[span + 1]));
    fields.push(bytes.toString('latin1', parser.spans[span + 2], parser.spans[span + 3]));
  }
  return fields;
}

const HOST = 'Host: a\r\n';
describe('HeadParser refuses requests', () => {
  const rows: { title: string; spec: string; text: string; want: number }[] = [
    {
      title: 'bare LF behind the start line',
      spec: '§2.2',
      text: `GET / HTTP/1.1\n${HOST}\r\n`,
      want: reason.BAD_LINE_END,
    },
    {
      title: 'bare LF behind a field',
      spec: '§2.2',
      text: 'GET / HTTP/1.1\r\nHost: a\n\r\n',
      want: reason.BAD_LINE_END,
    },
    {
      title: 'bare CR in a field',
      spec: '§2.2',
      text: 'GET / HTTP/1.1\r\nA: b\rc\r\n\r\n',
      want: reason.BAD_LINE_END,
    },
    {
      title: 'bare LF as the empty line',
      spec: '§2.2',
      text: `GET / HTTP/1.1\r\n${HOST}\n`,
      want: reason.BAD_LINE_END,
    },
    {
      title: 'space before the colon',
      spec: '§5.1',
      text: 'GET / HTTP/1.1\r\nHost : a\r\n\r\n',
      want: reason.BAD_FIELD_NAME,
    },
    {
      title: 'line folding',
      spec: '§5.2',
      text: `GET / HTTP/1.1\r\n${HOST} b\r\n\r\n`,
      want: reason.LINE_FOLDING,
    },
    {
      title: 'white space before the first field',
      spec: '§2.2',
      text: 'GET / HTTP/1.1\r\n Host: a\r\n\r\n',
      want: reason.LINE_FOLDING,
    },
    {
      title: 'empty field name',
      spec: '§5',
      text: 'GET / HTTP/1.1\r\n: a\r\n\r\n',
      want: reason.BAD_FIELD_NAME,
    },
    {
      title: 'NUL in a value',
      spec: 'RFC 9110 §5.5',
      text: 'GET / HTTP/1.1\r\nA: b\0c\r\n\r\n',
      want: reason.BAD_FIELD_VALUE,
    },
    {
      title: 'two spaces in the start line',
      spec: '§3',
      text: `GET  / HTTP/1.1\r\n${HOST}\r\n`,
      want: reason.BAD_TARGET,
    },
    {
      title: 'tab in the start line',
      spec: '§3',
      text: `GET\t/ HTTP/1.1\r\n${HOST}\r\n`,
      want: reason.BAD_METHOD,
    },
    {
      title: 'HTTP/2.0',
      spec: '§2.3',
      text: `GET / HTTP/2.0\r\n${HOST}\r\n`,
      want: reason.BAD_VERSION,
    },
    { title: 'HTTP/0.9', spec: '§2.3', text: 'GET /\r\n', want: reason.BAD_TARGET },
    {
      title: 'lower-case http',
      spec: '§2.3',
      text: 'GET / http/1.1\r\n\r\n',
      want: reason.BAD_VERSION,
    },
    {
      title: 'two different lengths',
      spec: '§6.3',
      text: 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
      want: reason.TWO_CONTENT_LENGTHS,
    },
    {
      title: 'two equal lengths',
      spec: '§6.3',
      text: 'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n',
      want: reason.TWO_CONTENT_LENGTHS,
    },
    {
      title: 'a list of lengths',
      spec: '§6.3',
      text: 'POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n',
      want: reason.BAD_CONTENT_LENGTH,
    },
    {
      title: 'a signed length',
      spec: '§6.2',
      text: 'POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n',
      want: reason.BAD_CONTENT_LENGTH,
    },
    {
      title: 'an empty length',
      spec: '§6.2',
      text: 'POST / HTTP/1.1\r\nContent-Length:\r\n\r\n',
      want: reason.BAD_CONTENT_LENGTH,
    },
    {
      title: 'a length over 2^53',
      spec: '§6.2',
      text: 'POST / HTTP/1.1\r\nContent-Length: 9999999999999999\r\n\r\n',
      want: reason.BAD_CONTENT_LENGTH,
    },
    {
      title: 'length, then coding',
      spec: '§6.1',
      text: 'POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      want: reason.LENGTH_AND_CODING,
    },
    {
      title: 'coding, then length',
      spec: '§6.1',
      text: 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n',
      want: reason.LENGTH_AND_CODING,
    },
    {
      title: 'chunked twice',
      spec: '§6.1',
      text: 'POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n',
      want: reason.BAD_TRANSFER_CODING,
    },
    {
      title: 'another coding',
      spec: '§6.1',
      text: 'POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
      want: reason.BAD_TRANSFER_CODING,
    },
    {
      title: 'an obfuscated coding',
      spec: '§6.1',
      text: 'POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n',
      want: reason.BAD_TRANSFER_CODING,
    },
    {
      title: 'a coding in HTTP/1.0',
      spec: '§6.1',
      text: 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n',
      want: reason.BAD_TRANSFER_CODING,
    },
    {
      title: 'two Hosts',
      spec: '§3.2',
      text: `GET / HTTP/1.1\r\n${HOST}${HOST}\r\n`,
      want: reason.TWO_HOSTS,
    },
    {
      title: 'a target above ASCII',
      spec: '§3.2',
      text: `GET /\xe9 HTTP/1.1\r\n${HOST}\r\n`,
      want: reason.BAD_TARGET,
    },
    {
      title: 'a method over 32 bytes',
      spec: '§3.1',
      text: `${'X'.repeat(33)} / HTTP/1.1\r\n${HOST}\r\n`,
      want: reason.BAD_METHOD,
    },
    {
      title: 'CR without LF before the start line',
      spec: '§2.2',
      text: '\rGET / HTTP/1.1\r\n',
      want: reason.BAD_LINE_END,
    },
    {
      title: 'more fields than the limit',
      spec: 'limit',
      text: `GET / HTTP/1.1\r\n${'a: b\r\n'.repeat(101)}\r\n`,
      want: reason.TOO_MANY_FIELDS,
    },
    {
      title: 'a target over its limit',
      spec: 'limit',
      text: `GET /${'a'.repeat(33_000)}`,
      want: reason.TARGET_TOO_LONG,
    },
    {
      title: 'a head over the limit',
      spec: 'limit',
      text: `GET / HTTP/1.1\r\nA: ${'a'.repeat(70_000)}`,
      want: reason.HEAD_TOO_LARGE,
    },
  ];
  for (const { title, spec, text, want } of rows) {
    test(`${title} (${spec})`, () => expect(parse(text).result).toBe(want));
  }
});

describe('HeadParser refuses responses', () => {
  const rows: { title: string; text: string; want: number }[] = [
    { title: 'two digits', text: 'HTTP/1.1 20 OK\r\n\r\n', want: reason.BAD_STATUS },
    { title: 'four digits', text: 'HTTP/1.1 2000 OK\r\n\r\n', want: reason.BAD_STATUS },
    { title: 'status 099', text: 'HTTP/1.1 099 OK\r\n\r\n', want: reason.BAD_STATUS },
    { title: 'HTTP/3.1', text: 'HTTP/3.1 200 OK\r\n\r\n', want: reason.BAD_VERSION },
    { title: 'bare LF', text: 'HTTP/1.1 200 OK\n\n', want: reason.BAD_LINE_END },
    {
      title: 'a control character in the reason',
      text: 'HTTP/1.1 200 O\x01\r\n\r\n',
      want: reason.BAD_REASON_PHRASE,
    },
  ];
  for (const { title, text, want } of rows) {
    test(title, () => expect(parse(text, 'response').result).toBe(want));
  }
});

test('HeadParser finds as many fields as there may be', () => {
  const names = Array.from({ length: HEADERS_MAX }, (_, index) => `f-${index}`);
  const text = `HTTP/1.1 200 \r\n${names.map((name) => `${name}: of ${name}\r\n`).join('')}\r\n`;
  const { result, parser } = parse(text, 'response');
  expect(result).toBe(text.length);
  const bytes = Buffer.from(text);
  expect(fieldsOf(parser, bytes)).toEqual(names.flatMap((name) => [name, `of ${name}`]));
});

test('HeadParser finds every piece, whatever the cuts', () => {
  const text =
    '\r\nPOST /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close, X-Drop\r\nX-Drop:1\r\nX-Empty:\r\n' +
    'Expect: 100-continue\r\nContent-Length: \t42 \r\n\r\nrest';
  const bytes = Buffer.from(text);
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length), { maxLength: 12 }), (cuts) => {
      const parser = new HeadParser();
      parser.start('request');
      let result = 0;
      for (const end of [...cuts.sort((a, b) => a - b), bytes.length]) {
        result = parser.parse(bytes, 0, end);
        if (result !== reason.NEED_MORE) break;
      }
      expect(result).toBe(text.indexOf('rest'));
      expect(bytes.toString('latin1', parser.targetStart, parser.targetEnd)).toBe('/a?b=c');
      expect(fieldsOf(parser, bytes)).toEqual([
        ...['Host', 'x', 'Connection', 'close, X-Drop', 'X-Drop', '1', 'X-Empty', ''],
        ...['Expect', '100-continue', 'Content-Length', '42'],
      ]);
      const { framing } = parser;
      expect([framing.close, framing.continue, framing.contentLength]).toEqual([true, true, 42]);
      expect(framing.hopByHop).toBe(0b000110);
    }),
  );
});

test('HeadParser ends with the same verdict for any bytes and any cuts, and within its limits', () => {
  const noise = fc.oneof(
    fc.constantFrom(
      'GET ',
      '/ ',
      'HTTP/1.1',
      '\r\n',
      '\r',
      '\n',
      ':',
      'A: b\r\n',
      'Host: a\r\n',
      ' ',
      '\0',
    ),
    fc.string({ maxLength: 5 }),
  );
  fc.assert(
    fc.property(
      fc.array(noise, { maxLength: 30 }),
      fc.nat(40),
      fc.boolean(),
      (parts, cut, isRequest) => {
        const kind = isRequest ? 'request' : 'response';
        const bytes = Buffer.from(
          `${isRequest ? 'GET / HTTP/1.1\r\n' : 'HTTP/1.1 200 \r\n'}${parts.join('')}`,
        );
        const whole = parse(bytes.toString('latin1'), kind).result;
        const parser = new HeadParser();
        parser.start(kind);
        let result = parser.parse(bytes, 0, Math.min(cut, bytes.length));
        if (result === reason.NEED_MORE) result = parser.parse(bytes, 0, bytes.length);
        expect(result).toBe(whole);
        expect(whole).toBeLessThanOrEqual(bytes.length);
      },
    ),
  );
});

interface ChunkedResult {
  data: string;
  result: number;
  at: number;
}

function decodeChunked(bytes: Buffer, cuts: number[] = []): ChunkedResult {
  const decoder = new ChunkedDecoder();
  decoder.start();
  let data = '';
  let at = 0;
  for (const end of [...cuts, bytes.length]) {
    while (true) {
      const result = decoder.next(bytes, at, end);
      if (result < 0 || result === CHUNKED_TRAILERS) return { data, result, at: decoder.at };
      at = decoder.at;
      if (result === CHUNKED_DATA) data += bytes.toString('latin1', decoder.dataStart, at);
      else break;
    }
  }
  return { data, result: reason.NEED_MORE, at };
}

describe('ChunkedDecoder refuses', () => {
  const rows: { title: string; text: string; want: number }[] = [
    { title: 'no size', text: '\r\nabc', want: reason.BAD_CHUNK_SIZE },
    { title: 'a sign', text: '-1\r\n', want: reason.BAD_CHUNK_SIZE },
    { title: '0x', text: '0x5\r\n', want: reason.BAD_CHUNK_SIZE },
    { title: 'a space behind the size', text: '5 \r\nabcde', want: reason.BAD_CHUNK_SIZE },
    { title: 'bare LF behind the size', text: '5\nabcde', want: reason.BAD_CHUNK_SIZE },
    { title: 'bare CR behind the size', text: '5\rabcde', want: reason.BAD_CHUNK_SIZE },
    { title: 'a size over 2^44', text: '100000000000\r\n', want: reason.BAD_CHUNK_SIZE },
    { title: 'bare LF in an extension', text: '5;a\nabcde', want: reason.BAD_CHUNK_EXTENSION },
    { title: 'a long extension', text: `5;${'a'.repeat(300)}`, want: reason.BAD_CHUNK_EXTENSION },
    { title: 'data that is too long', text: '2\r\nabc\r\n', want: reason.BAD_CHUNK_END },
    { title: 'data that ends in LF', text: '2\r\nab\n0\r\n', want: reason.BAD_CHUNK_END },
  ];
  for (const { title, text, want } of rows) {
    test(title, () => expect(decodeChunked(Buffer.from(text)).result).toBe(want));
  }
});

test('ChunkedDecoder undoes writeChunkSize, whatever the cuts', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 1, maxLength: 300 }), { maxLength: 8 }),
      fc.array(fc.nat(3000), { maxLength: 10 }),
      (chunks, cutAt) => {
        const parts: Buffer[] = [];
        for (const chunk of chunks) {
          const body = Buffer.from(chunk);
          const size = Buffer.alloc(16);
          parts.push(
            size.subarray(0, writeChunkSize(body.length, size, 0)),
            body,
            Buffer.from('\r\n'),
          );
        }
        const bytes = Buffer.concat([...parts, Buffer.from('0;x=y\r\n')]);
        const cuts = cutAt.filter((cut) => cut < bytes.length).sort((a, b) => a - b);
        expect(decodeChunked(bytes, cuts)).toEqual({
          data: Buffer.from(chunks.join('')).toString('latin1'),
          result: CHUNKED_TRAILERS,
          at: bytes.length,
        });
      },
    ),
  );
});

test('requestBody and responseBody follow RFC 9112 §6.3', () => {
  const framing = (text: string) =>
    parse(`HTTP/1.1 200 OK\r\n${text}\r\n`, 'response').parser.framing;
  expect(requestBody(framing(''))).toBe(BODY_NONE);
  expect(requestBody(framing('Content-Length: 0\r\n'))).toBe(BODY_NONE);
  expect(requestBody(framing('Content-Length: 3\r\n'))).toBe(BODY_LENGTH);
  expect(requestBody(framing('Transfer-Encoding: Chunked\r\n'))).toBe(BODY_CHUNKED);
  expect(responseBody(framing(''), 200, false)).toBe(BODY_UNTIL_CLOSE);
  expect(responseBody(framing('Content-Length: 3\r\n'), 200, true)).toBe(BODY_NONE);
  expect(responseBody(framing('Content-Length: 3\r\n'), 304, false)).toBe(BODY_NONE);
  expect(responseBody(framing('Transfer-Encoding: chunked\r\n'), 204, false)).toBe(BODY_NONE);
  expect(responseBody(framing('Transfer-Encoding: chunked\r\n'), 200, false)).toBe(BODY_CHUNKED);
});

// ── cases of other parsers ──

interface CaseRow {
  id: string;
  name: string;
  lenient: boolean;
  direction: 'request' | 'response';
  rawBase64: string;
  expect: 'accept' | 'reject';
  reason: string | null;
}

/** Rows where we differ on purpose. */
const DIFFERENT: Readonly<Record<string, string>> = {
  'OPTIONS request with RTSP': 'we do not speak RTSP',
  'ICE response': 'we do not speak ICE',
};

/** Feeds a stream of messages; the reason of the first refusal, or what llhttp calls the same event. */
function feedAll(bytes: Buffer, kind: HeadKind): string | undefined {
  const parser = new HeadParser();
  let at = 0;
  while (at < bytes.length) {
    parser.start(kind);
    const length = parser.parse(bytes, at, bytes.length);
    if (length < 0) return reason.H1_REASON[length];
    if (length === 0) return undefined;
    at += length;
    const { framing } = parser;
    const request = kind === 'request';
    const method = bytes.toString(
      'latin1',
      at - length + parser.methodStart,
      at - length + parser.methodEnd,
    );
    if (request && (method === 'CONNECT' || framing.upgrade)) return 'Pause on CONNECT/Upgrade';
    if (!request && parser.status === 101) return 'Pause on CONNECT/Upgrade';
    const body = request ? requestBody(framing) : responseBody(framing, parser.status, false);
    if (body === BODY_UNTIL_CLOSE) return undefined;
    if (body === BODY_LENGTH) at += framing.contentLength;
    else if (body === BODY_CHUNKED) {
      const chunked = decodeChunked(bytes.subarray(at));
      if (chunked.result < 0) return reason.H1_REASON[chunked.result];
      if (chunked.result === reason.NEED_MORE) return undefined;
      parser.start('trailers');
      const trailers = parser.parse(bytes, at + chunked.at, bytes.length);
      if (trailers <= 0) return trailers < 0 ? reason.H1_REASON[trailers] : undefined;
      at += chunked.at + trailers;
    }
    if (!framing.persistent && at < bytes.length) return 'Data after `Connection: close`';
  }
  return undefined;
}

const CASES = [
  process.env.TULLE_CASES,
  new URL('../../../../shared/cases', import.meta.url).pathname,
]
  .map((folder) => `${folder}/http1.json`)
  .find((path) => existsSync(path));

describe('HeadParser and ChunkedDecoder agree with cases of other parsers', () => {
  if (CASES === undefined) {
    console.warn('SKIPPED: no http1.json; set TULLE_CASES to the folder that has it');
    test.skip('http1.json', () => undefined);
    return;
  }
  const rows = JSON.parse(readFileSync(CASES, 'utf8')) as CaseRow[];
  for (const row of rows.filter(({ lenient }) => !lenient)) {
    test(`${row.id} ${row.name}`, () => {
      const refusal = feedAll(Buffer.from(row.rawBase64, 'base64'), row.direction);
      if (row.name in DIFFERENT) expect(refusal).toBeDefined();
      // Rows lose their last empty line: a refusal that needs it cannot show.
      else if (refusal !== undefined || row.expect === 'accept') {
        expect(refusal === undefined ? 'accept' : `reject: ${refusal}`).toStartWith(row.expect);
      } else {
        const whole = Buffer.concat([Buffer.from(row.rawBase64, 'base64'), Buffer.from('\r\n')]);
        expect(feedAll(whole, row.direction)).toBeDefined();
      }
    });
  }
});
