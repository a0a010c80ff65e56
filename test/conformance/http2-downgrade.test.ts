/**
 * HTTP/2 requests that an HTTP/1.1 upstream would read otherwise (RFC 9113 §8.2, §8.3, §10.3): refused on their stream, and
 * nothing of them arrives. Legal neighbours pass.
 */
import { afterAll, beforeEach, describe, expect, test } from 'bun:test';
import { httpEngine } from '#test/support/http-engine.ts';
import { h2Data, h2Head, sendH2 } from '#test/support/raw-h2-client.ts';
import { recordingUpstream } from '#test/support/recording-upstream.ts';

const upstream = await recordingUpstream();
const mesh = httpEngine({ upstreamPort: upstream.port });
afterAll(async () => {
  mesh[Symbol.dispose]();
  await upstream[Symbol.asyncDispose]();
});

type Field = [name: string, value: string];
const PSEUDO: Field[] = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'a'],
  [':path', '/'],
];
const EVIL = ' HTTP/1.1\r\nHost: a\r\n\r\nGET /evil';

/** The usual pseudo-header fields with one changed, or left out. */
function pseudo(name: string, value: string | undefined): Field[] {
  return PSEUDO.flatMap(([each, usual]): Field[] => {
    if (each !== name) return [[each, usual]];
    return value === undefined ? [] : [[each, value]];
  });
}

describe('an HTTP/2 request is refused with', () => {
  beforeEach(() => upstream.forget());
  const rows: [title: string, fields: Field[]][] = [
    ['CR LF in a value', [...PSEUDO, ['x', `y\r\nTransfer-Encoding: chunked`]]],
    ['LF in a value', [...PSEUDO, ['x', 'y\nz: 1']]],
    ['CR in a value', [...PSEUDO, ['x', 'y\rz']]],
    ['NUL in a value', [...PSEUDO, ['x', 'y\0']]],
    ['a value that begins with a space', [...PSEUDO, ['x', ' y']]],
    ['a value that ends with a tab', [...PSEUDO, ['x', 'y\t']]],
    ['CR LF in a name', [...PSEUDO, ['x: y\r\nz', '1']]],
    ['a colon in a name', [...PSEUDO, ['x: y', '1']]],
    ['a space in a name', [...PSEUDO, ['x y', '1']]],
    ['an upper-case name', [...PSEUDO, ['X', '1']]],
    ['an empty name', [...PSEUDO, ['', '1']]],
    ['a name above ASCII', [...PSEUDO, ['\xe9', '1']]],
    ['CR LF in :method', pseudo(':method', `GET / HTTP/1.1\r\nx: y`)],
    ['a space in :method', pseudo(':method', 'GET /evil')],
    ['an empty :method', pseudo(':method', '')],
    ['CR LF in :path', pseudo(':path', `/${EVIL}`)],
    ['a space in :path', pseudo(':path', '/ HTTP/1.1')],
    ['a :path that is no path', pseudo(':path', 'http://b/')],
    ['an empty :path', pseudo(':path', '')],
    ['* for another method than OPTIONS', pseudo(':path', '*')],
    ['CR LF in :authority', pseudo(':authority', 'a\r\nx: y')],
    ['a space in :authority', pseudo(':authority', 'a b')],
    ['a user in :authority', pseudo(':authority', 'u@a')],
    ['a path in :authority', pseudo(':authority', 'a/b')],
    ['an empty :authority', pseudo(':authority', '')],
    ['no authority at all', pseudo(':authority', undefined)],
    ['CR LF in :scheme', pseudo(':scheme', 'http\r\nx: y')],
    ['no :scheme', pseudo(':scheme', undefined)],
    ['no :path', pseudo(':path', undefined)],
    ['no :method', pseudo(':method', undefined)],
    ['a second :path', [...PSEUDO, [':path', '/evil']]],
    ['a second :authority', [...PSEUDO, [':authority', 'b']]],
    ['a second :method behind a field', [...PSEUDO, ['x', 'y'], [':method', 'GET']]],
    ['a second :authority behind a field', [...PSEUDO, ['x', 'y'], [':authority', 'b']]],
    ['a second :scheme behind a field', [...PSEUDO, ['x', 'y'], [':scheme', 'https']]],
    ['a second :path behind a field', [...PSEUDO, ['x', 'y'], [':path', '/evil']]],
    [':status', [...PSEUDO, [':status', '200']]],
    ['an unknown pseudo-header field', [...PSEUDO, [':foo', 'x']]],
    [':protocol without CONNECT', [...PSEUDO, [':protocol', 'websocket']]],
    ['transfer-encoding', [...PSEUDO, ['transfer-encoding', 'chunked']]],
    ['connection', [...PSEUDO, ['connection', 'close']]],
    ['keep-alive', [...PSEUDO, ['keep-alive', '1']]],
    ['proxy-connection', [...PSEUDO, ['proxy-connection', 'keep-alive']]],
    ['upgrade', [...PSEUDO, ['upgrade', 'websocket']]],
    ['te: chunked', [...PSEUDO, ['te', 'chunked']]],
    ['te: trailers, chunked', [...PSEUDO, ['te', 'trailers, chunked']]],
    ['another Host', [...PSEUDO, ['host', 'b']]],
    ['two Hosts', [...pseudo(':authority', undefined), ['host', 'a'], ['host', 'a']]],
    ['CR LF in Host', [...pseudo(':authority', undefined), ['host', 'a\r\nx: y']]],
    ['two lengths', [...PSEUDO, ['content-length', '3'], ['content-length', '3']]],
    ['a signed length', [...PSEUDO, ['content-length', '+3']]],
    ['a list of lengths', [...PSEUDO, ['content-length', '3, 3']]],
    ['a length above its body', [...PSEUDO, ['content-length', '4']]],
    ['a length below its body', [...PSEUDO, ['content-length', '2']]],
    ['a length of zero with a body', [...PSEUDO, ['content-length', '0']]],
    ['CONNECT with a path', pseudo(':method', 'CONNECT')],
  ];
  for (const [title, fields] of rows) {
    test(title, async () => {
      const answer = await sendH2(mesh.port, [h2Head(fields, false), h2Data('abc', true)]);
      expect(answer.end).toBe('reset');
      expect([upstream.requests, upstream.faults]).toEqual([[], []]);
    });
  }

  const trailers: [title: string, field: Field][] = [
    ['a length in the trailers', ['content-length', '3']],
    ['a coding in the trailers', ['transfer-encoding', 'chunked']],
    ['a Host in the trailers', ['host', 'b']],
    ['a pseudo-header field in the trailers', [':path', '/evil']],
    ['CR LF in the trailers', ['x', 'y\r\nz: 1']],
  ];
  for (const [title, field] of trailers) {
    test(title, async () => {
      const frames = [h2Head(PSEUDO, false), h2Data('abc', false), h2Head([field], true)];
      expect((await sendH2(mesh.port, frames)).end).toBe('reset');
      expect([upstream.requests, upstream.faults]).toEqual([[], []]);
    });
  }
});

describe('an HTTP/2 request passes with', () => {
  beforeEach(() => upstream.forget());
  const rows: [title: string, fields: Field[], want: string][] = [
    ['a right length', [...PSEUDO, ['content-length', '3']], 'POST / a abc'],
    ['no length', PSEUDO, 'POST / a abc'],
    ['the same Host', [...PSEUDO, ['host', 'a']], 'POST / a abc'],
    ['Host alone', [...pseudo(':authority', undefined), ['host', 'a']], 'POST / a abc'],
    ['te: trailers', [...PSEUDO, ['te', 'trailers']], 'POST / a abc'],
    ['an empty value', [...PSEUDO, ['x', '']], 'POST / a abc'],
    ['a value above ASCII', [...PSEUDO, ['x', '\xe9']], 'POST / a abc'],
    ['a request in its body', PSEUDO, 'POST / a abc'],
  ];
  for (const [title, fields, want] of rows) {
    test(title, async () => {
      const answer = await sendH2(mesh.port, [h2Head(fields, false), h2Data('abc', true)]);
      expect([answer.end, answer.fields.slice(0, 2), answer.body]).toEqual([
        ...['end', [':status', '200'], 'ok'],
      ]);
      const got = upstream.requests.map(({ method, target, fields: all, body }) => {
        const host = all.find(([name]) => name === 'host');
        return `${method} ${target} ${host?.[1]} ${body}`;
      });
      expect([got, upstream.faults]).toEqual([[want], []]);
    });
  }

  test('trailers, which become those of a chunked body', async () => {
    const frames = [h2Head(PSEUDO, false), h2Data('abc', false), h2Head([['x', 'y']], true)];
    expect((await sendH2(mesh.port, frames)).end).toBe('end');
    expect(upstream.requests.map(({ body, trailers }) => [body, trailers])).toEqual([
      ['abc', [['x', 'y']]],
    ]);
  });

  test('crumbs of Cookie, which become one field (§8.2.3)', async () => {
    const fields: Field[] = [...PSEUDO, ['cookie', 'a=1'], ['cookie', 'b=2']];
    await sendH2(mesh.port, [h2Head(fields, true)]);
    const cookies = upstream.requests[0].fields.filter(([name]) => name === 'cookie');
    expect(cookies).toEqual([['cookie', 'a=1; b=2']]);
  });
});
