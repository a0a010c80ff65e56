/** Columns that lists of workloads, services and apps share. */
import type { Traffic } from '#console/api/graph.ts';
import type { Health, HealthStatus } from '#console/api/health.ts';
import { Chips } from '../../ui/chip.tsx';
import { millis } from '../../ui/format.ts';
import type { Column } from '../../ui/table.tsx';
import { Dash, ErrorShare, isIdle, Named, TrafficRate } from '../parts/cells.tsx';

interface Listed {
  readonly name: string;
  readonly namespace: string;
  readonly health: Health;
  readonly inbound: Traffic;
  readonly p95Ms?: number;
}

const BADNESS: Readonly<Record<HealthStatus, number>> = {
  failing: 4,
  degraded: 3,
  unknown: 2,
  healthy: 1,
  idle: 0,
};

/** Lists start with the worst. */
export const WORST_FIRST = { key: 'health', isDescending: true } as const;

export function nameColumns<Row extends Listed>(): Column<Row>[] {
  return [
    {
      key: 'name',
      title: 'Name',
      value: (row) => row.name,
      cell: (row) => <Named health={row.health}>{row.name}</Named>,
      isText: true,
    },
    {
      key: 'namespace',
      title: 'Namespace',
      value: (row) => row.namespace,
      isText: true,
      weight: 'least',
    },
    {
      key: 'health',
      title: 'Health',
      value: (row) => row.health.status,
      order: (row) => BADNESS[row.health.status],
      cell: (row) => row.health.reason,
      isDescending: true,
      isWide: true,
      weight: 'lesser',
    },
  ];
}

export function trafficColumns<Row extends Listed>(): Column<Row>[] {
  return [
    {
      key: 'rate',
      title: 'Traffic in',
      value: (row) => row.inbound.requestsPerSecond || row.inbound.connectionsPerSecond,
      cell: (row) => <TrafficRate traffic={row.inbound} />,
      isDescending: true,
      isRight: true,
    },
    {
      key: 'errors',
      title: 'Failed',
      value: (row) => (isIdle(row.inbound) ? undefined : row.inbound.errorRate * 100),
      cell: (row) => (
        <ErrorShare
          share={row.inbound.errorRate}
          health={row.health}
          isIdle={isIdle(row.inbound)}
        />
      ),
      isDescending: true,
      isRight: true,
    },
    {
      key: 'p95',
      title: 'p95',
      value: (row) => row.p95Ms,
      cell: (row) => (row.p95Ms === undefined ? <Dash /> : millis(row.p95Ms)),
      isDescending: true,
      isRight: true,
      weight: 'least',
    },
  ];
}

export function versionColumn<Row extends { readonly versions: readonly string[] }>(): Column<Row> {
  return {
    key: 'version',
    title: 'Versions',
    value: (row) => row.versions.join(' '),
    cell: (row) => (row.versions.length === 0 ? <Dash /> : <Chips words={row.versions} />),
    isText: true,
    weight: 'lesser',
  };
}
