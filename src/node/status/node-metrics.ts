/** Metrics of the proxy itself, with ztunnel's names where it has one: pods, discovery, memory, what the log dropped. */
import type { XdsClient } from '#xds/client/xds-client.ts';
import type { Assembly } from '../assemble.ts';
import type { WorkloadProxy } from '../workload/workload-proxy.ts';

interface Parts {
  assembly: Assembly;
  proxies(): readonly WorkloadProxy[];
  xds: XdsClient | undefined;
}

export function exposeNodeMetrics({ assembly, proxies, xds }: Parts): void {
  const { registry, accessLog, context } = assembly;
  const gauge = (name: string, help: string) => registry.gauge({ name, help, labels: [] }).with([]);
  const counter = (name: string, help: string) =>
    registry.counter({ name, help, labels: [] }).with([]);
  const active = gauge('workload_manager_active_proxy_count', 'Pods that are proxied.');
  const pending = gauge('workload_manager_pending_proxy_count', 'Pods whose proxy is not ready.');
  const started = counter('workload_manager_proxies_started_total', 'Pod proxies begun.');
  const stopped = counter('workload_manager_proxies_stopped_total', 'Pod proxies ended.');
  const memory = gauge('process_resident_memory_bytes', 'Resident memory of the process.');
  const dropped = counter(
    'tulle_access_log_dropped_lines_total',
    'Access log lines that nobody read fast enough.',
  );
  const connected = gauge('tulle_xds_connected', 'Whether the control plane is connected.');
  registry.onCollect(() => {
    const all = proxies();
    active.set(all.filter(({ ready }) => ready).length);
    pending.set(all.filter(({ ready }) => !ready).length);
    started.value = context.usages.opened;
    stopped.value = context.usages.closed;
    memory.set(process.memoryUsage.rss());
    dropped.value = accessLog.droppedTotal;
    connected.set(xds?.connected === true ? 1 : 0);
  });
}
