/**
 * A resource source in wire form: each resource is encoded once, however many proxies get it. Versions are a hash
 * of the bytes, not the source's counter, so that a restarted control plane has nothing to send again.
 */
import type { ResourceView, ServedResource } from '#xds/delta/delta-server.ts';
import type { ResourceType } from '#xds/resources/resource-type.ts';
import { versionOf } from '#xds/resources/version.ts';
import type { NodeScope, ResourceSource } from './resource-source.ts';

interface Encoded extends ServedResource {
  readonly sourceVersion: string;
}

/** What on-demand clients get beyond the names that they ask for. */
export interface OnDemand<T> {
  /** Further keys under which a resource is found. */
  keys(value: T): readonly string[];
  /** Sent to clients on this node without being asked for. */
  onNode(value: T, nodeName: string): boolean;
}

export class EncodedResources<T> {
  readonly source: ResourceSource<T>;
  readonly #type: ResourceType<T>;
  readonly #onDemand: OnDemand<T>;
  readonly #encoded = new Map<string, Encoded>();

  constructor(source: ResourceSource<T>, type: ResourceType<T>, onDemand: OnDemand<T>) {
    this.source = source;
    this.#type = type;
    this.#onDemand = onDemand;
  }

  get(name: string): ServedResource | undefined {
    const current = this.source.get(name);
    if (current === undefined) {
      this.#encoded.delete(name);
      return undefined;
    }
    const known = this.#encoded.get(name);
    if (known?.sourceVersion === current.version) return known;
    const bytes = this.#type.encode(current.value);
    const version = versionOf(bytes);
    const encoded = {
      sourceVersion: current.version,
      version,
      shownVersion: this.#type.versioned ? version : '',
      bytes,
      aliases: this.#type.aliases(current.value),
    };
    this.#encoded.set(name, encoded);
    return encoded;
  }

  /** The cache must not outlive what it holds. */
  onChange(names: readonly string[]): void {
    for (const name of names) if (this.source.get(name) === undefined) this.#encoded.delete(name);
  }

  view(scope: NodeScope): ResourceView {
    let index: Map<string, string[]> | undefined;
    return {
      names: () => this.source.names(scope),
      get: (name) => (this.source.visible(name, scope) ? this.get(name) : undefined),
      resolve: (key) => {
        index ??= this.#index(scope);
        return index.get(key) ?? [];
      },
      implied: (name) => {
        const { nodeName = '' } = scope;
        const value = nodeName === '' ? undefined : this.source.get(name)?.value;
        return value !== undefined && this.#onDemand.onNode(value, nodeName);
      },
    };
  }

  /** On-demand clients are foreign and rare: the index is made for one response and dropped. */
  #index(scope: NodeScope): Map<string, string[]> {
    const index = new Map<string, string[]>();
    const add = (key: string, name: string) => {
      const names = index.get(key);
      if (names === undefined) index.set(key, [name]);
      else if (!names.includes(name)) names.push(name);
    };
    for (const name of this.source.names(scope)) {
      const value = this.source.get(name)?.value;
      if (value === undefined) continue;
      add(name, name);
      for (const key of this.#type.aliases(value)) add(key, name);
      for (const key of this.#onDemand.keys(value)) add(key, name);
    }
    // An alias of a service brings the members that are found under the service's name.
    for (const [key, names] of [...index]) {
      for (const name of names) for (const more of index.get(name) ?? []) add(key, more);
    }
    return index;
  }
}

export type EncodedSet = ReadonlyMap<string, EncodedResources<unknown>>;
