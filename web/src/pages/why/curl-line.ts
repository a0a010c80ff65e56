/** A curl line to a question and back: the form and the line say the same, whichever is written. Pure. */
import type { WhyRequest } from '#cli/why/contract.ts';

export type CurlReading =
  | {
      readonly request: Pick<
        WhyRequest,
        'destination' | 'method' | 'path' | 'headers' | 'protocol'
      >;
      readonly problem: '';
    }
  | { readonly request: undefined; readonly problem: string };

/** Words as a shell takes them apart: quotes and backslashes, no variables. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  const pattern = /\\\n|((?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+)/g;
  for (const [, raw] of line.matchAll(pattern)) {
    if (raw === undefined) continue;
    words.push(
      raw.replace(
        /'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s\S])/g,
        (_, single, double, escaped) =>
          single ?? (double === undefined ? escaped : double.replace(/\\(["\\$`])/g, '$1')),
      ),
    );
  }
  return words;
}

/** Options of curl that take a value and say nothing of the way. */
const IGNORED_WITH_VALUE = new Set([
  '-o',
  '--output',
  '-m',
  '--max-time',
  '-w',
  '--write-out',
  '--connect-timeout',
  '--retry',
  '--cacert',
  '--resolve',
]);
const BODY = new Set([
  '-d',
  '--data',
  '--data-raw',
  '--data-binary',
  '--data-urlencode',
  '-F',
  '--form',
]);

export function parseCurl(line: string): CurlReading {
  const words = shellWords(line.trim());
  const start = words.indexOf('curl');
  if (start < 0) return { request: undefined, problem: 'The line has no curl in it' };
  let url = '';
  let method = '';
  const headers: Record<string, string> = {};
  for (let at = start + 1; at < words.length; at++) {
    const word = words[at];
    if (word === '-X' || word === '--request') method = words[++at] ?? '';
    else if (/^-X./.test(word)) method = word.slice(2);
    else if (word === '-H' || word === '--header') addHeader(headers, words[++at] ?? '');
    else if (word === '-A' || word === '--user-agent') headers['user-agent'] = words[++at] ?? '';
    else if (word === '-I' || word === '--head') method ||= 'HEAD';
    else if (BODY.has(word)) {
      method ||= 'POST';
      at++;
    } else if (IGNORED_WITH_VALUE.has(word)) at++;
    else if (!word.startsWith('-')) url ||= word;
  }
  return url === ''
    ? { request: undefined, problem: 'The line names no address' }
    : requestOf({ url, method, headers });
}

function addHeader(headers: Record<string, string>, text: string): void {
  const colon = text.indexOf(':');
  if (colon > 0) headers[text.slice(0, colon).trim().toLowerCase()] = text.slice(colon + 1).trim();
}

function requestOf({
  url,
  method,
  headers,
}: {
  url: string;
  method: string;
  headers: Record<string, string>;
}): CurlReading {
  const full = /^[a-z]+:\/\//i.test(url) ? url : `http://${url}`;
  if (!URL.canParse(full)) return { request: undefined, problem: `${url} is not an address` };
  const { protocol, hostname, port, pathname, search } = new URL(full);
  if (protocol !== 'http:' && protocol !== 'https:')
    return { request: undefined, problem: `${protocol}// is not HTTP` };
  const isTls = protocol === 'https:';
  return {
    request: {
      destination: {
        host: hostname.replace(/^\[|\]$/g, ''),
        port: port === '' ? (isTls ? 443 : 80) : Number(port),
      },
      method: method === '' ? 'GET' : method.toUpperCase(),
      path: `${pathname}${search}`,
      ...(isTls && { protocol: 'https' as const }),
      ...(Object.keys(headers).length > 0 && { headers }),
    },
    problem: '',
  };
}

const quote = (text: string) =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;

export function formatCurl({
  destination,
  method = 'GET',
  path = '/',
  headers = {},
  protocol,
}: WhyRequest): string {
  const scheme = protocol === 'https' || protocol === 'tls' ? 'https' : 'http';
  const host = destination.host.includes(':') ? `[${destination.host}]` : destination.host;
  const port = destination.port === (scheme === 'https' ? 443 : 80) ? '' : `:${destination.port}`;
  const parts = ['curl', ...(method === 'GET' ? [] : ['-X', quote(method)])];
  for (const [name, value] of Object.entries(headers)) parts.push('-H', quote(`${name}: ${value}`));
  parts.push(quote(`${scheme}://${host}${port}${path}`));
  return parts.join(' ');
}

/** The command that answers the same in a terminal. */
export function formatWhyCommand(request: WhyRequest): string {
  const { source, destination, gateway, mode, method = 'GET', path = '/', headers = {} } = request;
  const from =
    source?.workload ??
    (source?.serviceAccount === undefined
      ? source?.ip
      : `${source.namespace ?? 'default'}/${source.serviceAccount}`);
  const parts = ['tulle why'];
  if (from !== undefined && gateway === undefined) parts.push('--from', quote(from));
  if (gateway !== undefined) parts.push('--gateway', quote(gateway));
  parts.push('--to', quote(`${destination.host}:${destination.port}`));
  if (method !== 'GET') parts.push('--method', quote(method));
  if (path !== '/') parts.push('--path', quote(path));
  for (const [name, value] of Object.entries(headers))
    parts.push('--header', quote(`${name}: ${value}`));
  if (mode === 'sidecar') parts.push('--mode sidecar');
  return parts.join(' ');
}
