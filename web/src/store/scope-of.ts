/** What every page follows, read from an address. Pure: the start script reads it before the rest of the console is there. */

export const WINDOW_DEFAULT = '60s';

export interface Scope {
  /** Empty: all that the reader may see. */
  readonly namespaces: readonly string[];
  readonly window: string;
  /** RFC 3339; undefined: now. */
  readonly at: string | undefined;
  readonly isLive: boolean;
  /** Members of a query to the API. */
  readonly query: Readonly<Record<string, string | undefined>>;
}

export function scopeOf(query: URLSearchParams): Scope {
  const namespaces = (query.get('ns') ?? '').split(',').filter((name) => name !== '');
  const window = query.get('window') ?? WINDOW_DEFAULT;
  const at = query.get('at') ?? undefined;
  return {
    namespaces,
    window,
    at,
    isLive: at === undefined,
    query: { namespaces: namespaces.join(','), window, at },
  };
}
