/**
 * `KubeClient` in memory: resource versions, watches, conflicts, merge patches (apply is taken as a merge). Tests
 * may cut watches, forget history (410) and fail the next calls.
 */
import type { Disposer } from '#base/disposer.ts';
import { MeshError } from '#base/errors.ts';
import type {
  KubeClient,
  KubeObject,
  ListOptions,
  ResourceRef,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from '#kube/client/kube-client.ts';

interface Change {
  version: number;
  resource: string;
  event: WatchEvent<KubeObject>;
}
interface Watcher {
  resource: string;
  /** Later ones are told, as in Kubernetes: from a version of the future none is until then. */
  from: number;
  selection: Selection;
  onEvent: (event: WatchEvent<KubeObject>) => void;
  onEnd: (error?: unknown) => void;
}
/** What a backup of the server's data holds. */
interface ServerData {
  readonly objects: ReadonlyMap<string, KubeObject>;
  readonly version: number;
}
type Key = { namespace?: string; name: string };

export class FakeKubeClient implements KubeClient {
  readonly objects = new Map<string, KubeObject>();
  readonly #watchers = new Set<Watcher>();
  #history: Change[] = [];
  #version = 100;
  #uid = 1;
  /** Calls to fail as unavailable, counted down. */
  failures = 0;
  /** Every call fails until it is back. */
  away = false;
  /** Plurals of kinds that the API has not. */
  readonly unserved = new Set<string>();
  /** Plurals of kinds that we may not read. */
  readonly forbidden = new Set<string>();
  /** Whole lists, and calls of any kind, so far. */
  lists = 0;
  calls = 0;

  get watching(): number {
    return this.#watchers.size;
  }

  async get<T extends KubeObject>(ref: ResourceRef, key: Key): Promise<T> {
    this.#mayFail();
    return structuredClone(this.#existing(ref, key)) as T;
  }

  async list<T extends KubeObject>(
    ref: ResourceRef,
    selection: Selection = {},
    { keep = (object) => object, limit = Number.POSITIVE_INFINITY }: ListOptions<T> = {},
  ) {
    this.#mayFail();
    this.lists += limit === Number.POSITIVE_INFINITY ? 1 : 0;
    if (this.unserved.has(ref.resource)) throw failure('KUBE_NOT_FOUND', `no ${ref.resource} here`);
    if (this.forbidden.has(ref.resource))
      throw failure('KUBE_FORBIDDEN', `403 ${ref.resource} is forbidden`);
    const items: T[] = [];
    for (const [id, object] of this.objects)
      if (id.startsWith(`${ref.resource}|`) && selects(selection, object) && items.length < limit)
        items.push(keep(structuredClone(object) as T));
    return { items, resourceVersion: String(this.#version) };
  }

  async create<T extends KubeObject>(ref: ResourceRef, object: T): Promise<T> {
    this.#mayFail();
    if (this.objects.has(idOf(ref, object.metadata)))
      throw failure('KUBE_ALREADY_EXISTS', `${ref.resource} ${object.metadata.name} exists`);
    const metadata = { ...object.metadata, uid: `uid-${this.#uid++}` };
    metadata.creationTimestamp ??= '2026-01-01T00:00:00Z';
    return this.#store(ref, { ...structuredClone(object), metadata }, 'ADDED');
  }

  async update<T extends KubeObject>(
    ref: ResourceRef,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    this.#mayFail();
    const before = this.#existing(ref, object.metadata);
    const expected = object.metadata.resourceVersion;
    if (expected !== undefined && expected !== before.metadata.resourceVersion)
      throw failure('KUBE_CONFLICT', `${ref.resource} ${object.metadata.name} was changed`);
    const status = options.subresource === 'status';
    const next = status
      ? { ...before, status: (object as { status?: unknown }).status }
      : { ...object, metadata: { ...object.metadata, uid: before.metadata.uid } };
    return this.#store(ref, structuredClone(next) as T, 'MODIFIED');
  }

  async patch<T extends KubeObject>(
    ref: ResourceRef,
    key: Key,
    patch: { type: string; body: unknown },
  ): Promise<T> {
    this.#mayFail();
    const exists = this.objects.has(idOf(ref, key));
    if (!exists && patch.type === 'apply') return this.create<T>(ref, patch.body as T);
    const next = merge(this.#existing(ref, key), patch.body) as T;
    return this.#store(ref, next, 'MODIFIED');
  }

  async delete(ref: ResourceRef, key: Key): Promise<void> {
    this.#mayFail();
    const object = this.#existing(ref, key);
    this.objects.delete(idOf(ref, key));
    this.#publish(ref, object, 'DELETED');
  }

  watch<T extends KubeObject>(
    ref: ResourceRef,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
    onEnd: (error?: unknown) => void,
  ): Disposer {
    const from = Number(options.resourceVersion ?? this.#version);
    const watcher: Watcher = {
      resource: ref.resource,
      from,
      selection: options,
      onEvent: onEvent as Watcher['onEvent'],
      onEnd,
    };
    const oldest = this.#history[0]?.version ?? this.#version + 1;
    if (from + 1 < oldest && from < this.#version) {
      queueMicrotask(() => onEnd(failure('KUBE_GONE', 'too old resource version')));
      return () => undefined;
    }
    if (this.away || this.forbidden.has(ref.resource)) {
      const code = this.away ? 'KUBE_UNAVAILABLE' : 'KUBE_FORBIDDEN';
      queueMicrotask(() => onEnd(failure(code, `watch of ${ref.resource} refused`)));
      return () => undefined;
    }
    this.#watchers.add(watcher);
    queueMicrotask(() => {
      if (this.#watchers.has(watcher)) options.onOpen?.();
    });
    for (const change of this.#history) deliver(watcher, change);
    return () => void this.#watchers.delete(watcher);
  }

  async request(): Promise<unknown> {
    throw failure('KUBE_NOT_FOUND', 'no such path');
  }

  /** Ends every watch, as a dropped connection does. */
  cutWatches(): void {
    for (const watcher of [...this.#watchers]) {
      this.#watchers.delete(watcher);
      watcher.onEnd(failure('KUBE_UNAVAILABLE', 'connection reset'));
    }
  }

  /** Forgets the events so far: a watch from before answers 410. */
  compact(): void {
    this.#history = [];
  }

  backup(): ServerData {
    const objects = new Map([...this.objects].map(([id, object]) => [id, structuredClone(object)]));
    return { objects, version: this.#version };
  }

  /** An older state of the server's data, with its versions: they are given a second time. Watches break. */
  restore({ objects, version }: ServerData): void {
    this.objects.clear();
    for (const [id, object] of objects) this.objects.set(id, structuredClone(object));
    this.#version = version;
    this.#history = [];
    this.cutWatches();
  }

  /** As the server's expiry inside a running watch: an ERROR event with code 410. */
  expireWatches(): void {
    const object = { code: 410, message: 'too old resource version' };
    for (const watcher of [...this.#watchers]) {
      this.#watchers.delete(watcher);
      watcher.onEvent({ type: 'ERROR', object });
    }
  }

  bookmark(): void {
    const metadata = { name: '', resourceVersion: String(this.#version) };
    for (const watcher of this.#watchers)
      if (this.#version >= watcher.from)
        watcher.onEvent({ type: 'BOOKMARK', object: { apiVersion: 'v1', kind: '', metadata } });
  }

  #existing(ref: ResourceRef, key: Key): KubeObject {
    const object = this.objects.get(idOf(ref, key));
    if (object === undefined)
      throw failure('KUBE_NOT_FOUND', `${ref.resource} ${key.name} not found`);
    return object;
  }

  #store<T extends KubeObject>(ref: ResourceRef, object: T, type: 'ADDED' | 'MODIFIED'): T {
    this.objects.set(idOf(ref, object.metadata), object);
    this.#publish(ref, object, type);
    return structuredClone(object);
  }

  #publish(ref: ResourceRef, object: KubeObject, type: 'ADDED' | 'MODIFIED' | 'DELETED'): void {
    this.#version++;
    object.metadata.resourceVersion = String(this.#version);
    const event = { type, object: structuredClone(object) };
    const change = { version: this.#version, resource: ref.resource, event };
    this.#history.push(change);
    for (const watcher of [...this.#watchers]) deliver(watcher, change);
  }

  #mayFail(): void {
    this.calls++;
    if (this.away) throw failure('KUBE_UNAVAILABLE', 'connection refused');
    if (this.failures === 0) return;
    this.failures--;
    throw failure('KUBE_UNAVAILABLE', 'connection refused');
  }
}

function deliver(watcher: Watcher, change: Change): void {
  if (watcher.resource !== change.resource || change.event.type === 'ERROR') return;
  if (change.version <= watcher.from) return;
  if (selects(watcher.selection, change.event.object)) watcher.onEvent(change.event);
}

/** Namespace only, and label terms `key=value` and `key`. */
function selects(selection: Selection, object: KubeObject): boolean {
  const { namespace, labelSelector } = selection;
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  if (labelSelector === undefined) return true;
  return labelSelector.split(',').every((term) => {
    const [key, value] = term.split('=');
    const found = object.metadata.labels?.[key];
    return value === undefined ? found !== undefined : found === value;
  });
}

function idOf(ref: ResourceRef, key: Key): string {
  return `${ref.resource}|${ref.namespaced ? key.namespace : ''}|${key.name}`;
}

function failure(code: string, message: string): MeshError {
  return new MeshError(code, message, { side: 'upstream', hint: 'fake' });
}

/** RFC 7396 on plain values. */
function merge(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof target === 'object' && target !== null ? target : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = merge(result[key], value);
  }
  return result;
}
