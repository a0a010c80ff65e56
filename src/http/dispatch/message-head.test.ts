/** MessageHead: reading and changing fields that are bytes or strings, and the way between HTTP/1.1 and HTTP/2. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { ScriptedConnection } from '#test/support/scripted-connection.ts';
import { HpackDecoder } from '#wire/hpack/decoder.ts';
import { HpackEncoder } from '#wire/hpack/encoder.ts';
import { buildRequest, buildResponse } from '../h1/head-builder.ts';
import { HeadReader } from '../h1/head-reader.ts';
import * as writer from '../h1/head-writer.ts';
import { BlockReader, blockBytesMax, writeBlock } from '../h2/header-block.ts';
import { Output } from '../output.ts';
import type { MessageHead } from './message-head.ts';

function parsed(text: string): MessageHead {
  const reader = new HeadReader();
  const isResponse = text.startsWith('HTTP/');
  reader.start(isResponse ? 'response' : 'request');
  const bytes = Buffer.from(text, 'latin1');
  expect(reader.read(bytes, 0, bytes.length)).toBe(bytes.length);
  const head = isResponse ? buildResponse(reader) : buildRequest(reader, 'http');
  if (typeof head === 'string') throw new Error(head);
  return head;
}

function asH1(head: MessageHead): string {
  const socket = new ScriptedConnection();
  const output = new Output(socket, 64);
  const write = head.status === 0 ? writer.writeRequestHead : writer.writeResponseHead;
  write(head, output, writer.FRAME_AS_IS, writer.CONNECTION_SILENT);
  output.flush();
  return socket.take();
}

function throughH2(head: MessageHead): MessageHead | string {
  const out = Buffer.alloc(blockBytesMax(head));
  const end = writeBlock(new HpackEncoder(), head, out, 0);
  expect(end).toBeLessThanOrEqual(out.length);
  const list: string[] = [];
  expect(new HpackDecoder().decode(out, 0, end, list)).toBeGreaterThanOrEqual(0);
  const blocks = new BlockReader();
  return blocks.read(list, head.status === 0 ? 'request' : 'response') ?? blocks.reason;
}

function fieldsOf(head: MessageHead): string[] {
  const fields: string[] = [];
  head.forEach((name, value) => void fields.push(`${name}: ${value}`));
  return fields;
}

const REQUEST = 'GET /p?q HTTP/1.1\r\nHost: a:1\r\nX-A: 1\r\nx-b: 2\r\nX-a: 3\r\n\r\n';

describe('MessageHead fields', () => {
  test('get is for the first, getAll for every value, in any case; host is the authority', () => {
    const head = parsed(REQUEST);
    expect([head.method, head.path, head.authority, head.scheme]).toEqual([
      ...['GET', '/p?q', 'a:1', 'http'],
    ]);
    expect([head.get('x-a'), head.getAll('x-a'), head.get('x-c'), head.get('host')]).toEqual([
      ...['1', '1, 3', undefined, 'a:1'],
    ]);
    expect([head.has('x-b'), head.has('x-'), head.getAll('host')]).toEqual([true, false, 'a:1']);
    expect(fieldsOf(head)).toEqual(['x-a: 1', 'x-b: 2', 'x-a: 3']);
  });

  test('getAll gives what forEach gives, of fields that came, were hidden and were added', () => {
    const head = parsed(REQUEST);
    const oracle = (name: string) => {
      const values: string[] = [];
      head.forEach((field, value) => {
        if (field === name) values.push(value);
      });
      return values.length === 0 ? undefined : values.join(', ');
    };
    const changes = [
      () => undefined,
      () => head.add('x-a', '4'),
      () => head.addPlain('x-b', '5'),
      () => head.remove('x-a'),
      () => head.set('x-a', '6'),
    ];
    for (const change of changes) {
      change();
      for (const name of ['x-a', 'x-b', 'x-', 'x-c'])
        expect(head.getAll(name)).toBe(oracle(name) as string);
    }
    expect([head.getAll('x-a'), head.getAll('x-b')]).toEqual(['6', '2, 5']);
  });

  const changes: { title: string; change: (head: MessageHead) => void; want: string }[] = [
    {
      title: 'none: bytes go on as they came',
      change: () => undefined,
      want: 'X-A: 1\r\nx-b: 2\r\nX-a: 3\r\n',
    },
    { title: 'remove', change: (head) => head.remove('x-a'), want: 'x-b: 2\r\n' },
    {
      title: 'set replaces every one',
      change: (head) => head.set('x-a', '9'),
      want: 'x-b: 2\r\nx-a: 9\r\n',
    },
    {
      title: 'add goes behind',
      change: (head) => head.add('x-a', '9'),
      want: 'X-A: 1\r\nx-b: 2\r\nX-a: 3\r\nx-a: 9\r\n',
    },
    {
      title: 'set twice, then remove',
      change: (head) => {
        head.set('x-c', '1');
        head.set('x-c', '2');
        head.remove('x-b');
      },
      want: 'X-A: 1\r\nX-a: 3\r\nx-c: 2\r\n',
    },
    {
      title: 'control characters cannot split a message',
      change: (head) => head.set('x-a', 'a\r\nb: c\0'),
      want: 'x-b: 2\r\nx-a: a  b: c \r\n',
    },
    {
      title: 'wide characters go as UTF-8',
      change: (head) => head.set('x-a', '€'),
      want: 'x-b: 2\r\nx-a: \xe2\x82\xac\r\n',
    },
  ];
  for (const { title, change, want } of changes) {
    test(title, () => {
      const head = parsed(REQUEST);
      change(head);
      expect(asH1(head)).toBe(`GET /p?q HTTP/1.1\r\nhost: a:1\r\n${want}\r\n`);
    });
  }

  test('set of host changes the authority', () => {
    const head = parsed(REQUEST);
    head.set('host', 'other');
    expect([head.authority, asH1(head).includes('host: other\r\nX-A')]).toEqual(['other', true]);
  });

  test('fields that end at this hop do not show and are not sent on', () => {
    const head = parsed(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: close, x-hop\r\nKeep-Alive: 1\r\nX-Hop: 1\r\nTE: gzip\r\nx-e: 1\r\nUpgrade: h2c\r\n\r\n',
    );
    expect(fieldsOf(head)).toEqual(['x-e: 1']);
    expect([head.get('connection'), head.get('x-hop'), head.get('te')]).toEqual([
      ...[undefined, undefined, undefined],
    ]);
    expect(asH1(head)).toBe('GET / HTTP/1.1\r\nhost: a\r\nx-e: 1\r\n\r\n');
  });

  test('clone is independent; retain survives the connection’s buffer', () => {
    const head = parsed(REQUEST);
    const copy = head.clone();
    copy.set('x-a', '9');
    expect([head.getAll('x-a'), copy.getAll('x-a')]).toEqual(['1, 3', '9']);
    const kept = copy.clone().retain();
    copy.parts.raw.bytes.fill(0xee);
    expect([kept.get('x-b'), kept.get('x-a')]).toEqual(['2', '9']);
  });
});

describe('MessageHead with more fields than the hidden bits', () => {
  const many = (count: number, extra = '') => {
    const lines = Array.from({ length: count }, (_, index) => `x-${index}: ${index}\r\n`);
    return `GET / HTTP/1.1\r\nHost: a\r\n${lines.join('')}${extra}\r\n`;
  };

  for (const count of [30, 31, 32, 33, 60]) {
    test(`${count + 1} fields: each reads, changes and is sent on`, () => {
      const head = parsed(many(count));
      const last = `x-${count - 1}`;
      expect([head.get('x-0'), head.get(last)]).toEqual(['0', String(count - 1)]);
      expect(fieldsOf(head).length).toBe(count);
      head.remove(last);
      head.set('x-0', 'new');
      const text = asH1(head);
      expect([head.has(last), text.split('\r\n').length]).toEqual([false, count + 3]);
      expect([text.includes('x-0: new'), text.includes(`${last}:`)]).toEqual([true, false]);
    });
  }

  test('hop-by-hop fields behind the 32nd are hidden too', () => {
    const head = parsed(many(40, 'Connection: x-9, x-39\r\nKeep-Alive: 1\r\n'));
    expect(['x-9', 'x-39', 'connection', 'keep-alive'].map((name) => head.has(name))).toEqual([
      ...[false, false, false, false],
    ]);
    expect(fieldsOf(head).length).toBe(38);
  });

  test('Host behind the 32nd is the authority and no field', () => {
    const lines = Array.from({ length: 40 }, (_, index) => `x-${index}: ${index}\r\n`).join('');
    const head = parsed(`GET / HTTP/1.1\r\n${lines}Host: late\r\n\r\n`);
    expect([head.authority, fieldsOf(head).length]).toEqual(['late', 40]);
  });
});

describe('MessageHead between HTTP/1.1 and HTTP/2', () => {
  const rows: { title: string; text: string; want: string }[] = [
    {
      title: 'a request keeps start line, authority and fields',
      text: 'POST /a?b HTTP/1.1\r\nHost: svc:80\r\nX-A: 1\r\nContent-Length: 3\r\n\r\n',
      want: 'POST /a?b HTTP/1.1\r\nhost: svc:80\r\nx-a: 1\r\ncontent-length: 3\r\n\r\n',
    },
    {
      title: 'the absolute form becomes authority and path',
      text: 'GET http://other/x HTTP/1.1\r\nHost: svc\r\n\r\n',
      want: 'GET /x HTTP/1.1\r\nhost: other\r\n\r\n',
    },
    {
      title: 'OPTIONS *',
      text: 'OPTIONS * HTTP/1.1\r\nHost: svc\r\n\r\n',
      want: 'OPTIONS * HTTP/1.1\r\nhost: svc\r\n\r\n',
    },
    {
      title: 'connection fields and codings stay behind',
      text: 'GET / HTTP/1.1\r\nHost: a\r\nConnection: x-h\r\nX-H: 1\r\nTransfer-Encoding: chunked\r\nX-E: 1\r\n\r\n',
      want: 'GET / HTTP/1.1\r\nhost: a\r\nx-e: 1\r\n\r\n',
    },
    {
      title: 'a response keeps status and order',
      text: 'HTTP/1.1 418 Teapot\r\nSet-Cookie: a=1\r\nConnection: close\r\nSet-Cookie: b=2\r\n\r\n',
      want: 'HTTP/1.1 418 Status\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\r\n',
    },
    {
      title: 'two cookies become one (RFC 9113 §8.2.3)',
      text: 'GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n',
      want: 'GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1; b=2\r\n\r\n',
    },
    {
      title: 'bytes above ASCII are kept',
      text: 'GET / HTTP/1.1\r\nHost: a\r\nX-A: \xe2\x82\xac\r\n\r\n',
      want: 'GET / HTTP/1.1\r\nhost: a\r\nx-a: \xe2\x82\xac\r\n\r\n',
    },
  ];
  for (const { title, text, want } of rows) {
    test(title, () => {
      const head = throughH2(parsed(text));
      expect(typeof head === 'string' ? head : asH1(head)).toBe(want);
    });
  }

  test('any head survives HTTP/1.1 → HTTP/2 → HTTP/1.1, changed or not', () => {
    const token = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,20}$/);
    const value = fc.stringMatching(/^([!-~\xa0-\xff]([ -~\xa0-\xff]{0,60}[!-~\xa0-\xff])?)?$/);
    const field = fc.tuple(
      token.map((name) => `x-${name}`),
      value,
    );
    const property = fc.property(
      fc.array(field, { maxLength: 45 }),
      fc.array(field, { maxLength: 4 }),
      (came, added) => {
        const lines = came.map(([name, text]) => `${name}: ${text}\r\n`).join('');
        const head = parsed(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
        for (const [name, text] of added) head.set(name.toLowerCase(), text);
        const back = throughH2(head);
        if (typeof back === 'string') throw new Error(back);
        expect(fieldsOf(back)).toEqual(fieldsOf(head));
        expect(fieldsOf(parsed(asH1(back)))).toEqual(fieldsOf(head));
      },
    );
    fc.assert(property, { numRuns: 200 });
  });
});
