/** The question of the form as members of the address, and as what the API is asked. Pure. */
import type { WhyRequest } from '#cli/why/contract.ts';

export interface Question {
  /** `namespace/serviceAccount`, `namespace/workload` or an address. */
  readonly from: string;
  readonly gateway: string;
  readonly host: string;
  readonly port: string;
  readonly method: string;
  readonly path: string;
  /** `name: value`, one a line. */
  readonly headers: string;
  readonly mode: string;
}

export const NAMES = [
  'from',
  'gateway',
  'host',
  'port',
  'method',
  'path',
  'headers',
  'mode',
] as const;
const DEFAULTS: Question = {
  from: '',
  gateway: '',
  host: '',
  port: '80',
  method: 'GET',
  path: '/',
  headers: '',
  mode: 'ambient',
};

export function questionOf(query: URLSearchParams): Question {
  return Object.fromEntries(
    NAMES.map((name) => [name, query.get(name) ?? DEFAULTS[name]]),
  ) as unknown as Question;
}

/** Members of the address: defaults are left out. */
export function queryOf(question: Question): Record<string, string | undefined> {
  return Object.fromEntries(
    NAMES.map((name) => [name, question[name] === DEFAULTS[name] ? undefined : question[name]]),
  );
}

export type Asked =
  | { readonly request: WhyRequest; readonly problem: '' }
  | { readonly request: undefined; readonly problem: string };

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:]+)$/i;

export function requestOf(question: Question): Asked {
  const port = Number(question.port);
  if (question.host.trim() === '')
    return {
      request: undefined,
      problem: 'Say where the request goes: a service, a host name or an address',
    };
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    return { request: undefined, problem: `${question.port} is not a port: 1 to 65535` };
  const from = question.from.trim();
  const [namespace, serviceAccount] = from.split('/');
  const headers = headersOf(question.headers);
  const source = ADDRESS.test(from)
    ? { ip: from }
    : { namespace, ...(serviceAccount !== undefined && { serviceAccount }) };
  return {
    request: {
      ...(from !== '' && question.gateway === '' && { source }),
      destination: { host: question.host.trim(), port },
      ...(question.gateway !== '' && { gateway: question.gateway.trim() }),
      ...(question.mode === 'sidecar' && { mode: 'sidecar' as const }),
      method: question.method,
      path: question.path || '/',
      ...(Object.keys(headers).length > 0 && { headers }),
    },
    problem: '',
  };
}

function headersOf(text: string): Record<string, string> {
  const pairs = text.split('\n').flatMap((line) => {
    const colon = line.indexOf(':');
    return colon > 0
      ? [[line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]]
      : [];
  });
  return Object.fromEntries(pairs);
}

/** What a curl line says, over what the form said of the client. */
export function withRequest(
  question: Question,
  request: Pick<WhyRequest, 'destination' | 'method' | 'path' | 'headers'>,
): Question {
  return {
    ...question,
    host: request.destination.host,
    port: `${request.destination.port}`,
    method: request.method ?? 'GET',
    path: request.path ?? '/',
    headers: Object.entries(request.headers ?? {})
      .map(([name, value]) => `${name}: ${value}`)
      .join('\n'),
  };
}
