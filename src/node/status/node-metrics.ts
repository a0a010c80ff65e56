/** Metrics of the proxy itself, with ztunnel's names where it has one: pods, discovery, what the log dropped. */
import type { MetricRegistry } from '#telemetry/metrics/registry.ts';
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
  const dropped = counter(
    'tulle_access_log_dropped_lines_total',
    'Access log lines that nobody read fast enough.',
  );
  exposeDiscovery(registry, xds);
  registry.onCollect(() => {
    const all = proxies();
    active.set(all.filter(({ ready }) => ready).length);
    pending.set(all.filter(({ ready }) => !ready).length);
    started.value = context.usages.opened;
    stopped.value = context.usages.closed;
    dropped.value = accessLog.droppedTotal;
  });
}

function exposeDiscovery(registry: MetricRegistry, xds: XdsClient | undefined): void {
  if (xds === undefined) return;
  const counter = (name: string, help: string, label: string) =>
    registry.counter({ name, help, labels: [label] });
  const messages = counter('istio_xds_message_total', 'Discovery responses.', 'url');
  const bytes = counter('istio_xds_message_bytes_total', 'Bytes of discovery responses.', 'url');
  const ends = counter('istio_xds_connection_terminations_total', 'Streams ended.', 'reason');
  const connected = registry
    .gauge({
      name: 'tulle_xds_connected',
      help: 'Whether the control plane is connected.',
      labels: [],
    })
    .with([]);
  registry.onCollect(() => {
    const { types, terminations } = xds.status();
    connected.set(xds.connected ? 1 : 0);
    for (const { typeUrl, messages: count, messageBytes } of types) {
      messages.with([typeUrl]).value = count;
      bytes.with([typeUrl]).value = messageBytes;
    }
    for (const [reason, count] of Object.entries(terminations)) ends.with([reason]).value = count;
  });
}
