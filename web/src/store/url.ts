/**
 * The address is the state of a view: path and query. Every view can be pasted into a chat, so whatever a reader chooses goes
 * through `setQuery`, and components read it back with `useUrl`.
 */
import { useSyncExternalStore } from 'react';

export interface Url {
  readonly path: string;
  readonly query: URLSearchParams;
}

type Listener = () => void;
const listeners = new Set<Listener>();
let current = read();

function read(): Url {
  if (typeof location === 'undefined') return { path: '/', query: new URLSearchParams() };
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

function changed(): void {
  current = read();
  for (const listener of listeners) listener();
}

function subscribe(listener: Listener): () => void {
  if (listeners.size === 0) addEventListener('popstate', changed);
  listeners.add(listener);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) removeEventListener('popstate', changed);
  };
}

export function useUrl(): Url {
  return useSyncExternalStore(subscribe, () => current);
}

export function url(): Url {
  return current;
}

/** Goes to an address of the console; a step in the history unless `replace` is set. */
export function navigate(href: string, { replace = false } = {}): void {
  if (href === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', href);
  changed();
}

export type QueryChange = Readonly<Record<string, string | undefined>>;

/** Changes members of the query; undefined and empty take one away. */
export function setQuery(change: QueryChange, options: { replace?: boolean } = {}): void {
  navigate(current.path + withQuery(current.query, change), options);
}

/** `?a=b` or empty; pure. Commas, colons and slashes stay readable. */
export function withQuery(query: URLSearchParams, change: QueryChange): string {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(change)) {
    if (value === undefined || value === '') next.delete(name);
    else next.set(name, value);
  }
  const text = next.toString().replace(/%2C/g, ',').replace(/%3A/g, ':').replace(/%2F/g, '/');
  return text === '' ? '' : `?${text}`;
}

/** An address that keeps what every page shares: namespaces, window and moment. */
export function hrefOf(path: string, change: QueryChange = {}): string {
  const kept = new URLSearchParams();
  for (const name of ['ns', 'window', 'at']) {
    const value = current.query.get(name);
    if (value !== null) kept.set(name, value);
  }
  return path + withQuery(kept, change);
}
