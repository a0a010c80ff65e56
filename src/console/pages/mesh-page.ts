/** The mesh page and the page of mutual TLS. Pure. */
import type { MeshAnswer, MtlsAnswer, MtlsCell, PolicyHits, StoreState } from '../api/mesh.ts';
import type { MeshView } from '../mesh-view.ts';
import { meshHealth } from './attention.ts';
import { namespaceOfResource, resourceOf } from './names.ts';

export type Sees = (namespace: string) => boolean;

export function meshAnswer(
  mesh: MeshView,
  from: {
    readonly generatedAt: string;
    readonly store: StoreState;
    readonly sees: Sees;
    readonly rootNamespace: string;
  },
): MeshAnswer {
  const control = mesh.control();
  const proxies = mesh.proxies();
  const problems = mesh.problems();
  const { certificates } = mesh.certificates();
  return {
    generatedAt: from.generatedAt,
    health: meshHealth({ proxies, control, problems, certificates }),
    version: mesh.version,
    trustDomain: mesh.trustDomain,
    clusterId: mesh.clusterId,
    control: from.sees(from.rootNamespace) ? control : [],
    proxies: proxies.filter(({ namespace }) => from.sees(namespace)),
    store: from.store,
    problems,
  };
}

export function mtlsAnswer(
  mesh: MeshView,
  from: {
    readonly generatedAt: string;
    readonly cells: readonly MtlsCell[];
    readonly hits: readonly PolicyHits[];
    readonly sees: Sees;
  },
): MtlsAnswer {
  return {
    generatedAt: from.generatedAt,
    cells: from.cells,
    modes: [...mesh.namespaces()]
      .filter(({ name }) => from.sees(name))
      .map(({ name, mtlsMode, mtlsFrom }) => ({ namespace: name, mode: mtlsMode, from: mtlsFrom })),
    policies: policyRows(mesh, from.hits).filter(({ resource }) =>
      from.sees(namespaceOfResource(resource)),
    ),
  };
}

/** Also policies that denied nothing: that they are never hit is worth knowing. */
export function policyRows(mesh: MeshView, hits: readonly PolicyHits[]): PolicyHits[] {
  const byResource = new Map(hits.map((each) => [each.resource, each]));
  const known = [...mesh.config()]
    .filter(({ kind }) => kind === 'AuthorizationPolicy')
    .map((view): PolicyHits => {
      const resource = resourceOf(view);
      const { action } = (view.object.spec ?? {}) as { action?: string };
      const seen = byResource.get(resource);
      byResource.delete(resource);
      return {
        resource,
        action: action ?? 'ALLOW',
        denied: seen?.denied ?? 0,
        ...(seen?.lastDeniedAt !== undefined && { lastDeniedAt: seen.lastDeniedAt }),
        ...(view.enforced !== undefined && { enforced: view.enforced }),
      };
    });
  return [...known, ...byResource.values()].sort(
    (left, right) => right.denied - left.denied || (left.resource < right.resource ? -1 : 1),
  );
}
