/**
 * Port 15014: readiness, version and the control plane's own metrics, with Istio's names where they mean the same; and for other
 * replicas whether this one leads and the state of the proxies that are connected here: names, addresses and versions, no configuration.
 */

import type { ThreadState } from '#console/console-data.ts';
import { answerMetrics } from '#telemetry/admin/metrics-answer.ts';
import { exposeProcess } from '#telemetry/metrics/istio.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { Federation } from './federate/federate.ts';
import type { MeshGraph } from './ingest/mesh-graph.ts';
import { LEADS_HEADER, STREAMS_PATH } from './observe/peers.ts';
import type { ProxySyncState } from './push/proxy-stream.ts';

export interface MonitoringDeps {
  readonly mesh: MeshGraph;
  readonly streams: () => readonly ProxySyncState[];
  readonly leads: () => boolean;
  /** Undefined: ready; else what is still missing. */
  readonly unready: () => string | undefined;
  /** Kinds of the API that cannot be followed now. */
  readonly problems: () => readonly { readonly code: string }[];
  readonly version: string;
  /** The thread of the console: its state is told, whether it runs or not. */
  readonly consoleThread: () => ThreadState;
  /** Answers with the metrics of every proxy besides our own. */
  readonly federation: Federation;
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
        return answerMetrics(registry, request);
      case '/federate':
        return deps.federation.answer(request, registry);
      case STREAMS_PATH:
        return Response.json(deps.streams(), { headers: { [LEADS_HEADER]: `${deps.leads()}` } });
      default:
        return new Response('try /ready, /version, /metrics or /federate\n', { status: 404 });
    }
  };
}

function controlMetrics({
  mesh,
  streams,
  problems,
  consoleThread,
}: MonitoringDeps): MetricRegistry {
  const registry = new MetricRegistry();
  exposeProcess(registry, { component: 'pilot', tag: 'tulle' });
  const gauge = (name: string, help: string, labels: string[] = []) =>
    registry.gauge({ name, help, labels });
  const services = gauge('pilot_services', 'Services known to the control plane.').with([]);
  const workloads = gauge('tulle_workloads', 'Workloads known to the control plane.').with([]);
  const proxies = gauge('pilot_xds', 'Proxies connected by xDS.', ['type']);
  const findings = gauge('tulle_config_findings', 'Configuration findings in force.', ['level']);
  const unfollowed = gauge(
    'tulle_kube_kinds_unfollowed',
    'Kinds of the Kubernetes API that cannot be listed or watched now.',
  ).with([]);
  const counter = (name: string, help: string) =>
    registry.counter({ name, help, labels: [] }).with([]);
  const deaths = counter(
    'tulle_console_thread_deaths_total',
    'Times that the thread of the console ended by an error of ours and was started again.',
  );
  const lost = counter(
    'tulle_console_lost_seconds_total',
    'Seconds of proxies that died with the thread of the console and are in no graph.',
  );
  const told = { deaths: 0, lostSeconds: 0 };
  registry.onCollect(() => {
    const thread = consoleThread();
    deaths.add(thread.deaths - told.deaths);
    lost.add(thread.lostSeconds - told.lostSeconds);
    Object.assign(told, thread);
    unfollowed.set(problems().length);
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
