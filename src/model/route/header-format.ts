/**
 * Values of header operations may hold Envoy's command operators (`%REQ(x-user)%`, `%DOWNSTREAM_REMOTE_ADDRESS%`, `%%` for a
 * percent sign). Compiled once with the configuration; a value with an operator that we do not know is a finding there
 * and stays literal here. Source: Envoy's documentation, "Custom request/response headers" and "Command operators".
 */

/** What a value may be made of; undefined when the request has no such thing. */
export interface HeaderFormatFacts {
  /** Operators without argument. */
  value(operator: PlainOperator): string | undefined;
  requestHeader(name: string): string | undefined;
  /** Undefined as well while there is no response yet. */
  responseHeader(name: string): string | undefined;
  startMs(): number;
}

const PLAIN_OPERATORS = [
  'BYTES_RECEIVED',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_LOCAL_PORT',
  'DOWNSTREAM_PEER_URI_SAN',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'DOWNSTREAM_REMOTE_PORT',
  'DURATION',
  'HOSTNAME',
  'PROTOCOL',
  'REQUESTED_SERVER_NAME',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'ROUTE_NAME',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_HOST',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
] as const;
export type PlainOperator = (typeof PLAIN_OPERATORS)[number];
const isPlain = (name: string): name is PlainOperator =>
  (PLAIN_OPERATORS as readonly string[]).includes(name);

type Piece =
  | string
  | { readonly kind: 'plain'; readonly operator: PlainOperator; readonly charsMax: number }
  | {
      readonly kind: 'header';
      readonly of: 'request' | 'response';
      readonly name: string;
      readonly otherwise: string;
      readonly charsMax: number;
    }
  | { readonly kind: 'start-time'; readonly format: string };

export type HeaderFormat = readonly Piece[];

/** `%NAME%`, `%NAME(argument)%`, `%NAME(argument):length%`, `%%`. */
const OPERATOR = /%(?:%|([A-Z_]+)(?:\(([^)]*)\))?(?::(\d+))?%)/y;

/** The pieces of a value, or what is wrong with it, as a sentence part. */
export function parseHeaderFormat(text: string): HeaderFormat | { readonly problem: string } {
  const pieces: Piece[] = [];
  let literal = '';
  let at = 0;
  while (at < text.length) {
    const percent = text.indexOf('%', at);
    if (percent === -1) break;
    literal += text.slice(at, percent);
    OPERATOR.lastIndex = percent;
    const found = OPERATOR.exec(text);
    if (found === null) {
      return {
        problem: `the % at position ${percent} begins no operator: write %% for a percent sign`,
      };
    }
    at = OPERATOR.lastIndex;
    if (found[0] === '%%') {
      literal += '%';
      continue;
    }
    const piece = pieceOf(found[1], found[2], found[3]);
    if (piece === undefined) return { problem: `operator ${found[0]} is not known` };
    if (literal !== '') pieces.push(literal);
    literal = '';
    pieces.push(piece);
  }
  literal += text.slice(at);
  if (literal !== '' || pieces.length === 0) pieces.push(literal);
  return pieces;
}

/** Missing parts are empty, as Envoy renders them in headers; '' means that the operation is left out. */
export function formatHeader(format: HeaderFormat, facts: HeaderFormatFacts): string {
  let text = '';
  for (const piece of format) text += typeof piece === 'string' ? piece : renderPiece(piece, facts);
  return text;
}

function pieceOf(
  name: string,
  argument: string | undefined,
  length: string | undefined,
): Piece | undefined {
  const charsMax = length === undefined ? Number.POSITIVE_INFINITY : Number(length);
  if (name === 'START_TIME') return { kind: 'start-time', format: argument ?? '' };
  if (name === 'REQ' || name === 'RESP') {
    if (argument === undefined) return undefined;
    const [first, otherwise = ''] = argument.toLowerCase().split('?');
    const of = name === 'REQ' ? 'request' : 'response';
    return { kind: 'header', of, name: first, otherwise, charsMax };
  }
  if (argument !== undefined || !isPlain(name)) return undefined;
  return { kind: 'plain', operator: name, charsMax };
}

function renderPiece(piece: Exclude<Piece, string>, facts: HeaderFormatFacts): string {
  switch (piece.kind) {
    case 'plain':
      return cut(facts.value(piece.operator), piece.charsMax);
    case 'header': {
      const { name, otherwise } = piece;
      const read = (field: string) =>
        piece.of === 'request' ? facts.requestHeader(field) : facts.responseHeader(field);
      const found = read(name) ?? (otherwise === '' ? undefined : read(otherwise));
      return cut(found, piece.charsMax);
    }
    case 'start-time':
      return formatTime(facts.startMs(), piece.format);
  }
}

function cut(text: string | undefined, charsMax: number): string {
  if (text === undefined) return '';
  return text.length > charsMax ? text.slice(0, charsMax) : text;
}

/** strftime's common conversions and Envoy's `%f` (microseconds), `%3f`…; without a format RFC 3339 with milliseconds. UTC. */
export function formatTime(startMs: number, format: string): string {
  const iso = new Date(startMs).toISOString();
  if (format === '') return iso;
  const millis = iso.slice(20, 23);
  return format.replace(/%([1-9])?([YmdHMSsfFTeZz%])/g, (whole, digits, letter: string) => {
    switch (letter) {
      case 'Y':
        return iso.slice(0, 4);
      case 'm':
        return iso.slice(5, 7);
      case 'd':
      case 'e':
        return iso.slice(8, 10);
      case 'H':
        return iso.slice(11, 13);
      case 'M':
        return iso.slice(14, 16);
      case 'S':
        return iso.slice(17, 19);
      case 's':
        return String(Math.floor(startMs / 1000));
      case 'f':
        return `${millis}000000`.slice(0, digits === undefined ? 6 : Number(digits));
      case 'F':
        return iso.slice(0, 10);
      case 'T':
        return iso.slice(11, 19);
      case 'Z':
        return 'UTC';
      case 'z':
        return '+0000';
      case '%':
        return '%';
      default:
        return whole;
    }
  });
}
