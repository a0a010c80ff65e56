/** The mesh as one proxy's configuration sees it: names, subsets and DestinationRules from its namespace. */
import type { TargetLookup } from '#config/compile/target.ts';
import { preferred } from '#control/ingest/route-graph.ts';
import type { Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import type { Labels } from './assumed-objects.ts';
import { upstreamOf } from './destinations.ts';
import { NOW, type World } from './world.ts';

export interface ClientView extends TargetLookup {
  readonly upstream: (key: string) => Upstream | undefined;
}

export function clientView(
  world: World,
  client: { namespace: string; labels?: Labels },
): ClientView {
  const { parts } = world.mesh;
  const resolve = (hostname: string, from: string): Service | undefined =>
    preferred(NOW.lookup(parts.services.byHostname, hostname), from)?.service;
  const policiesOf = (service: Service) => parts.destinations.policiesFor(service, client, NOW);
  return {
    resolve,
    subsets: (service) => new Set(policiesOf(service)?.subsets.map(({ name }) => name)),
    upstream: (key) => {
      const service = world.mesh.services.get(key)?.service;
      const known = upstreamOf(world, key);
      const policies = service && policiesOf(service);
      return known && policies ? { ...known, ...policies } : known;
    },
  };
}
