/** What the reader chose for the graph, read from an address. Pure: the start script reads it before the rest of the console is there. */
import type { GraphType } from '#console/api/graph.ts';
import { LABELS, type LabelKind } from '../scene/edge-marks.ts';

export const TYPES: Readonly<Record<GraphType, string>> = {
  workload: 'Workloads',
  app: 'Apps',
  versionedApp: 'Versions',
  service: 'Services',
};

export interface GraphViewOptions {
  readonly type: GraphType;
  readonly label: LabelKind;
  readonly find: string;
  readonly hide: string;
  readonly hasIdle: boolean;
  readonly hasWaypoints: boolean;
  readonly isAnimated: boolean;
  readonly isTable: boolean;
  readonly hasLegend: boolean;
  /** Only this node's neighbourhood. */
  readonly focus: string | undefined;
  /** One, or two that are compared. */
  readonly selected: readonly string[];
  /** The other moment, RFC 3339. */
  readonly compare: string | undefined;
}

/** Members of the address: ids hold spaces and slashes, so two of them are parted by a bar. */
export function optionsOf(query: URLSearchParams): GraphViewOptions {
  const type = query.get('type') ?? 'workload';
  const label = query.get('label') ?? 'rate';
  return {
    type: type in TYPES ? (type as GraphType) : 'workload',
    label: label in LABELS ? (label as LabelKind) : 'rate',
    find: query.get('find') ?? '',
    hide: query.get('hide') ?? '',
    hasIdle: query.get('idle') === '1',
    hasWaypoints: query.get('waypoints') === '1',
    isAnimated: query.get('still') !== '1',
    isTable: query.get('table') === '1',
    hasLegend: query.get('legend') === '1',
    focus: query.get('focus') ?? undefined,
    selected: (query.get('node') ?? '').split('|').filter((id) => id !== ''),
    compare: query.get('compare') ?? undefined,
  };
}
