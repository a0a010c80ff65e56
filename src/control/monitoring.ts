/** Port 15014: readiness, version and the control plane's own metrics, with Istio's names where they mean the same. */
import { EXPOSITION_CONTENT_TYPE, MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { MeshGraph } from './ingest/mesh-graph.ts';
import type { ProxySyncState } from './push/proxy-stream.ts';

export interface MonitoringDeps {
  readonly mesh: MeshGraph;
  readonly streams: () => readonly ProxySyncState[];
  /** Undefined: ready; else what is still missing. */
  readonly unready: () => string | undefined;
  readonly version: string;
}

export function monitoringHandler(deps: MonitoringDeps): (request: Request) => Response {
  const registry = controlMetrics(deps);
  return (request) => {
    switch (new URL(request.url).pathname) {
      case '/ready': {
        const missing = deps.unready();
        return new Response(`${missing ?? 'ready'}\n`, {
          status: missing === undefined ? 200 : 503,
        });
      }
      case '/version':
        return Response.json({ version: deps.version });
      case '/metrics':
        return new Response(registry.expose(), {
          headers: { 'content-type': EXPOSITION_CONTENT_TYPE },
        });
      default:
        return new Response('try /ready, /version or /metrics\n', { status: 404 });
    }
  };
}

function controlMetrics({ mesh, streams }: MonitoringDeps): MetricRegistry {
  const registry = new MetricRegistry();
  const gauge = (name: string, help: string, labels: string[] = []) =>
    registry.gauge({ name, help, labels });
  const services = gauge('pilot_services', 'Services known to the control plane.').with([]);
  const workloads = gauge('tulle_workloads', 'Workloads known to the control plane.').with([]);
  const proxies = gauge('pilot_xds', 'Proxies connected by xDS.', ['type']);
  const findings = gauge('tulle_config_findings', 'Configuration findings in force.', ['level']);
  registry.onCollect(() => {
    services.set(mesh.services.size);
    workloads.set(mesh.workloads.size);
    const all = streams();
    for (const type of ['ztunnel', 'waypoint'])
      proxies.with([type]).set(all.filter((stream) => stream.type === type).length);
    const found = mesh.findings();
    for (const level of ['error', 'warning', 'info'])
      findings.with([level]).set(found.filter((finding) => finding.level === level).length);
  });
  return registry;
}
