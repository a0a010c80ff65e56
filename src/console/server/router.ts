/** Addresses of the API: which handler takes a request, what of its path is variable, and which methods there are. Pure. */
import type { Reader } from './access/reader.ts';
import { BODY_BYTES_MAX } from './limits.ts';
import type { Parameters } from './parameters.ts';
import { badParameter, notFound, Problem } from './problem.ts';

export type Method = 'GET' | 'POST' | 'PUT';

export interface Call {
  /** Variable parts of the path, decoded. */
  readonly path: Readonly<Record<string, string>>;
  readonly query: Parameters;
  /** Of POST and PUT: parsed JSON. */
  readonly body: unknown;
  readonly reader: Reader;
  readonly request: Request;
  /** Who is at the other end, for limits. */
  readonly client: string;
  /** A quiet stream is not to be cut off by the server's idle time limit. */
  readonly setIdleSeconds: (seconds: number) => void;
}

export interface Route {
  readonly method: Method;
  /** `/api/v1/workloads/{namespace}/{name}`. */
  readonly path: string;
  /** `anyone`: also before the log-in. `change`: also a token against forged requests is asked for. */
  readonly access: 'anyone' | 'reader' | 'change';
  /** Members of the query that it reads. */
  readonly query?: readonly string[];
  readonly bodyBytesMax?: number;
  /** A value is answered as JSON. */
  readonly handle: (call: Call) => Response | object | Promise<Response | object>;
}

export interface Found {
  readonly route: Route;
  readonly path: Readonly<Record<string, string>>;
}

export function bodyBytesMax(route: Route): number {
  return route.bodyBytesMax ?? BODY_BYTES_MAX;
}

export class Router {
  readonly #bySegments = new Map<number, { segments: readonly string[]; route: Route }[]>();

  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const segments = route.path.split('/').slice(1);
      const same = this.#bySegments.get(segments.length) ?? [];
      this.#bySegments.set(segments.length, [...same, { segments, route }]);
    }
  }

  /** Throws CONSOLE_NOT_FOUND, CONSOLE_METHOD and CONSOLE_BAD_PARAMETER. HEAD is answered as GET. */
  find(method: string, pathname: string): Found {
    const parts = pathname.split('/').slice(1);
    const wanted = method === 'HEAD' ? 'GET' : method;
    const methods: string[] = [];
    for (const { segments, route } of this.#bySegments.get(parts.length) ?? []) {
      if (
        !segments.every((segment, at) =>
          isVariable(segment) ? parts[at] !== '' : segment === parts[at],
        )
      )
        continue;
      if (route.method === wanted) return { route, path: variables(segments, parts) };
      methods.push(route.method);
    }
    if (methods.length === 0) throw notFound('nothing is served at this address');
    throw new Problem('CONSOLE_METHOD', `only ${methods.join(' and ')} can be used here`, {
      allow: methods,
    });
  }
}

function isVariable(segment: string): boolean {
  return segment.startsWith('{');
}

function variables(segments: readonly string[], parts: readonly string[]): Record<string, string> {
  const found: Record<string, string> = {};
  segments.forEach((segment, at) => {
    if (!isVariable(segment)) return;
    const name = segment.slice(1, -1);
    found[name] = decoded(name, parts[at]);
  });
  return found;
}

/** Also letters outside ASCII would be well-formed; no object of Kubernetes has them. */
const PRINTABLE = /^[\x20-\x7e]{1,512}$/;

function decoded(name: string, part: string): string {
  let text: string;
  try {
    text = decodeURIComponent(part);
  } catch (error) {
    throw badParameter(
      name,
      `is not well encoded (${String(error)})`,
      'percent-encode it as UTF-8',
    );
  }
  if (!PRINTABLE.test(text))
    throw badParameter(name, 'has characters that no name has', 'names as in the cluster');
  return text;
}
