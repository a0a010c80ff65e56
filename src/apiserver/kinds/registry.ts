/**
 * The kinds that are served now: the built-in rows plus what the CRDs add. Looked up by REST path; the
 * version order of a group is Kubernetes' (v1 before v1beta1 before v1alpha1).
 */
import { splitApiVersion } from '#kube/meta/api-version.ts';
import { type ApiObject, isJsonObject, type JsonObject } from '#kube/meta/object.ts';
import { BUILTIN_KINDS } from './builtin-kinds.ts';
import { type PrinterColumn, type ServedKind, STORED_VERBS } from './served-kind.ts';

export interface ServedGroup {
  name: string;
  /** Preferred first. */
  versions: { version: string; kinds: ServedKind[] }[];
}

export class KindRegistry {
  readonly #kinds = new Map<string, ServedKind>();
  readonly #ofCrd = new Map<string, string[]>();
  #groups: ServedGroup[] | undefined;
  /** Counts changes: what was derived from an older one is stale. */
  generation = 0;

  constructor() {
    for (const kind of BUILTIN_KINDS) this.#kinds.set(keyOf(kind), kind);
  }

  all(): ServedKind[] {
    return [...this.#kinds.values()];
  }

  find(ref: { group: string; version: string; resource: string }): ServedKind | undefined {
    return this.#kinds.get(keyOf(ref));
  }

  /** The kind behind an object's own apiVersion and kind. */
  findKind(apiVersion: string, kind: string): ServedKind | undefined {
    const { group, version } = splitApiVersion(apiVersion);
    return this.all().find(
      (row) => row.kind === kind && row.group === group && row.version === version,
    );
  }

  /** Any version of the kind whose objects are in this table. */
  ofTable(table: string): ServedKind | undefined {
    return this.all().find((row) => row.table === table);
  }

  groups(): ServedGroup[] {
    this.#groups ??= groupKinds(this.all());
    return this.#groups;
  }

  hasGroupVersion(group: string, version: string): boolean {
    return this.groups().some(
      (row) => row.name === group && row.versions.some((item) => item.version === version),
    );
  }

  setCrd(crd: ApiObject): void {
    this.removeCrd(crd.metadata.name);
    const kinds = kindsOfCrd(crd);
    for (const kind of kinds) this.#kinds.set(keyOf(kind), kind);
    this.#ofCrd.set(crd.metadata.name, kinds.map(keyOf));
    this.#groups = undefined;
    this.generation++;
  }

  removeCrd(name: string): void {
    for (const key of this.#ofCrd.get(name) ?? []) this.#kinds.delete(key);
    this.#ofCrd.delete(name);
    this.#groups = undefined;
    this.generation++;
  }
}

function keyOf({
  group,
  version,
  resource,
}: {
  group: string;
  version: string;
  resource: string;
}): string {
  return `${group}/${version}/${resource}`;
}

/** Kubernetes' version priority: GA, then beta, then alpha, each from the highest number down. */
export function compareVersions(left: string, right: string): number {
  const [leftRank, rightRank] = [versionRank(left), versionRank(right)];
  for (let index = 0; index < leftRank.length; index++)
    if (leftRank[index] !== rightRank[index]) return rightRank[index] - leftRank[index];
  return left < right ? -1 : Number(left > right);
}

function versionRank(version: string): [number, number, number] {
  const match = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version);
  if (match === null) return [0, 0, 0];
  const stability = match[2] === undefined ? 3 : match[2] === 'beta' ? 2 : 1;
  return [stability, Number(match[1]), Number(match[3] ?? 0)];
}

function groupKinds(kinds: readonly ServedKind[]): ServedGroup[] {
  const groups = new Map<string, Map<string, ServedKind[]>>();
  for (const kind of kinds) {
    const versions = groups.get(kind.group) ?? new Map<string, ServedKind[]>();
    groups.set(kind.group, versions);
    versions.set(kind.version, [...(versions.get(kind.version) ?? []), kind]);
  }
  return [...groups].map(([name, versions]) => ({
    name,
    versions: [...versions]
      .map(([version, served]) => ({ version, kinds: served }))
      .sort((left, right) => compareVersions(left.version, right.version)),
  }));
}

function kindsOfCrd(crd: ApiObject): ServedKind[] {
  const spec = crd.spec as JsonObject;
  const names = spec.names as JsonObject;
  const versions = (spec.versions as JsonObject[]).filter((version) => version.served === true);
  return versions.map((version) => {
    const subresources = isJsonObject(version.subresources) ? version.subresources : {};
    const scale = isJsonObject(subresources.scale) ? subresources.scale : undefined;
    return {
      group: String(spec.group),
      version: String(version.name),
      resource: String(names.plural),
      kind: String(names.kind),
      namespaced: spec.scope === 'Namespaced',
      singular: String(names.singular ?? String(names.kind).toLowerCase()),
      shortNames: (names.shortNames as string[] | undefined) ?? [],
      categories: (names.categories as string[] | undefined) ?? [],
      subresources: [
        ...(subresources.status === undefined ? [] : ['status']),
        ...(scale === undefined ? [] : ['scale']),
      ],
      verbs: STORED_VERBS,
      table: `${spec.group}/${names.plural}`,
      custom: true,
      virtual: false,
      counted: true,
      columns: (version.additionalPrinterColumns as PrinterColumn[] | undefined) ?? [
        { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      ],
      scale: scale as ServedKind['scale'],
    };
  });
}
