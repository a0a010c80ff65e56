/**
 * `Informer` by list, then watch. Owns one kind's cache; the only writer to it is this file's loop:
 *
 *   listing ──ok──> watching ──ended in order──> waiting ──timer──> watching
 *      ^               ├──broken──> waiting ──timer──> asking ──server is where it was──> watching
 *XX
 *
 * Handlers see each change once: events whose resource version is the cached one are dropped, and a relist
 * is turned into the difference to the cache. A key that comes back with another uid is a delete and an add. What is cached
 * stays while the server is away.
 */

import { isDeepStrictEqual } from 'node:util';
import type { Backoff } from '#base/backoff.ts';
import { Backoff as ExponentialBackoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type {
  KubeClient,
  KubeObject,
  ResourceRef,
  Selection,
  WatchEvent,
} from '../client/kube-client.ts';
import {
  ABSENT_AFTER_MS,
  CATCH_UP_MS,
  LISTS_AT_ONCE,
  RECONNECT_CAP_MS,
  RECONNECT_INITIAL_MS,
  RECONNECT_JITTER,
  WATCH_LIFE_MS,
  WATCH_SOUND_MS,
} from '../limits.ts';
import type { Informer, InformerHandler, InformerProblem } from './informer.ts';
import { ListGate } from './list-gate.ts';
import { isOlderVersion } from './resource-version.ts';

export interface InformerDeps {
  client: KubeClient;
  clock: Clock;
  random: Random;
  log: Logger;
}

export interface InformerOptions<T> {
  /** What of an object stays in the cache and is told: an object of its own with the same metadata but for what nobody reads. */
  keep?: (object: T) => T;
  /** The API may not serve the kind: then it counts as empty, and is looked for again until it does. */
  isOptional?: boolean;
  /** We may not be allowed to read the kind: then it counts as empty until we are. Only where less is served without it. */
  isDispensable?: boolean;
  /** Shared by the informers of a process. */
  gate?: ListGate;
}

/** Starts at once; `stop` ends it for good. */
export function startInformer<T extends KubeObject>(
  deps: InformerDeps,
  ref: ResourceRef,
  selection: Selection = {},
  options: InformerOptions<T> = {},
): Informer<T> {
  const informer = new ListWatch<T>(deps, ref, selection, options);
  informer.start();
  return informer;
}

class ListWatch<T extends KubeObject> implements Informer<T> {
  readonly #deps: InformerDeps;
  readonly #ref: ResourceRef;
  readonly #selection: Selection;
  readonly #keep: (object: T) => T;
  readonly #options: InformerOptions<T>;
  readonly #gate: ListGate;
  readonly #backoff: Backoff;
  readonly #objects = new Map<string, T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #ready = Promise.withResolvers<void>();
  #synced = false;
  #stopped = false;
  #resourceVersion = '';
  #problem: InformerProblem | undefined;
  /** By the monotonic clock. */
  #failingSince = 0;
  #mendedAt = Number.NEGATIVE_INFINITY;
  #endWatch: Disposer | undefined;
  #timer: Timer | undefined;

  constructor(
    deps: InformerDeps,
    ref: ResourceRef,
    selection: Selection,
    options: InformerOptions<T>,
  ) {
    this.#deps = deps;
    this.#ref = ref;
    this.#selection = selection;
    this.#options = options;
    this.#keep = options.keep ?? ((object) => object);
    this.#gate = options.gate ?? new ListGate(LISTS_AT_ONCE);
    this.#backoff = new ExponentialBackoff(deps.random, {
      initialMs: RECONNECT_INITIAL_MS,
      capMs: RECONNECT_CAP_MS,
      jitter: RECONNECT_JITTER,
    });
  }

  get problem(): InformerProblem | undefined {
    return this.#problem;
  }

  get synced(): boolean {
    return this.#synced;
  }

  get isCurrent(): boolean {
    if (!this.#synced) return false;
    // A kind that is not served has nothing that could be missed.
    if (this.#problem !== undefined) return this.#isAbsent;
    return this.#deps.clock.now() - this.#mendedAt >= CATCH_UP_MS;
  }

  whenSynced(): Promise<void> {
    return this.#ready.promise;
  }

  get(key: { namespace?: string; name: string }): T | undefined {
    return this.#objects.get(objectKey(key));
  }

  list(namespace?: string): readonly T[] {
    const all = [...this.#objects.values()];
    return namespace === undefined
      ? all
      : all.filter((object) => object.metadata.namespace === namespace);
  }

  subscribe(handler: InformerHandler<T>): Disposer {
    // A wrapper of its own, so that one handler object may subscribe twice.
    const entry: InformerHandler<T> = {
      onAdd: (object) => handler.onAdd(object),
      onUpdate: (object, previous) => handler.onUpdate(object, previous),
      onDelete: (object) => handler.onDelete(object),
    };
    for (const object of [...this.#objects.values()]) handler.onAdd(object);
    this.#handlers.add(entry);
    return () => void this.#handlers.delete(entry);
  }

  start(): void {
    this.#list();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#endWatch?.();
    this.#handlers.clear();
  }

  #list(): void {
    const { client } = this.#deps;
    // What did not change is not there twice, not even until all pages have come.
    const keep = (object: T) => this.#asKnown(this.#keep(object));
    const work = () => client.list<T>(this.#ref, this.#selection, { keep });
    void this.#gate.run(work).then(
      ({ items, resourceVersion }) => {
        if (this.#stopped) return;
        this.#replace(items);
        this.#resourceVersion = resourceVersion;
        this.#markSynced();
        this.#watch();
      },
      (error: unknown) => {
        if (this.#stopped) return;
        this.#fail('list', error);
        if (this.#isLacking(error)) {
          this.#replace([]);
          this.#markSynced();
        }
        this.#again(() => this.#list());
      },
    );
  }

  /** Whether the failure says that there is nothing. Of what was there it must say so for a while: a server that starts says much. */
  #isLacking(error: unknown): boolean {
    const { isOptional = false, isDispensable = false } = this.#options;
    if (isOptional && isMeshError(error, 'KUBE_NOT_FOUND'))
      return !this.#synced || this.#failingMs() >= ABSENT_AFTER_MS;
    // A right that was taken away says nothing of the objects: those that are known stay.
    return isDispensable && !this.#synced && isMeshError(error, 'KUBE_FORBIDDEN');
  }

  get #isAbsent(): boolean {
    const { isOptional = false } = this.#options;
    return isOptional && this.#objects.size === 0 && this.#problem?.code === 'KUBE_NOT_FOUND';
  }

  #failingMs(): number {
    return this.#problem === undefined ? 0 : this.#deps.clock.now() - this.#failingSince;
  }

  #markSynced(): void {
    this.#synced = true;
    this.#ready.resolve();
  }

  #watch(): void {
    const { client, clock } = this.#deps;
    const startedAt = clock.now();
    let ended = false;
    // The client may report the end more than once (an ERROR event, then the closed stream): act on the first.
    const end = (error: unknown) => {
      if (ended || this.#stopped) return;
      ended = true;
      dispose?.();
      this.#endWatch = undefined;
      if (clock.now() - startedAt >= WATCH_SOUND_MS) this.#backoff.reset();
      this.#onWatchEnd(error);
    };
    const onEvent = (event: WatchEvent<T>) => {
      if (ended || this.#stopped) return;
      if (event.type === 'ERROR') {
        end(event.object);
        return;
      }
      this.#backoff.reset();
      this.#apply(event.type, event.object);
    };
    const options = {
      ...this.#selection,
      resourceVersion: this.#resourceVersion,
      allowBookmarks: true,
      onOpen: () => {
        if (ended || this.#problem === undefined) return;
        this.#problem = undefined;
        this.#mendedAt = clock.now();
      },
    };
    let dispose: Disposer | undefined;
    dispose = client.watch<T>(this.#ref, options, onEvent, end);
    if (ended || this.#stopped) {
      dispose();
      return;
    }
    this.#endWatch = dispose;
    // The server ends a watch at its time limit; one that lives on is a connection that died silently.
    this.#timer = clock.after(WATCH_LIFE_MS, () => end(undefined));
  }

  #onWatchEnd(error: unknown): void {
    // Without an error it is the server's time limit, and nothing to report.
    if (error === undefined) {
      this.#again(() => this.#watch());
      return;
    }
    this.#fail('watch', error);
    // Who may list and not watch is told by lists.
    const mustList = isGone(error) || isMeshError(error, 'KUBE_FORBIDDEN');
    this.#again(mustList ? () => this.#list() : () => this.#resume());
  }

  /** After a watch broke: from where it was, if the server still is where we are. */
  #resume(): void {
    void this.#deps.client.list<T>(this.#ref, this.#selection, { limit: 1 }).then(
      ({ resourceVersion }) => {
        if (this.#stopped) return;
        if (isOlderVersion(resourceVersion, this.#resourceVersion)) {
          const { resource } = this.#ref;
          this.#deps.log.warn('the server went back in time, listing all', {
            resource,
            known: this.#resourceVersion,
            now: resourceVersion,
          });
          this.#list();
        } else this.#watch();
      },
      (failure: unknown) => {
        if (this.#stopped) return;
        this.#fail('list', failure);
        // It is away: who comes back may have other data at versions that we know, a backup's and what came after it.
        this.#again(() => this.#list());
      },
    );
  }

  #fail(verb: 'list' | 'watch', error: unknown): void {
    const { clock, log } = this.#deps;
    const { group, resource } = this.#ref;
    const before = this.#problem;
    if (before === undefined) this.#failingSince = clock.now();
    const code = isGone(error) ? 'KUBE_GONE' : isMeshError(error) ? error.code : 'KUBE_UNAVAILABLE';
    const message = error instanceof Error ? messageOf(error) : JSON.stringify(error);
    this.#problem = {
      verb,
      resource: group === '' ? resource : `${resource}.${group}`,
      code,
      message,
      since: before?.since ?? clock.wallTime(),
    };
    // Said once: a kind that was never installed is no news, nor is one that stays forbidden.
    const isStanding = code === 'KUBE_NOT_FOUND' || code === 'KUBE_FORBIDDEN';
    if (isStanding && before?.code === code) return;
    log.warn(`${verb} ended, trying again`, { resource: this.#problem.resource, reason: message });
  }

  #again(work: () => void): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.after(this.#backoff.nextDelayMs(), work);
  }

  #apply(type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', object: T): void {
    this.#resourceVersion = object.metadata.resourceVersion ?? this.#resourceVersion;
    if (type === 'BOOKMARK') return;
    if (type === 'DELETED') this.#remove(objectKey(object.metadata), object);
    else this.#put(this.#keep(object));
  }

  #put(object: T): void {
    const key = objectKey(object.metadata);
    const previous = this.#objects.get(key);
    if (previous === undefined) {
      this.#objects.set(key, object);
      this.#emit((handler) => handler.onAdd(object));
    } else if (previous.metadata.uid !== object.metadata.uid) {
      this.#remove(key, previous);
      this.#put(object);
    } else if (!isSameVersion(previous, object)) {
      this.#objects.set(key, object);
      this.#emit((handler) => handler.onUpdate(object, previous));
    }
  }

  #remove(key: string, last: T): void {
    if (!this.#objects.delete(key)) return;
    this.#emit((handler) => handler.onDelete(last));
  }

  #replace(items: readonly T[]): void {
    const keys = new Set(items.map((item) => objectKey(item.metadata)));
    for (const [key, object] of [...this.#objects]) if (!keys.has(key)) this.#remove(key, object);
    for (const item of items) {
      const known = this.#objects.get(objectKey(item.metadata));
      // Versions are given a second time where a backup was restored: only the content tells.
      if (known !== undefined && isSameVersion(known, item)) this.#update(item, known);
      else this.#put(item);
    }
  }

  /** The object as it is here, if it is the same. */
  #asKnown(object: T): T {
    const known = this.#objects.get(objectKey(object.metadata));
    return isDeepStrictEqual(object, known) ? (known as T) : object;
  }

  #update(object: T, previous: T): void {
    if (object === previous) return;
    this.#objects.set(objectKey(object.metadata), object);
    this.#emit((handler) => handler.onUpdate(object, previous));
  }

  #emit(call: (handler: InformerHandler<T>) => void): void {
    for (const handler of [...this.#handlers]) call(handler);
  }
}

function isSameVersion({ metadata: left }: KubeObject, { metadata: right }: KubeObject): boolean {
  return left.uid === right.uid && left.resourceVersion === right.resourceVersion;
}

/** A refused request, or the event that ends a watch whose version the server has forgotten. */
function isGone(error: unknown): boolean {
  return isMeshError(error, 'KUBE_GONE') || (error as { code?: unknown } | null)?.code === 410;
}

/** `namespace/name`, or the bare name of a cluster-scoped object. */
export function objectKey(key: { namespace?: string; name: string }): string {
  return key.namespace === undefined ? key.name : `${key.namespace}/${key.name}`;
}
