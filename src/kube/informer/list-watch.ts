/**
 * `Informer` by list, then watch. Owns one kind's cache; the only writer to it is this file's loop:
 *
 *   listing ──ok──> watching ──end/error──> waiting ──timer──> watching
 *      ^                └──410 Gone──────────────────────────────┐
 *      └────────────────────────── waiting <─────────────────────┘
 *
 * Handlers see each change once: events whose resource version is the cached one are dropped, and a relist
 * is turned into the difference to the cache. A key that comes back with another uid is a delete and an add.
 */
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
import { RECONNECT_CAP_MS, RECONNECT_INITIAL_MS, WATCH_LIFE_MS } from '../limits.ts';
import type { Informer, InformerHandler } from './informer.ts';

export interface InformerDeps {
  client: KubeClient;
  clock: Clock;
  random: Random;
  log: Logger;
}

export interface InformerOptions<T> {
  /** What of an object stays in the cache and is told: an object of its own with the same metadata but for what nobody reads. */
  keep?: (object: T) => T;
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
  readonly #backoff: Backoff;
  readonly #objects = new Map<string, T>();
  readonly #handlers = new Set<InformerHandler<T>>();
  readonly #ready = Promise.withResolvers<void>();
  #synced = false;
  #stopped = false;
  #resourceVersion = '';
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
    this.#keep = options.keep ?? ((object) => object);
    this.#backoff = new ExponentialBackoff(deps.random, {
      initialMs: RECONNECT_INITIAL_MS,
      capMs: RECONNECT_CAP_MS,
    });
  }

  get synced(): boolean {
    return this.#synced;
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
    void client.list<T>(this.#ref, this.#selection).then(
      ({ items, resourceVersion }) => {
        if (this.#stopped) return;
        this.#backoff.reset();
        this.#replace(items);
        this.#resourceVersion = resourceVersion;
        if (!this.#synced) {
          this.#synced = true;
          this.#ready.resolve();
        }
        this.#watch();
      },
      (error: unknown) => this.#retry('list', error, () => this.#list()),
    );
  }

  #watch(): void {
    let ended = false;
    // The client may report the end more than once (an ERROR event, then the closed stream): act on the first.
    const end = (error: unknown) => {
      if (ended || this.#stopped) return;
      ended = true;
      dispose?.();
      this.#endWatch = undefined;
      const gone = isMeshError(error, 'KUBE_GONE');
      this.#retry('watch', error, gone ? () => this.#list() : () => this.#watch());
    };
    const onEvent = (event: WatchEvent<T>) => {
      if (ended || this.#stopped) return;
      if (event.type !== 'ERROR') {
        this.#backoff.reset();
        this.#apply(event.type, event.object);
      } else if (event.object.code === 410) {
        ended = true;
        dispose?.();
        this.#endWatch = undefined;
        this.#retry('watch', event.object, () => this.#list());
      } else end(event.object);
    };
    const options = {
      ...this.#selection,
      resourceVersion: this.#resourceVersion,
      allowBookmarks: true,
    };
    let dispose: Disposer | undefined;
    dispose = this.#deps.client.watch<T>(this.#ref, options, onEvent, end);
    if (ended || this.#stopped) {
      dispose();
      return;
    }
    this.#endWatch = dispose;
    // The server ends a watch at its time limit; one that lives on is a connection that died silently.
    this.#timer = this.#deps.clock.after(WATCH_LIFE_MS, () => end(undefined));
  }

  #retry(what: string, error: unknown, again: () => void): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    const delayMs = this.#backoff.nextDelayMs();
    // A watch that ends without an error is the server's time limit and nothing to report.
    if (error !== undefined) {
      const reason = error instanceof Error ? messageOf(error) : JSON.stringify(error);
      this.#deps.log.warn(`${what} ended, trying again`, {
        resource: this.#ref.resource,
        reason,
        delayMs: Math.round(delayMs),
      });
    }
    this.#timer = this.#deps.clock.after(delayMs, again);
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
    } else if (previous.metadata.resourceVersion !== object.metadata.resourceVersion) {
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
    for (const item of items) this.#put(this.#keep(item));
  }

  #emit(call: (handler: InformerHandler<T>) => void): void {
    for (const handler of [...this.#handlers]) call(handler);
  }
}

/** `namespace/name`, or the bare name of a cluster-scoped object. */
export function objectKey(key: { namespace?: string; name: string }): string {
  return key.namespace === undefined ? key.name : `${key.namespace}/${key.name}`;
}
