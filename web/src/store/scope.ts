/** What every page follows: the namespaces, the window and the moment, from the address; and how the time bar changes them. */
import { useMemo } from 'react';
import { type Scope, scopeOf, WINDOW_DEFAULT } from './scope-of.ts';
import { navigate, setQuery, url, useUrl, withQuery } from './url.ts';

export const WINDOWS = ['30s', '60s', '5m', '15m', '1h'] as const;

export function useScope(): Scope {
  const { query } = useUrl();
  return useMemo(() => scopeOf(query), [query]);
}

export function setNamespaces(names: readonly string[]): void {
  setQuery({ ns: names.join(',') });
}

export function setWindow(window: string): void {
  setQuery({ window: window === WINDOW_DEFAULT ? undefined : window });
}

/** Undefined: live again. Dragging replaces, so that Back leaves the whole drag. */
export function setAt(at: number | undefined, options: { replace?: boolean } = {}): void {
  setQuery({ at: at === undefined ? undefined : isoSeconds(at) }, options);
}

/** Window and moment at once, as the brush chooses them. */
export function setSpan(fromMs: number, toMs: number): void {
  const { path, query } = url();
  const seconds = Math.max(1, Math.round((toMs - fromMs) / 1000));
  navigate(path + withQuery(query, { window: `${seconds}s`, at: isoSeconds(toMs) }));
}

export function isoSeconds(ms: number): string {
  return new Date(Math.round(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z');
}

/** `90s`, `5m`, `1h` → seconds; 60 for what is none of them. */
export function windowSeconds(window: string): number {
  const match = /^(\d+)([smh])$/.exec(window);
  if (match === null) return 60;
  return Number(match[1]) * { s: 1, m: 60, h: 3600 }[match[2] as 's' | 'm' | 'h'];
}
