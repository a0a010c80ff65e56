/** For clusters with the Prometheus operator and Grafana: what they look for, made where the values ask for it. */
import { METRICS_PORT } from '#control/controllers/proxy-pod.ts';
import { labels, type Manifest, type ManifestObject } from '../manifests/object.ts';
import type { Parameters } from '../manifests/parameters.ts';
import { dashboards } from './dashboards.ts';

/** As Grafana's sidecar of the usual chart looks for them. */
const DASHBOARD_LABEL = 'grafana_dashboard';
const INTERVAL = '15s';

interface Monitor {
  readonly name: string;
  readonly selector: object;
  /** Name of the container's port; a number where none is declared, as on the host's network. */
  readonly port: string | number;
}

/** What the parts have in common, in whatever namespace and of whatever revision. */
const MONITORS: readonly Monitor[] = [
  { name: 'control', selector: { matchLabels: { app: 'istiod' } }, port: 'http-monitoring' },
  { name: 'node', selector: { matchLabels: { app: 'ztunnel' } }, port: METRICS_PORT },
  {
    name: 'gateways',
    selector: {
      matchExpressions: [{ key: 'gateway.networking.k8s.io/gateway-name', operator: 'Exists' }],
    },
    port: 'metrics',
  },
];

export function monitoringManifests(p: Parameters): Manifest[] {
  return [
    { object: dashboardMap(p), scope: 'shared', when: 'monitoring.dashboards' },
    ...MONITORS.map(({ name, selector, port }) => ({
      object: podMonitor(p, { name, selector, port }),
      scope: 'shared' as const,
      when: 'monitoring.podMonitor' as const,
    })),
  ];
}

function podMonitor(p: Parameters, { name, selector, port }: Monitor): ManifestObject {
  return {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PodMonitor',
    metadata: { name: `tulle-${name}`, namespace: p.namespace, labels: labels(p, 'monitoring') },
    spec: {
      selector,
      namespaceSelector: { any: true },
      podMetricsEndpoints: [{ ...endpointOf(port), path: '/metrics', interval: INTERVAL }],
    },
  };
}

/** A pod without declared ports is a target without one: it is put together from the pod's address. */
function endpointOf(port: string | number): object {
  if (typeof port === 'string') return { port };
  const address = (regex: string, replacement: string) => ({
    action: 'replace',
    sourceLabels: ['__meta_kubernetes_pod_ip'],
    regex,
    replacement,
    targetLabel: '__address__',
  });
  return { relabelings: [address('([^:]+)', `$1:${port}`), address('(.+:.+)', `[$1]:${port}`)] };
}

function dashboardMap(p: Parameters): ManifestObject {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: 'tulle-dashboards',
      namespace: p.namespace,
      labels: { ...labels(p, 'monitoring'), [DASHBOARD_LABEL]: '1' },
    },
    data: Object.fromEntries(
      dashboards().map((each) => [`${each.uid}.json`, `${JSON.stringify(each, null, 2)}\n`]),
    ),
  };
}
