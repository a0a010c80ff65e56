/** HTTP/1.1 requests for the comparison with Envoy: a plain one with some traits. */
import { connect } from 'node:net';
import type { Random } from '#base/random.ts';
import type { DifferentialCase } from './http-differential.ts';
import { pick } from './http-differential.ts';

interface Draft {
  before: string;
  method: string;
  target: string;
  version: string;
  host: string;
  fields: string[];
  body: string;
  framing: 'none' | 'length' | 'chunked';
  trailers: string[];
}

type Trait = (draft: Draft, random: Random) => void;

const field =
  (...lines: string[]): Trait =>
  (draft) =>
    void draft.fields.push(...lines);

/** Each by its name. */
const TRAITS: Readonly<Record<string, Trait>> = {
  query: (draft) => {
    draft.target += '?a=b&c=%20d';
  },
  'odd path': (draft, random) => {
    draft.target += pick(random, ['//x', '/./x', '/%2e%2E/x', '/a%2fb', '/;p=1', '/~*!', '/[x]']);
  },
  'absolute form': (draft, random) => {
    const { host, target } = draft;
    const forms = [`${host}${target}`, `other.example:81${target}`, host];
    draft.target = `http://${pick(random, forms)}`;
  },
  'absolute form, a query alone': (draft) => {
    draft.target = `http://${draft.host}?x=y`;
  },
  'odd method': (draft, random) => {
    draft.method = pick(random, ['TEA', 'PATCH', 'M-SEARCH', 'get']);
  },
  DELETE: (draft) => {
    draft.method = 'DELETE';
  },
  HEAD: (draft) => {
    draft.method = 'HEAD';
  },
  'host with a port': (draft) => {
    draft.host = 'a.example:8080';
  },
  'IPv6 host': (draft) => {
    draft.host = '[2001:db8::1]:80';
  },
  'host in capitals': (draft) => {
    draft.host = 'A.Example';
  },
  'field twice': field('X-Twice: 1', 'X-Twice: 2'),
  'field without a value': field('X-Empty:'),
  'value with white space around': field('X-Space: \t a  b \t'),
  'value above ASCII': field('X-Latin: caf\xe9 \xff'),
  'name with all characters': field("X-!#$%&'*+.^_`|~9: 1"),
  'name with an underscore': field('X_Under: 1'),
  'long value': field(`X-Long: ${'v'.repeat(5000)}`),
  'many fields': (draft) => {
    for (let index = 0; index < 80; index++) draft.fields.push(`X-${index}: ${index}`);
  },
  'two cookies': field('Cookie: a=1', 'Cookie: b=2'),
  'TE: trailers': field('TE: trailers'),
  'TE: gzip': field('TE: gzip'),
  'TE with both': field('TE: gzip;q=0.5, trailers'),
  'hop-by-hop fields': field('Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive'),
  'Connection: keep-alive': field('Connection: keep-alive'),
  'Connection names a field': field('Connection: x-hop', 'X-Hop: 1'),
  'Connection names Content-Length': field('Connection: content-length'),
  'Connection: close': field('Connection: close'),
  'upgrade to h2c': field(
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
  ),
  'Expect: 100-continue': field('Expect: 100-continue'),
  body: (draft) => {
    draft.framing = 'length';
    draft.body += 'some bytes';
  },
  'empty body': (draft) => {
    draft.framing = 'length';
  },
  chunks: (draft) => {
    draft.framing = 'chunked';
    draft.body += 'some bytes in chunks\r\n0\r\n\r\n';
  },
  trailers: (draft) => {
    draft.framing = 'chunked';
    draft.trailers.push('X-Sum: 7', 'X-Other: y');
  },
  'empty lines before': (draft) => {
    draft.before = '\r\n\r\n';
  },
  'HTTP/1.0': (draft) => {
    draft.version = 'HTTP/1.0';
  },
  // From here on a strict reader refuses.
  'two lengths': field('Content-Length: 1', 'Content-Length: 2'),
  'one length twice': field('Content-Length: 0', 'Content-Length: 0'),
  'length and chunks': field('Content-Length: 1', 'Transfer-Encoding: chunked'),
  'coding nobody knows': field('Transfer-Encoding: x'),
  'chunked twice': field('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'),
  'signed length': field('Content-Length: +0'),
  'two Hosts': field('Host: b.example'),
  'user in Host': (draft) => {
    draft.host = 'user@a.example';
  },
  'path in Host': (draft) => {
    draft.host = 'a.example/x';
  },
  'space in Host': (draft) => {
    draft.host = 'a example';
  },
  'space before a colon': field('X-Space : 1'),
  'folded value': field('X-Fold: 1\r\n 2'),
  'bare LF': field('X-Lf: 1\nX-Next: 2'),
  'bare CR': field('X-Cr: 1\rX-Next: 2'),
  'NUL in a value': field('X-Nul: \0'),
  'control character in a value': field('X-Control: \x01'),
  'DEL in a value': field('X-Del: \x7f'),
  'space in a name': field('X Space: 1'),
  'bytes above ASCII in a name': field('X-\xe9: 1'),
  'field without a colon': field('X-None'),
  'unknown version': (draft) => {
    draft.version = 'HTTP/1.2';
  },
  'space in the target': (draft) => {
    draft.target += ' x';
  },
  'bytes above ASCII in the target': (draft) => {
    draft.target += '\xe9';
  },
  'target without a slash': (draft) => {
    draft.target = 'x';
  },
  'broken chunk': (draft) => {
    draft.framing = 'chunked';
    draft.trailers.push('\r\nzz');
    draft.body = '\0broken';
  },
};

const TRAIT_NAMES: readonly string[] = Object.keys(TRAITS);

/** Traits, alone or together, that one of us passes and the other refuses or changes, on purpose; docs/http.md says why. */
export const H1_DELIBERATE: readonly (readonly string[])[] = [
  ...[['bare LF'], ['bare CR'], ['folded value'], ['broken chunk'], ['unknown version']],
  ...[['two Hosts'], ['user in Host'], ['odd method'], ['absolute form, a query alone']],
  ...[
    ['HTTP/1.0', 'chunks'],
    ['HTTP/1.0', 'trailers'],
    ['HTTP/1.0', 'Expect: 100-continue'],
  ],
  ...[
    ['absolute form', 'space in Host'],
    ['absolute form', 'path in Host'],
  ],
];

export function drawH1Case(id: number, random: Random): DifferentialCase {
  const draft: Draft = {
    before: '',
    method: pick(random, ['GET', 'POST', 'PUT']),
    target: '/path',
    version: 'HTTP/1.1',
    host: 'a.example',
    fields: [`X-Case: ${id}`],
    body: '',
    framing: 'none',
    trailers: [],
  };
  const traits = new Set<string>();
  for (let count = random.integer(4); count > 0; count--) traits.add(pick(random, TRAIT_NAMES));
  for (const name of traits) TRAITS[name](draft, random);
  // Several together can make what is a trait of its own.
  if (/^http:\/\/[^/?]*\?/.test(draft.target)) traits.add('absolute form, a query alone');
  const bytes = render(draft, random);
  return { traits: [...traits], shown: bytes, send: (port) => exchange(port, bytes) };
}

function render(draft: Draft, random: Random): string {
  const lines = [`${draft.method} ${draft.target} ${draft.version}`, `Host: ${draft.host}`];
  lines.push(...draft.fields);
  if (draft.framing === 'length') lines.push(`Content-Length: ${draft.body.length}`);
  if (draft.framing === 'chunked') lines.push('Transfer-Encoding: chunked');
  const head = `${draft.before}${lines.join('\r\n')}\r\n\r\n`;
  if (draft.framing !== 'chunked') return head + (draft.framing === 'length' ? draft.body : '');
  if (draft.body === '\0broken') return `${head}3\r\nabcX\r\n0\r\n\r\n`;
  let chunks = '';
  for (let at = 0; at < draft.body.length; ) {
    const size = 1 + random.integer(9);
    const part = draft.body.slice(at, at + size);
    chunks += `${part.length.toString(16).toUpperCase()}${pick(random, ['', ';x', ';x="y"'])}\r\n${part}\r\n`;
    at += size;
  }
  const trailers = draft.trailers.map((line) => `${line}\r\n`).join('');
  return `${head}${chunks}0\r\n${trailers}\r\n`;
}

const SILENCE_MS = 1000;

/** The first final status; 0 when there was none. */
function exchange(port: number, bytes: string): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const socket = connect({ port, host: '127.0.0.1' });
  let text = '';
  const finish = () => {
    clearTimeout(timer);
    socket.destroy();
    const statuses = [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => Number(match[1]));
    resolve(statuses.find((status) => status >= 200) ?? 0);
  };
  const timer = setTimeout(finish, SILENCE_MS);
  socket.on('error', finish);
  socket.on('close', finish);
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
    if (/HTTP\/1\.[01] [2-5]\d\d[\s\S]*\r\n\r\n/.test(text)) setImmediate(finish);
  });
  socket.write(bytes, 'latin1');
  return promise;
}
