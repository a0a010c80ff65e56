/**
 * What the simulated API server of the config case holds: objects as JSON text by kind, one counter of versions, the
 * events that watches resume from.
 */
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';

/** Events kept for those who resume; older versions answer 410. */
const HISTORY_MAX = 20_000;

export interface Selector {
  readonly namespace: string | undefined;
  readonly labels: string | null;
  readonly fields: string | null;
}

export interface StoredEvent {
  readonly version: number;
  readonly kind: string;
  readonly object: KubeObject;
  /** A line of a watch. */
  readonly line: string;
}

export interface Watcher {
  readonly kind: string;
  readonly selector: Selector;
  send(line: string): void;
}

export class ApiStore {
  readonly #objects = new Map<string, Map<string, KubeObject>>();
  readonly #history: StoredEvent[] = [];
  readonly watchers = new Set<Watcher>();
  version = 1000;

  kind(kind: string): Map<string, KubeObject> {
    let objects = this.#objects.get(kind);
    if (objects === undefined) {
      objects = new Map();
      this.#objects.set(kind, objects);
    }
    return objects;
  }

  /** Loaded before anybody watches. */
  load(ref: ResourceRef, object: KubeObject): void {
    object.metadata.resourceVersion = String(++this.version);
    this.kind(kindOf(ref)).set(keyOf(object), object);
  }

  put(kind: string, object: KubeObject): KubeObject {
    const objects = this.kind(kind);
    const key = keyOf(object);
    const type = objects.has(key) ? 'MODIFIED' : 'ADDED';
    object.metadata.resourceVersion = String(++this.version);
    objects.set(key, object);
    this.#publish(kind, type, object);
    return object;
  }

  remove(kind: string, key: string): KubeObject | undefined {
    const objects = this.kind(kind);
    const before = objects.get(key);
    if (before === undefined) return undefined;
    objects.delete(key);
    const object = { ...before, metadata: { ...before.metadata } };
    object.metadata.resourceVersion = String(++this.version);
    this.#publish(kind, 'DELETED', object);
    return object;
  }

  /** Undefined: too old. */
  since(kind: string, version: number): StoredEvent[] | undefined {
    const [oldest] = this.#history;
    if (oldest !== undefined && version + 1 < oldest.version && this.#history.length >= HISTORY_MAX)
      return undefined;
    return this.#history.filter((event) => event.kind === kind && event.version > version);
  }

  #publish(kind: string, type: string, object: KubeObject): void {
    const line = `${JSON.stringify({ type, object })}\n`;
    this.#history.push({ version: this.version, kind, object, line });
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    for (const watcher of this.watchers)
      if (watcher.kind === kind && selects(watcher.selector, object)) watcher.send(line);
  }
}

export function kindOf({ group, resource }: ResourceRef): string {
  return `${group}/${resource}`;
}

export function keyOf({ metadata }: KubeObject): string {
  return metadata.namespace === undefined
    ? metadata.name
    : `${metadata.namespace}/${metadata.name}`;
}

/** Names and label equality; what else a selector says (types of Secrets) selects all here. */
export function selects(
  { namespace, labels, fields }: Selector,
  { metadata }: KubeObject,
): boolean {
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  const name = fields?.match(/metadata\.name=([^,]+)/)?.[1];
  if (name !== undefined && metadata.name !== name) return false;
  return (labels ?? '').split(',').every((term) => {
    const [key, value] = term.split('=');
    return key === '' || metadata.labels?.[key] === value;
  });
}

/** RFC 7396. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const isObject = typeof target === 'object' && target !== null && !Array.isArray(target);
  const result: Record<string, unknown> = isObject ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
