/** /api and /apis: which groups, versions and resources there are, in the old form and the aggregated v2 form. */
import type { JsonObject } from '#kube/meta/object.ts';
import type { KindRegistry, ServedGroup } from '../kinds/registry.ts';
import type { ServedKind } from '../kinds/served-kind.ts';

const AGGREGATED =
  /application\/json;g=apidiscovery\.k8s\.io;v=(v2(?:beta1)?);as=APIGroupDiscoveryList/i;

export interface DiscoveryAnswer {
  body: JsonObject;
  contentType: string;
}

/** Undefined when the path is no discovery path or the group is not served. */
export function discover(
  registry: KindRegistry,
  pathname: string,
  accept: string | null,
): DiscoveryAnswer | undefined {
  const path = pathname.replace(/\/$/, '');
  const aggregated = AGGREGATED.exec((accept ?? '').replaceAll(' ', ''))?.[1];
  if (path === '/api' || path === '/apis') {
    const groups = registry.groups().filter((group) => (group.name === '') === (path === '/api'));
    if (aggregated !== undefined) return aggregate(groups, aggregated);
    return plain(path === '/api' ? coreVersions(groups) : groupList(groups));
  }
  const [, root, first, second, ...rest] = path.split('/');
  if (rest.length > 0) return undefined;
  if (root === 'api' && first !== undefined && second === undefined)
    return resourceList(registry, '', first);
  if (root !== 'apis' || first === undefined) return undefined;
  if (second !== undefined) return resourceList(registry, first, second);
  const group = registry.groups().find((row) => row.name === first && row.name !== '');
  return group === undefined
    ? undefined
    : plain({ kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(group) });
}

function plain(body: JsonObject): DiscoveryAnswer {
  return { body, contentType: 'application/json' };
}

function coreVersions(groups: readonly ServedGroup[]): JsonObject {
  return {
    kind: 'APIVersions',
    versions: groups.flatMap((group) => group.versions.map(({ version }) => version)),
    serverAddressByClientCIDRs: [],
  };
}

function groupList(groups: readonly ServedGroup[]): JsonObject {
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(describeGroup) };
}

function describeGroup({ name, versions }: ServedGroup): JsonObject {
  const rows = versions.map(({ version }) => ({ groupVersion: `${name}/${version}`, version }));
  return { name, versions: rows, preferredVersion: rows[0] };
}

function resourceList(
  registry: KindRegistry,
  group: string,
  version: string,
): DiscoveryAnswer | undefined {
  const served = registry
    .groups()
    .find((row) => row.name === group)
    ?.versions.find((row) => row.version === version);
  if (served === undefined) return undefined;
  return plain({
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? version : `${group}/${version}`,
    resources: served.kinds.flatMap(describeResource),
  });
}

function describeResource(kind: ServedKind): JsonObject[] {
  const { resource, singular, namespaced } = kind;
  const main = {
    name: resource,
    singularName: singular,
    namespaced,
    kind: kind.kind,
    verbs: kind.verbs,
    shortNames: kind.shortNames.length === 0 ? undefined : kind.shortNames,
    categories: kind.categories.length === 0 ? undefined : kind.categories,
  };
  const subresources = kind.subresources.map((name) => ({
    name: `${resource}/${name}`,
    singularName: '',
    namespaced,
    ...subresourceKind(kind, name),
    verbs: subresourceVerbs(name),
  }));
  return [main, ...subresources];
}

/** The kind that a subresource speaks when it is not the resource's own. */
function subresourceKind(
  kind: ServedKind,
  name: string,
): { group?: string; version?: string; kind: string } {
  switch (name) {
    case 'scale':
      return { group: 'autoscaling', version: 'v1', kind: 'Scale' };
    case 'token':
      return { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' };
    case 'eviction':
      return { group: 'policy', version: 'v1', kind: 'Eviction' };
    case 'binding':
      return { kind: 'Binding' };
    case 'exec':
      return { kind: 'PodExecOptions' };
    case 'portforward':
      return { kind: 'PodPortForwardOptions' };
    default:
      return { kind: kind.kind };
  }
}

export function subresourceVerbs(name: string): string[] {
  switch (name) {
    case 'scale':
    case 'status':
      return ['get', 'patch', 'update'];
    case 'finalize':
      return ['update'];
    case 'exec':
    case 'portforward':
      return ['create', 'get'];
    case 'log':
      return ['get'];
    default:
      return ['create'];
  }
}

function aggregate(groups: readonly ServedGroup[], version: string): DiscoveryAnswer {
  const items = groups.map(({ name, versions }) => ({
    metadata: { name: name === '' ? undefined : name, creationTimestamp: null },
    versions: versions.map((row) => ({
      version: row.version,
      resources: row.kinds.map((kind) => aggregateResource(kind)),
      freshness: 'Current',
    })),
  }));
  return {
    body: {
      kind: 'APIGroupDiscoveryList',
      apiVersion: `apidiscovery.k8s.io/${version}`,
      metadata: {},
      items,
    },
    contentType: `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`,
  };
}

function aggregateResource(kind: ServedKind): JsonObject {
  const own = { group: kind.group, version: kind.version, kind: kind.kind };
  return {
    resource: kind.resource,
    responseKind: own,
    scope: kind.namespaced ? 'Namespaced' : 'Cluster',
    singularResource: kind.singular,
    verbs: kind.verbs,
    shortNames: kind.shortNames.length === 0 ? undefined : kind.shortNames,
    categories: kind.categories.length === 0 ? undefined : kind.categories,
    subresources: kind.subresources.map((name) => ({
      subresource: name,
      responseKind: { ...own, ...subresourceKind(kind, name) },
      verbs: subresourceVerbs(name),
    })),
  };
}
