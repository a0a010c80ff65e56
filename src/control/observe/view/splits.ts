/** Weighted choices of the routes in force, with the workloads that each part reaches. Pure. */
import type { LabeledWorkload } from '#config/compile/upstream.ts';
import type { SplitView } from '#console/mesh-view.ts';
import type {
  Provenance,
  RouteDestination,
  RouteTable,
  Upstream,
} from '#model/route/route-table.ts';

export interface SplitSources {
  readonly upstream: (key: string) => Upstream | undefined;
  /** Workloads of a service, by its key. */
  readonly members: (key: string) => readonly LabeledWorkload[];
}

/** Those of one service's routes, by keys that no other has. */
export function splitViews(
  table: Pick<RouteTable, 'namespace' | 'hostname' | 'ports'>,
  sources: SplitSources,
): Map<string, SplitView> {
  const views = new Map<string, SplitView>();
  const service = `${table.namespace}/${table.hostname}`;
  for (const { routes, l4Routes = [] } of table.ports) {
    for (const { action, provenance } of routes)
      if (action.kind === 'forward')
        add(views, { provenance, service, destinations: action.destinations }, sources);
    for (const { destinations, provenance } of l4Routes)
      add(views, { provenance, service, destinations }, sources);
  }
  return views;
}

interface Choice {
  readonly provenance: Provenance;
  readonly service: string;
  readonly destinations: readonly RouteDestination[];
}

function add(
  views: Map<string, SplitView>,
  { provenance, service, destinations }: Choice,
  sources: SplitSources,
): void {
  const sum = destinations.reduce((total, { weight }) => total + weight, 0);
  if (destinations.length < 2 || sum === 0) return;
  const { kind, namespace, name, rule = '' } = provenance;
  const parts = destinations.map((destination) => ({
    percent: (destination.weight / sum) * 100,
    workloads: workloadsOf(destination, sources),
  }));
  // Two ports of one service have the same rule.
  views.set(`${kind} ${namespace}/${name} ${rule} ${service}`, {
    route: `${kind} ${namespace}/${name}`,
    service,
    parts,
  });
}

function workloadsOf({ upstream, subset }: RouteDestination, sources: SplitSources): string[] {
  const labels =
    subset === undefined
      ? {}
      : sources.upstream(upstream)?.subsets.find(({ name }) => name === subset)?.labels;
  if (labels === undefined) return [];
  const wanted = Object.entries(labels);
  const members = sources
    .members(upstream)
    .filter((each) => wanted.every(([name, value]) => each.labels[name] === value));
  return [
    ...new Set(members.map(({ workload }) => `${workload.namespace}/${workload.workloadName}`)),
  ].sort();
}
