/** The part of the mesh graph about BackendTLSPolicies: TLS that proxies originate, by service and port. */
import type { Collection } from '#collections/collection.ts';
import type { Graph } from '#collections/graph.ts';
import type { TlsTargetService } from '#config/compile/gateway-api/backend-tls.ts';
import { backendTls, compileBackendTlsPolicy } from '#config/compile/gateway-api/backend-tls.ts';
import type { UpstreamTls } from '#model/route/route-table.ts';
import type { BoundService } from '../derive/service.ts';
import type { MeshSources } from './mesh-graph.ts';

export type BackendTlsCollections = ReturnType<typeof backendTlsCollections>;

export function backendTlsCollections(
  graph: Graph,
  from: { sources: MeshSources; services: Collection<BoundService> },
) {
  const { sources, services } = from;
  const policies = graph.map('backendTls.policies', sources.backendTlsPolicies, (object, reads) =>
    compileBackendTlsPolicy(object, (key) => reads.get(sources.configMaps, key)),
  );
  const byNamespace = graph.index('backendTls.byNamespace', policies, ({ namespace }) => [
    namespace,
  ]);
  /** By service key; nothing for services without a policy. */
  const byService = graph.map(
    'backendTls.byService',
    services,
    (bound, reads): ReadonlyMap<number, UpstreamTls> | undefined => {
      const byPort = backendTls(
        tlsTarget(bound),
        reads.lookup(byNamespace, bound.service.namespace),
      );
      return byPort.size === 0 ? undefined : byPort;
    },
  );
  return { policies, byNamespace, byService };
}

export function tlsTarget({ kind, service, membership }: BoundService): TlsTargetService {
  const ports = membership.ports.map(({ servicePort, name }) => ({ port: servicePort, name }));
  return { kind, namespace: service.namespace, name: service.name, ports };
}
