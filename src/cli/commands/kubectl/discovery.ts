/** Finds the kind a person means (`vs`, `pods`, `deploy`) by asking the cluster (aggregated discovery, two requests). */
import { MeshError } from '#base/errors.ts';
import type { ResourceRef } from '#kube/client/kube-client.ts';
import type { RestClient } from '#kube/client/rest-client.ts';
import { splitApiVersion } from '#kube/meta/api-version.ts';
import { CLI_ERRORS } from '../../errors.ts';

const ACCEPT =
  'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json';

interface DiscoveredResource {
  resource: string;
  responseKind: { kind: string };
  scope: 'Namespaced' | 'Cluster';
  singularResource?: string;
  shortNames?: string[];
  categories?: string[];
}
interface DiscoveryList {
  items?: {
    metadata?: { name?: string };
    versions?: { version: string; resources?: DiscoveredResource[] }[];
  }[];
}

export interface ServedKind extends ResourceRef {
  names: readonly string[];
  categories: readonly string[];
}

/** Every served kind; within a group the preferred version comes first. */
export async function discover(client: RestClient): Promise<ServedKind[]> {
  const lists = await Promise.all(['/api', '/apis'].map((path) => fetchList(client, path)));
  return lists.flatMap((list) =>
    (list.items ?? []).flatMap((group) =>
      (group.versions ?? []).flatMap((version) =>
        (version.resources ?? []).map((entry) =>
          servedKind(group.metadata?.name ?? '', version.version, entry),
        ),
      ),
    ),
  );
}

async function fetchList(client: RestClient, path: string): Promise<DiscoveryList> {
  const response = await client.open('GET', path, { headers: { accept: ACCEPT } });
  return (await response.json()) as DiscoveryList;
}

function servedKind(group: string, version: string, entry: DiscoveredResource): ServedKind {
  const { resource, responseKind, scope, singularResource, shortNames, categories } = entry;
  const kind = responseKind.kind;
  const names = [
    resource,
    singularResource ?? '',
    kind.toLowerCase(),
    ...(shortNames ?? []),
  ].filter((name) => name !== '');
  return {
    group,
    version,
    resource,
    kind,
    namespaced: scope === 'Namespaced',
    names,
    categories: categories ?? [],
  };
}

/** `pods`, `po`, `deployments.apps`, `vs,dr`, `all`: every kind named, in order. */
export function resolveKinds(served: readonly ServedKind[], text: string): ServedKind[] {
  return text.split(',').flatMap((name) => {
    const [plain, ...group] = name.toLowerCase().split('.');
    const suffix = group.join('.');
    const hits = served.filter(
      (kind) => kind.names.includes(plain) && (suffix === '' || kind.group === suffix),
    );
    if (hits.length > 0) return [hits[0]];
    const inCategory = preferredVersions(served.filter((kind) => kind.categories.includes(plain)));
    if (inCategory.length > 0) return inCategory;
    throw new MeshError('CLI_UNKNOWN_KIND', `the cluster serves no kind called ${name}`, {
      side: 'config',
      hint: CLI_ERRORS.CLI_UNKNOWN_KIND,
    });
  });
}

function preferredVersions(kinds: readonly ServedKind[]): ServedKind[] {
  const first = new Map<string, ServedKind>();
  for (const kind of kinds) {
    const key = `${kind.group}/${kind.kind}`;
    if (!first.has(key)) first.set(key, kind);
  }
  return [...first.values()];
}

/** The kind of a manifest. */
export function kindOf(
  served: readonly ServedKind[],
  object: { apiVersion: string; kind: string },
): ServedKind {
  const { group, version } = splitApiVersion(object.apiVersion);
  const hit = served.find(
    (kind) => kind.group === group && kind.version === version && kind.kind === object.kind,
  );
  if (hit !== undefined) return hit;
  throw new MeshError(
    'CLI_UNKNOWN_KIND',
    `the cluster serves no ${object.kind} in ${object.apiVersion}`,
    {
      side: 'config',
      hint: CLI_ERRORS.CLI_UNKNOWN_KIND,
    },
  );
}
