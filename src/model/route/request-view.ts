/** What the route matcher reads of a request. */

/** What a route may look at. An HTTP head satisfies it as it is. */
export interface RequestView {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Every value of a field joined by `,`; undefined when absent. `name` is lower case. */
  getAll(name: string): string | undefined;
  /** A claim of the verified token by its way from the root, a list as it is; absent where no token is verified. */
  claim?(path: readonly string[]): string | readonly string[] | undefined;
}

/** A field by its lower-case name; pseudo-fields by theirs. */
export function fieldOf(name: string, request: RequestView): string | undefined {
  switch (name) {
    case ':method':
      return request.method;
    case ':authority':
    case 'host':
      return request.authority;
    case ':path':
      return request.path;
    case ':scheme':
      return request.scheme;
    default:
      return request.getAll(name);
  }
}

const AMPERSAND = 0x26;
const EQUALS = 0x3d;

/**
 * The first value of a query parameter, no percent-decoding (as Envoy's query matcher does); `from` is where the query
 * begins in `path`. Undefined when absent.
 */
export function queryValue(path: string, from: number, name: string): string | undefined {
  if (name === '') return undefined;
  for (let start = from; start < path.length; ) {
    let end = path.indexOf('&', start);
    if (end === -1) end = path.length;
    const after = start + name.length;
    if (after <= end && path.startsWith(name, start)) {
      const next = path.charCodeAt(after);
      if (next === EQUALS) return path.slice(after + 1, end);
      if (after === end || next === AMPERSAND) return '';
    }
    start = end + 1;
  }
  return undefined;
}
