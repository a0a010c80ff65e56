/**
 * Grafana dashboards as JSON models. Queries use Istio's metric and label names, so what is shown here is what Istio's own dashboards and
 * Kiali would show; ours add who ended connections and why, limits, captures and what the control plane holds.
 */

export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly [member: string]: unknown;
}

interface PanelSpec {
  readonly title: string;
  readonly what: string;
  readonly unit: string;
  /** Legend by query. */
  readonly queries: Readonly<Record<string, string>>;
}

interface RowSpec {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

/** Each edge is reported at both ends; a waypoint counts as the destination's end. */
const AT_SERVER = 'reporter=~"destination|waypoint"';
const SCOPE = 'destination_service_namespace=~"$namespace", destination_service_name=~"$service"';
const BY_SERVICE = 'destination_service_namespace, destination_service_name';
const RATE = '[$__rate_interval]';
const HEIGHT = 8;
const COLUMNS = 24;

const requests = (more = '') => `rate(istio_requests_total{${AT_SERVER}, ${SCOPE}${more}}${RATE})`;
const quantile = (share: number, by: string) =>
  `histogram_quantile(${share}, sum by (le, ${by}) (rate(istio_request_duration_milliseconds_bucket{${AT_SERVER}, ${SCOPE}}${RATE})))`;

const TRAFFIC: readonly RowSpec[] = [
  {
    title: 'Requests',
    panels: [
      {
        title: 'Requests per second',
        what: 'By service, as the destination’s end counts them.',
        unit: 'reqps',
        queries: {
          '{{destination_service_namespace}}/{{destination_service_name}}': `sum by (${BY_SERVICE}) (${requests()})`,
        },
      },
      {
        title: 'Share that failed',
        what: 'Status 5xx, and requests that ended without a status.',
        unit: 'percentunit',
        queries: {
          '{{destination_service_namespace}}/{{destination_service_name}}': `sum by (${BY_SERVICE}) (${requests(', response_code=~"5..|0"')}) / sum by (${BY_SERVICE}) (${requests()})`,
        },
      },
      {
        title: 'Latency',
        what: 'Half of the requests are faster than the first line, 99 of 100 faster than the second.',
        unit: 'ms',
        queries: {
          'p50 {{destination_service_name}}': quantile(0.5, BY_SERVICE),
          'p99 {{destination_service_name}}': quantile(0.99, BY_SERVICE),
        },
      },
      {
        title: 'Responses that the mesh made',
        what: 'By Envoy’s response flags: UH no healthy endpoint, UF not connected, UO overflow, RL rate limited, and so on.',
        unit: 'reqps',
        queries: {
          '{{response_flags}}': `sum by (response_flags) (${requests(', response_flags!~"-|"')})`,
        },
      },
    ],
  },
  {
    title: 'Connections',
    panels: [
      {
        title: 'Bytes per second',
        what: 'Both directions, by destination workload.',
        unit: 'Bps',
        queries: {
          'to {{destination_workload}}': `sum by (destination_workload) (rate(istio_tcp_received_bytes_total{reporter="destination", destination_workload_namespace=~"$namespace"}${RATE}))`,
          'from {{destination_workload}}': `sum by (destination_workload) (rate(istio_tcp_sent_bytes_total{reporter="destination", destination_workload_namespace=~"$namespace"}${RATE}))`,
        },
      },
      {
        title: 'New connections per second',
        what: 'By whether they are mutual TLS.',
        unit: 'cps',
        queries: {
          '{{connection_security_policy}}': `sum by (connection_security_policy) (rate(istio_tcp_connections_opened_total{reporter="destination", destination_workload_namespace=~"$namespace"}${RATE}))`,
        },
      },
      {
        title: 'Connections that failed',
        what: 'Who ended them, and why.',
        unit: 'cps',
        queries: {
          '{{closed_by}}: {{reason}}': `sum by (closed_by, reason) (rate(istio_tcp_connections_failed_total{destination_workload_namespace=~"$namespace"}${RATE}))`,
        },
      },
      {
        title: 'Refused by limits',
        what: 'Limits of pods, rate limits, load shedding.',
        unit: 'cps',
        queries: {
          '{{limit}}': `sum by (limit) (rate(tulle_limit_hits_total${RATE}))`,
          'rate limited': `sum(rate(tulle_rate_limited_requests_total${RATE}))`,
          shed: `sum(rate(tulle_shed_requests_total${RATE}))`,
        },
      },
    ],
  },
];

const PARTS: readonly RowSpec[] = [
  {
    title: 'Control plane',
    panels: [
      {
        title: 'Proxies connected',
        what: 'By kind, over all replicas.',
        unit: 'short',
        queries: { '{{type}}': 'sum by (type) (pilot_xds)' },
      },
      {
        title: 'Findings in configuration',
        what: '`tulle status` and the objects’ own conditions say which.',
        unit: 'short',
        queries: { '{{level}}': 'max by (level) (tulle_config_findings)' },
      },
      {
        title: 'Services and workloads',
        what: 'What the control plane knows.',
        unit: 'short',
        queries: { services: 'max(pilot_services)', workloads: 'max(tulle_workloads)' },
      },
      {
        title: 'Memory',
        what: 'Resident memory of each process.',
        unit: 'bytes',
        queries: {
          '{{component}} {{instance}}':
            'process_resident_memory_bytes * on (instance) group_left (component) istio_build',
        },
      },
    ],
  },
  {
    title: 'Proxies',
    panels: [
      {
        title: 'Without the control plane',
        what: 'Proxies that serve on what they have because their stream is down.',
        unit: 'short',
        queries: { proxies: 'count(tulle_xds_connected == 0) or vector(0)' },
      },
      {
        title: 'Captures repaired',
        what: 'Rules or listeners that somebody took away.',
        unit: 'cps',
        queries: { '{{what}}': `sum by (what) (rate(tulle_capture_repairs_total${RATE}))` },
      },
      {
        title: 'Look-ups',
        what: 'Answered by the DNS proxy, or passed on.',
        unit: 'reqps',
        queries: { '{{result}}': `sum by (result) (rate(tulle_dns_lookups_total${RATE}))` },
      },
      {
        title: 'Access log lines lost',
        what: 'Whoever reads the log is too slow.',
        unit: 'short',
        queries: { lines: `sum(rate(tulle_access_log_dropped_lines_total${RATE}))` },
      },
    ],
  },
];

export function dashboards(): Dashboard[] {
  return [
    dashboard('tulle-traffic', 'Tulle: traffic', TRAFFIC, [
      variable('namespace', 'label_values(istio_requests_total, destination_service_namespace)'),
      variable(
        'service',
        'label_values(istio_requests_total{destination_service_namespace=~"$namespace"}, destination_service_name)',
      ),
    ]),
    dashboard('tulle-parts', 'Tulle: control plane and proxies', PARTS, []),
  ];
}

/** Every query, for whoever checks them. */
export function queriesOf({ panels }: Dashboard): string[] {
  return (panels as { targets?: { expr: string }[] }[]).flatMap(({ targets = [] }) =>
    targets.map(({ expr }) => expr),
  );
}

function dashboard(
  uid: string,
  title: string,
  rows: readonly RowSpec[],
  variables: readonly object[],
): Dashboard {
  const panels: object[] = [];
  let y = 0;
  for (const { title: rowTitle, panels: specs } of rows) {
    const id = panels.length + 1;
    panels.push({ id, type: 'row', title: rowTitle, gridPos: { x: 0, y, w: COLUMNS, h: 1 } });
    y += 1;
    let x = 0;
    for (const spec of specs) {
      const w = COLUMNS / 2;
      if (x + w > COLUMNS) {
        x = 0;
        y += HEIGHT;
      }
      panels.push(panel(spec, panels.length + 1, { x, y, w, h: HEIGHT }));
      x += w;
    }
    y += HEIGHT;
  }
  return {
    uid,
    title,
    tags: ['tulle'],
    schemaVersion: 39,
    editable: true,
    refresh: '10s',
    time: { from: 'now-30m', to: 'now' },
    templating: { list: [DATASOURCE_VARIABLE, ...variables] },
    panels,
  };
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholder
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const DATASOURCE_VARIABLE = { name: 'datasource', type: 'datasource', query: 'prometheus' };

function variable(name: string, query: string): object {
  return {
    name,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2,
    includeAll: true,
    multi: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

function panel(spec: PanelSpec, id: number, gridPos: object): object {
  return {
    id,
    type: 'timeseries',
    title: spec.title,
    description: spec.what,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig: { defaults: { unit: spec.unit, min: 0 }, overrides: [] },
    options: { legend: { displayMode: 'list', placement: 'bottom' }, tooltip: { mode: 'multi' } },
    targets: Object.entries(spec.queries).map(([legendFormat, expr], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource: DATASOURCE,
      expr,
      legendFormat,
    })),
  };
}
