/**
 * Requests that two HTTP/1.1 readers may cut differently, after the attack patterns of the literature (CL.TE, TE.CL, TE.TE,
 * bare LF, obs-fold, chunk tricks, Host tricks; RFC 9112 §11.2), and legal neighbours of each that must pass.
 */

export interface SmugglingRow {
  readonly title: string;
  readonly bytes: string;
  /** Final statuses that the client gets, in order. */
  readonly statuses: readonly number[];
  /** What the upstream got: `METHOD target host body`. */
  readonly upstream: readonly string[];
}

const refused = (status: number, title: string, bytes: string): SmugglingRow => ({
  title,
  bytes,
  statuses: [status],
  upstream: [],
});
const passes = (title: string, bytes: string, ...upstream: string[]): SmugglingRow => ({
  title,
  bytes,
  statuses: upstream.map(() => 200),
  upstream,
});
/** A request whose head is fine and whose body is not: it was on its way. */
const cut = (title: string, body: string): SmugglingRow =>
  refused(400, title, `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${body}`);

const get = (fields: string, target = '/') => `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n${body}`;
const CHUNKS = '3\r\nabc\r\n0\r\n\r\n';
const CODING = 'Transfer-Encoding: chunked\r\n';
const EVIL = 'GET /evil HTTP/1.1\r\nHost: a\r\n\r\n';

export const SMUGGLING_ROWS: readonly SmugglingRow[] = [
  // Length and coding.
  refused(400, 'CL.TE', post(`Content-Length: 6\r\n${CODING}`, '0\r\n\r\nG')),
  refused(400, 'TE.CL', post(`${CODING}Content-Length: 4\r\n`, `5c\r\n${EVIL}0\r\n\r\n`)),
  refused(400, 'CL.TE with length 0', post(`Content-Length: 0\r\n${CODING}`, `0\r\n\r\n${EVIL}`)),
  refused(501, 'TE.TE, the second unknown', post(`${CODING}Transfer-Encoding: x\r\n`, CHUNKS)),
  refused(501, 'TE.TE, the first unknown', post(`Transfer-Encoding: x\r\n${CODING}`, CHUNKS)),
  refused(501, 'chunked twice', post(`${CODING}${CODING}`, CHUNKS)),
  ...[
    'xchunked',
    'chunked, identity',
    'identity',
    'chunked;q=1',
    '"chunked"',
    'chunkedd',
    'gzip',
    'x',
    'chunked,',
    ',chunked',
    '',
  ].map((coding) =>
    refused(
      501,
      `coding ${JSON.stringify(coding)}`,
      post(`Transfer-Encoding: ${coding}\r\n`, CHUNKS),
    ),
  ),
  refused(400, 'coding with VT', post('Transfer-Encoding: \x0bchunked\r\n', CHUNKS)),
  refused(400, 'coding with NUL', post('Transfer-Encoding: chunked\0\r\n', CHUNKS)),
  refused(400, 'a space before its colon', post('Transfer-Encoding : chunked\r\n', CHUNKS)),
  refused(400, 'its colon on the next line', post('Transfer-Encoding\r\n : chunked\r\n', CHUNKS)),
  refused(400, 'hidden behind a bare LF', post('X: x\nTransfer-Encoding: chunked\r\n', CHUNKS)),
  refused(400, 'hidden behind a bare CR', post('X: x\rTransfer-Encoding: chunked\r\n', CHUNKS)),
  refused(400, 'folded', post('X: x\r\n Transfer-Encoding: chunked\r\n', CHUNKS)),
  refused(501, 'its value folded', post('Transfer-Encoding:\r\n chunked\r\n', CHUNKS)),
  refused(501, 'a coding in HTTP/1.0', `POST / HTTP/1.0\r\nHost: a\r\n${CODING}\r\n${CHUNKS}`),
  passes(
    'a coding in capitals with tabs',
    post('TRANSFER-ENCODING:\tCHUNKED\t\r\n', CHUNKS),
    'POST / a abc',
  ),
  passes(
    'a coding that Connection names',
    post(`Connection: Transfer-Encoding\r\n${CODING}`, CHUNKS),
    'POST / a abc',
  ),
  // Length alone.
  ...[
    '+3',
    '-3',
    '0x3',
    '3.0',
    '3 3',
    '3,3',
    '3, 3',
    '1e1',
    'three',
    '',
    '9999999999999999',
    '00000000000000003',
  ].map((length) =>
    refused(400, `length ${JSON.stringify(length)}`, post(`Content-Length: ${length}\r\n`, 'abc')),
  ),
  refused(400, 'two lengths', post('Content-Length: 3\r\nContent-Length: 4\r\n', 'abcd')),
  refused(400, 'one length twice', post('Content-Length: 3\r\nContent-Length: 3\r\n', 'abc')),
  refused(400, 'length with FF', post('Content-Length: \x0c3\r\n', 'abc')),
  refused(400, 'length with a space before its colon', post('Content-Length : 3\r\n', 'abc')),
  passes('length with leading zeros', post('Content-Length: 003\r\n', 'abc'), 'POST / a abc'),
  passes(
    'length that Connection names',
    post('Connection: Content-Length\r\nContent-Length: 3\r\n', 'abc'),
    'POST / a abc',
  ),
  passes(
    'a request in a body',
    post(`Content-Length: ${EVIL.length}\r\n`, EVIL),
    `POST / a ${EVIL}`,
  ),
  passes(
    'a request with a body where none is usual',
    `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${EVIL.length}\r\n\r\n${EVIL}`,
    `GET / a ${EVIL}`,
  ),
  // Chunks.
  cut('a chunk size with a space behind', '3 \r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size with a space before', ' 3\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size with a sign', '+3\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size with 0x', '0x3\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size with _', '0_3\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size over 2^64', '10000000000000003\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size of all ones', 'ffffffffffffffff\r\nabc'),
  cut('no chunk size', '\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk size that ends in LF', '3\nabc\r\n0\r\n\r\n'),
  cut('a chunk size that ends in CR', '3\rabc\r\n0\r\n\r\n'),
  cut('a chunk size that ends in CR CR LF', '3\r\r\nabc\r\n0\r\n\r\n'),
  cut('a chunk that is longer than its size', '3\r\nabcd\r\n0\r\n\r\n'),
  cut('a chunk that ends in LF', '3\r\nabc\n0\r\n\r\n'),
  cut('a chunk that ends in two characters', `3\r\nabcXX0\r\n\r\n${EVIL}`),
  cut('an extension with a bare LF', '3;a\nabc\r\n0\r\n\r\n'),
  cut('an extension with a bare CR', '3;a\rb\r\nabc\r\n0\r\n\r\n'),
  cut('an extension with NUL', '3;a\0\r\nabc\r\n0\r\n\r\n'),
  cut('an extension over its limit', `3;${'a'.repeat(300)}\r\nabc\r\n0\r\n\r\n`),
  cut('a length in the trailers', '3\r\nabc\r\n0\r\nContent-Length: 9\r\n\r\n'),
  cut('a coding in the trailers', '3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n'),
  cut('a Host in the trailers', '3\r\nabc\r\n0\r\nHost: b\r\n\r\n'),
  cut('a trailer with a bare LF', '3\r\nabc\r\n0\r\nX: y\nZ: z\r\n\r\n'),
  cut('a folded trailer', '3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n'),
  passes('extensions', post(CODING, '3;a=b;c="d\\"e"\r\nabc\r\n0;z\r\n\r\n'), 'POST / a abc'),
  passes(
    'a chunk size with leading zeros',
    post(CODING, '0003\r\nabc\r\n000\r\n\r\n'),
    'POST / a abc',
  ),
  passes(
    'a request behind the last chunk',
    post(CODING, `${CHUNKS}${get('Host: a\r\n', '/next')}`),
    'POST / a abc',
    'GET /next a ',
  ),
  // Line ends and folding.
  refused(400, 'LF behind the start line', 'GET / HTTP/1.1\nHost: a\r\n\r\n'),
  refused(400, 'LF everywhere', 'GET / HTTP/1.1\nHost: a\n\n'),
  refused(400, 'LF as the empty line', get('Host: a\r\n\n')),
  refused(400, 'CR alone between fields', 'GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n'),
  refused(400, 'CR CR LF', 'GET / HTTP/1.1\r\r\nHost: a\r\n\r\n'),
  refused(
    400,
    'CR as the empty line',
    'GET / HTTP/1.1\r\nHost: a\r\n\rZGET /evil HTTP/1.1\r\nHost: a\r\n\r\n',
  ),
  refused(400, 'a folded value', get('Host: a\r\nX: y\r\n z\r\n')),
  refused(400, 'a first line that begins with a space', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n'),
  refused(400, 'LF before the start line', '\nGET / HTTP/1.1\r\nHost: a\r\n\r\n'),
  passes('empty lines before the start line', `\r\n\r\n${get('Host: a\r\n')}`, 'GET / a '),
  // Field lines.
  ...[
    'X Y: z',
    'X\t: y',
    'X',
    ': y',
    'X(y): z',
    'X\0: y',
    'X: y\0',
    'X: \x01',
    'X: y\x7f',
    'X: y\x0bz',
    '\xe9: y',
    '@: y',
    'X"Y": z',
    'X[]: y',
  ].map((line) =>
    refused(400, `field line ${JSON.stringify(line)}`, get(`Host: a\r\n${line}\r\n`)),
  ),
  passes('a value above ASCII', get('Host: a\r\nX: \xe9\xff\r\n'), 'GET / a '),
  // Host.
  refused(400, 'no Host', get('')),
  ...[
    'Host: a\r\nHost: b',
    'Host: a\r\nHost: a',
    'Host : a',
    'Host: ',
    'Host: a b',
    'Host: a/b',
    'Host: a?b',
    'Host: a#b',
    'Host: u@a',
    'Host: a:b',
    'Host: a:1:2',
    'Host: a, b',
    'Host: [::1',
    'Host: a\\b',
    'Host: a\x01',
    'Host: \xe9',
  ].map((line) => refused(400, JSON.stringify(line), get(`${line}\r\n`))),
  passes('the absolute form over Host', get('Host: a\r\n', 'http://b:81/x?y'), 'GET /x?y b:81 '),
  passes('the absolute form without a path', get('Host: a\r\n', 'http://b?y'), 'GET /?y b '),
  passes(
    'OPTIONS for a whole server',
    'OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n',
    'OPTIONS * b ',
  ),
  refused(400, 'the absolute form with a user', get('Host: a\r\n', 'http://a@b/')),
  refused(400, 'the absolute form without a host', get('Host: a\r\n', 'http:///x')),
  refused(400, 'another scheme', get('Host: a\r\n', 'ftp://a/')),
  refused(400, 'the absolute form without Host', get('', 'http://b/')),
  // The start line.
  ...[
    'GET  / HTTP/1.1',
    'GET /\tHTTP/1.1',
    'GET\t/ HTTP/1.1',
    ' GET / HTTP/1.1',
    'GET / HTTP/1.1 ',
    'GET / HTTP/1.1\0',
    'GET / HTTP/1.1x',
    'GET / HTTP/1.10',
    'GET / HTTP/01.1',
    'GET / HTTP/2.0',
    'GET / HTTP/0.9',
    'GET / http/1.1',
    'GET / HTTP /1.1',
    'GET / HTTP/1.',
    'GET /',
    'GET',
    'GET /a b HTTP/1.1',
    'GET /\xe9 HTTP/1.1',
    'GET /\x7f HTTP/1.1',
    'GET /\0 HTTP/1.1',
    'G@T / HTTP/1.1',
    'GET a HTTP/1.1',
    'GET * HTTP/1.1',
    '\0GET / HTTP/1.1',
    '"GET / HTTP/1.1',
  ].map((line) => refused(400, `start line ${JSON.stringify(line)}`, `${line}\r\nHost: a\r\n\r\n`)),
  passes('a method nobody knows', 'TEA /pot HTTP/1.1\r\nHost: a\r\n\r\n', 'TEA /pot a '),
  passes(
    'quotes and brackets in the target',
    get('Host: a\r\n', '/"<[{|}]>"?\\^`'),
    'GET /"<[{|}]>"?\\^` a ',
  ),
  // What is for one hop.
  passes(
    'an upgrade to h2c',
    get(
      'Host: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n',
    ),
    'GET / a ',
  ),
  refused(
    400,
    'CONNECT with a length',
    'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 3\r\n\r\nabc',
  ),
  refused(
    400,
    'CONNECT with chunks',
    `CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n${CODING}\r\n${CHUNKS}`,
  ),
  refused(417, 'an expectation nobody knows', get('Host: a\r\nExpect: 200-ok\r\n')),
  // One after the other.
  passes(
    'two requests at once',
    `${get('Host: a\r\n', '/1')}${get('Host: a\r\n', '/2')}`,
    'GET /1 a ',
    'GET /2 a ',
  ),
  {
    title: 'a broken one behind a good one',
    bytes: `${get('Host: a\r\n')}GET / HTTP/9\r\n\r\n`,
    statuses: [200, 400],
    upstream: ['GET / a '],
  },
  passes(
    'anything behind Connection: close',
    `${get('Host: a\r\nConnection: close\r\n')}${EVIL}`,
    'GET / a ',
  ),
  passes(
    'anything behind a request of HTTP/1.0',
    `GET / HTTP/1.0\r\nHost: a\r\n\r\n${EVIL}`,
    'GET / a ',
  ),
  {
    title: 'bytes of another protocol',
    bytes: 'INVALID CONNECTION PREFACE\r\n\r\n',
    statuses: [],
    upstream: [],
  },
];
