/** HTTP/2 requests for the comparison with Envoy: a plain one with some traits, its frames made by hand. */
import type { Random } from '#base/random.ts';
import type { DifferentialCase } from './http-differential.ts';
import { pick } from './http-differential.ts';
import { h2Data, h2Head, sendH2 } from './raw-h2-client.ts';

interface Draft {
  pseudo: [string, string][];
  fields: [string, string][];
  /** Behind the fields. */
  late: [string, string][];
  body: string | undefined;
  trailers: [string, string][];
}

type Trait = (draft: Draft, random: Random) => void;

const field =
  (...lines: [string, string][]): Trait =>
  (draft) =>
    void draft.fields.push(...lines);
const set =
  (name: string, ...values: string[]): Trait =>
  (draft, random) => {
    draft.pseudo = draft.pseudo.filter(([each]) => each !== name);
    if (values.length > 0) draft.pseudo.push([name, pick(random, values)]);
  };

const TRAITS: Readonly<Record<string, Trait>> = {
  query: set(':path', '/path?a=b&c=%20d'),
  'odd path': set(':path', '/path//x', '/./x', '/%2e%2E/x', '/a%2fb', '/;p=1', '/~*!', '/[x]'),
  'another method': set(':method', 'DELETE', 'PATCH', 'OPTIONS'),
  HEAD: set(':method', 'HEAD'),
  'authority with a port': set(':authority', 'a.example:8080', '[2001:db8::1]:80'),
  'the same Host': field(['host', 'a.example']),
  'Host alone': (draft, random) => {
    set(':authority')(draft, random);
    draft.fields.push(['host', 'a.example']);
  },
  'field twice': field(['x-twice', '1'], ['x-twice', '2']),
  'field without a value': field(['x-empty', '']),
  'value above ASCII': field(['x-latin', 'caf\xe9']),
  'name with all characters': field(["x-!#$%&'*+.^`|~9", '1']),
  'long value': field(['x-long', 'v'.repeat(5000)]),
  'two cookies': field(['cookie', 'a=1'], ['cookie', 'b=2']),
  'te: trailers': field(['te', 'trailers']),
  body: (draft) => {
    draft.body = 'some bytes';
  },
  'body with its length': (draft) => {
    draft.body = 'some bytes';
    draft.fields.push(['content-length', '10']);
  },
  trailers: (draft) => {
    draft.body = 'some bytes';
    draft.trailers.push(['x-sum', '7'], ['x-other', 'y']);
  },
  // From here on a strict reader refuses.
  'wrong length': (draft) => {
    draft.body = 'some bytes';
    draft.fields.push(['content-length', '9']);
  },
  'signed length': field(['content-length', '+0']),
  'another Host': field(['host', 'b.example']),
  'connection field': (draft, random) => {
    const names = ['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'];
    draft.fields.push([pick(random, names), 'chunked']);
  },
  'te: gzip': field(['te', 'gzip']),
  'upper-case name': field(['X-Upper', '1']),
  'CR LF in a value': field(['x-crlf', 'a\r\nb: c']),
  'NUL in a value': field(['x-nul', 'a\0']),
  'white space around a value': field(['x-space', ' a ']),
  'space in a name': field(['x space', '1']),
  'no :path': set(':path'),
  'no :method': set(':method'),
  'no :scheme': set(':scheme'),
  'no authority': set(':authority'),
  'user in :authority': set(':authority', 'user@a.example'),
  'CR LF in :path': set(':path', '/ HTTP/1.1\r\nx: y'),
  'space in :path': set(':path', '/a b'),
  'CR LF in :method': set(':method', 'GET / HTTP/1.1\r\nx: y'),
  'space in :authority': set(':authority', 'a b'),
  ':path twice': (draft) => void draft.pseudo.push([':path', '/other']),
  'unknown pseudo-header field': (draft) => void draft.pseudo.push([':odd', '1']),
  'pseudo-header field behind a field': (draft) =>
    void draft.late.push([':authority', 'b.example']),
};
const TRAIT_NAMES = Object.keys(TRAITS);

/** What one of us passes and the other refuses or changes, on purpose; docs/http.md says why. */
export const H2_DELIBERATE: readonly (readonly string[])[] = [
  ['white space around a value'],
  ['another Host'],
  ['the same Host', 'authority with a port'],
  ['Host alone', 'authority with a port'],
];

export function drawH2Case(id: number, random: Random): DifferentialCase {
  const draft: Draft = {
    pseudo: [
      [':method', 'POST'],
      [':scheme', 'http'],
      [':path', '/path'],
      [':authority', 'a.example'],
    ],
    fields: [['x-case', String(id)]],
    late: [],
    body: undefined,
    trailers: [],
  };
  const traits = new Set<string>();
  for (let count = random.integer(4); count > 0; count--) traits.add(pick(random, TRAIT_NAMES));
  for (const name of traits) TRAITS[name](draft, random);
  const { body, trailers } = draft;
  const head = [...draft.pseudo, ...draft.fields, ...draft.late];
  const frames = [h2Head(head, body === undefined)];
  if (body !== undefined) frames.push(h2Data(body, trailers.length === 0));
  if (trailers.length > 0) frames.push(h2Head(trailers, true));
  const send = async (port: number) => {
    const { fields, end } = await sendH2(port, frames);
    return end === 'end' ? Number(fields[1]) : 0;
  };
  return { traits: [...traits], shown: JSON.stringify({ head, body, trailers }), send };
}
