/**
 * A resource source in wire form: each resource is encoded once, however many proxies get it. Versions are a hash
 * of the bytes, not the source's counter, so that a restarted control plane has nothing to send again.
 */
import { Resource } from '#wire/protobuf/discovery.ts';
import { Any } from '#wire/protobuf/well-known.ts';
import type { ResourceView } from '#xds/delta/delta-server.ts';
import { encodedResource } from '#xds/delta/encode-response.ts';
import { SharedNames } from '#xds/delta/holdings.ts';
import type { ResourceType } from '#xds/resources/resource-type.ts';
import { versionOf } from '#xds/resources/version.ts';
import { KeyIndex } from './key-index.ts';
import type { NodeScope, ResourceSource } from './resource-source.ts';

/** What on-demand clients get beyond the names that they ask for. */
export interface OnDemand<T> {
  /** Further keys under which a resource is found. */
  keys(value: T): readonly string[];
  /** `keys` looks at other resources as well. */
  readonly dependsOnOthers?: boolean;
  /** Sent to clients on this node without being asked for. */
  onNode(value: T, nodeName: string): boolean;
}

export class EncodedResources<T> {
  readonly source: ResourceSource<T>;
  readonly #type: ResourceType<T>;
  readonly #onDemand: OnDemand<T>;
  readonly #encoded = new Map<string, Resource>();
  /** What proxies hold of it is said in these. */
  readonly held = new SharedNames();
  /** Made when the first on-demand client asks, and kept up to date from then on. */
  #index: KeyIndex | undefined;

  constructor(source: ResourceSource<T>, type: ResourceType<T>, onDemand: OnDemand<T>) {
    this.source = source;
    this.#type = type;
    this.#onDemand = onDemand;
  }

  /** Without aliases. Valid until `onChange` names it. */
  get(name: string): Resource | undefined {
    const known = this.#encoded.get(name);
    if (known !== undefined) return known;
    const value = this.source.get(name)?.value;
    if (value === undefined) return undefined;
    const resource = this.#any(value);
    const version = versionOf(resource.value);
    const encoded = encodedResource(Resource.create({ name, version, resource }));
    this.#encoded.set(name, encoded);
    return encoded;
  }

  onChange(names: readonly string[]): void {
    for (const name of names) this.#encoded.delete(name);
    if (this.#onDemand.dependsOnOthers === true) this.#index = undefined;
    else if (this.#index !== undefined) for (const name of names) this.#reindex(this.#index, name);
  }

  view(scope: NodeScope): ResourceView {
    return {
      names: () => this.source.names(scope),
      get: (name) => (this.source.visible(name, scope) ? this.get(name) : undefined),
      withAliases: (name) => {
        const version = this.source.visible(name, scope) ? this.get(name)?.version : undefined;
        const value = this.source.get(name)?.value;
        if (version === undefined || value === undefined) return undefined;
        const aliases = [...this.#type.aliases(value)];
        return Resource.create({ name, version, resource: this.#any(value), aliases });
      },
      resolve: (key) => this.#resolve(key, (name) => this.source.visible(name, scope)),
      implied: (name) => {
        const { nodeName = '' } = scope;
        const value = nodeName === '' ? undefined : this.source.get(name)?.value;
        return value !== undefined && this.#onDemand.onNode(value, nodeName);
      },
    };
  }

  #any(value: T): Any {
    return Any.create({ type_url: this.#type.typeUrl, value: this.#type.encode(value) });
  }

  /** By name, by alias with the members of what it finds, and what counts itself to the key. */
  #resolve(key: string, isVisible: (name: string) => boolean): string[] {
    if (this.#index === undefined) {
      this.#index = new KeyIndex();
      for (const name of this.source.all()) this.#reindex(this.#index, name);
    }
    const direct = [...this.#index.names(key)].filter(isVisible);
    const found = new Set(direct);
    // An alias of a service brings the members that are found under the service's name.
    for (const name of direct)
      for (const more of this.#index.names(name)) if (isVisible(more)) found.add(more);
    return [...found];
  }

  #reindex(index: KeyIndex, name: string): void {
    const value = this.source.get(name)?.value;
    index.put(
      name,
      value === undefined
        ? []
        : [name, ...this.#type.aliases(value), ...this.#onDemand.keys(value)],
    );
  }
}

export type EncodedSet = ReadonlyMap<string, EncodedResources<unknown>>;
