/**
 * Answers of the API, shared by address: whoever shows one keeps it fresh, and all that show it see the same. When a refresh
 * fails the last answer stays, with its age: stale is said, not hidden.
 */
import { useEffect, useState, useSyncExternalStore } from 'react';
import { ApiError, getJson } from './api.ts';
import { now } from './clock.ts';

export interface Query<T> {
  readonly data: T | undefined;
  readonly error: ApiError | undefined;
  readonly isLoading: boolean;
  /** When `data` came; 0 before. */
  readonly fetchedAt: number;
  readonly reload: () => void;
}

/** Failing addresses are asked again after this long, or after their own interval when that is longer. */
const RETRY_MS = 3000;
/** Answers that nobody shows are kept so long: going back shows them at once. */
const KEPT_MS = 60_000;

interface Entry {
  state: Query<unknown>;
  readonly listeners: Set<() => void>;
  intervals: number[];
  timer?: ReturnType<typeof setTimeout>;
  abort?: AbortController;
}

const entries = new Map<string, Entry>();
const NOTHING: Query<never> = {
  data: undefined,
  error: undefined,
  isLoading: false,
  fetchedAt: 0,
  reload: () => undefined,
};

function entryOf(address: string): Entry {
  let entry = entries.get(address);
  if (entry === undefined) {
    const reload = () => void load(address, entryOf(address));
    entry = {
      state: { ...NOTHING, isLoading: true, reload },
      listeners: new Set(),
      intervals: [],
    };
    entries.set(address, entry);
  }
  return entry;
}

function publish(entry: Entry, change: Partial<Query<unknown>>): void {
  entry.state = { ...entry.state, ...change };
  for (const listener of entry.listeners) listener();
}

async function load(address: string, entry: Entry): Promise<void> {
  clearTimeout(entry.timer);
  entry.abort?.abort();
  const abort = new AbortController();
  entry.abort = abort;
  try {
    const data = await getJson(address, abort.signal);
    if (abort.signal.aborted) return;
    publish(entry, { data, error: undefined, isLoading: false, fetchedAt: now() });
  } catch (error) {
    if (abort.signal.aborted) return;
    const shown = error instanceof ApiError ? error : new ApiError(String(error), { status: 0 });
    publish(entry, { error: shown, isLoading: false });
  }
  schedule(address, entry);
}

function schedule(address: string, entry: Entry): void {
  clearTimeout(entry.timer);
  if (entry.listeners.size === 0) return;
  const interval = Math.min(...entry.intervals.filter((each) => each > 0));
  const { error } = entry.state;
  const isRefused = error !== undefined && error.status >= 400 && error.status < 500;
  if (error !== undefined && !isRefused) {
    entry.timer = setTimeout(
      () => void load(address, entry),
      Math.max(RETRY_MS, Number.isFinite(interval) ? interval : 0),
    );
  } else if (Number.isFinite(interval)) {
    entry.timer = setTimeout(() => void load(address, entry), interval);
  }
}

function subscribe(address: string, interval: number, listener: () => void): () => void {
  const entry = entryOf(address);
  entry.listeners.add(listener);
  entry.intervals.push(interval);
  const isOld = now() - entry.state.fetchedAt > Math.max(1000, interval);
  const isComing = entry.state.isLoading && entry.abort !== undefined;
  if (entry.listeners.size === 1 && isOld && !isComing) void load(address, entry);
  else schedule(address, entry);
  return () => {
    entry.listeners.delete(listener);
    entry.intervals.splice(entry.intervals.indexOf(interval), 1);
    if (entry.listeners.size > 0) return;
    clearTimeout(entry.timer);
    entry.abort?.abort();
    entry.abort = undefined;
    entry.timer = setTimeout(() => entries.delete(address), KEPT_MS);
  };
}

/** Before anybody shows it: who does finds it there, or on its way. */
export function askAhead(address: string): Promise<void> {
  return load(address, entryOf(address));
}

/** Undefined asks nothing. `refreshMs` 0: once. */
export function useQuery<T>(address: string | undefined, { refreshMs = 0 } = {}): Query<T> {
  const state = useSyncExternalStore(
    useStable(address, refreshMs),
    () => (address === undefined ? NOTHING : entryOf(address).state) as Query<T>,
  );
  return state;
}

/** As useQuery, but the answer to the last address stays until the next one is there. */
export function useSteadyQuery<T>(
  address: string | undefined,
  options: { refreshMs?: number } = {},
): Query<T> {
  const query = useQuery<T>(address, options);
  const [last, setLast] = useState(query);
  useEffect(() => {
    if (query.data !== undefined || query.error !== undefined) setLast(query);
  }, [query]);
  if (query.data === undefined && query.error === undefined && address !== undefined)
    return { ...query, data: last.data, fetchedAt: last.fetchedAt };
  return query;
}

/** A subscription that changes only with what it is about. */
function useStable(address: string | undefined, refreshMs: number) {
  const [kept, setKept] = useState(() => make(address, refreshMs));
  if (kept.address === address && kept.refreshMs === refreshMs) return kept.subscribe;
  const next = make(address, refreshMs);
  setKept(next);
  return next.subscribe;
}

function make(address: string | undefined, refreshMs: number) {
  const none = () => () => undefined;
  const some = (listener: () => void) => subscribe(address ?? '', refreshMs, listener);
  return { address, refreshMs, subscribe: address === undefined ? none : some };
}
