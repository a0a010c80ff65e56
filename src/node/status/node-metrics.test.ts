import { expect, test } from 'bun:test';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import type { XdsClient } from '#xds/client/xds-client.ts';
import type { Assembly } from '../assemble.ts';
import { exposeNodeMetrics } from './node-metrics.ts';

test('exposeNodeMetrics counts pods and discovery under ztunnel’s names, as they are at each scrape', () => {
  const registry = new MetricRegistry();
  const usages = { opened: 3, closed: 1 };
  const accessLog = { droppedTotal: 4 };
  const assembly = { registry, accessLog, context: { usages } } as unknown as Assembly;
  const proxies = [{ ready: true }, { ready: false }];
  const type = {
    typeUrl: 'type.googleapis.com/istio.workload.Address',
    messages: 2,
    messageBytes: 900,
  };
  const terminations = { ConnectionError: 5, Error: 1, Complete: 0 };
  const xds = { connected: true, status: () => ({ types: [type], terminations }) };
  exposeNodeMetrics({
    assembly,
    proxies: () => proxies as never,
    xds: xds as unknown as XdsClient,
  });
  const first = registry.expose();
  for (const line of [
    'workload_manager_active_proxy_count 1',
    'workload_manager_pending_proxy_count 1',
    'workload_manager_proxies_started_total 3',
    'workload_manager_proxies_stopped_total 1',
    'tulle_access_log_dropped_lines_total 4',
    'istio_xds_message_total{url="type.googleapis.com/istio.workload.Address"} 2',
    'istio_xds_message_bytes_total{url="type.googleapis.com/istio.workload.Address"} 900',
    'istio_xds_connection_terminations_total{reason="ConnectionError"} 5',
    'tulle_xds_connected 1',
  ])
    expect(first.split('\n')).toContain(line);
  proxies.push({ ready: true });
  type.messages = 7;
  const second = registry.expose().split('\n');
  expect(second).toContain('workload_manager_active_proxy_count 2');
  expect(second).toContain(`istio_xds_message_total{url="${type.typeUrl}"} 7`);
});
