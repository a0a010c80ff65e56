/** What the node proxy counts and logs of a connection that it carries, and of one that it refuses. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { type ConnectionFacts, NodeTelemetry } from './telemetry.ts';

const FACTS: ConnectionFacts = {
  direction: 'outbound',
  source: { address: '198.18.1.2', port: 40000 },
  sourceWorkload: undefined,
  sourceIdentity: undefined,
  destination: { address: '198.19.0.11', port: 80 },
  hboneAuthority: undefined,
  service: 'product-service.shop.svc.cluster.local',
  destinationWorkload: undefined,
  destinationIdentity: undefined,
  requested: undefined,
  mutualTls: false,
};

let registry: MetricRegistry;
let lines: string[];
let telemetry: NodeTelemetry;

beforeEach(() => {
  registry = new MetricRegistry();
  lines = [];
  const log = { write: (line: string) => void lines.push(line) };
  telemetry = new NodeTelemetry({ clock: new FakeClock(), registry, log }, { format: 'text' });
});

/** Sum of a family's series by its short name. */
function count(name: 'opened' | 'closed' | 'failed'): number {
  const wanted = `istio_tcp_connections_${name}_total{`;
  const series = registry.expose().split('\n');
  return series
    .filter((line) => line.startsWith(wanted))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}
const counts = () => ({
  opened: count('opened'),
  closed: count('closed'),
  failed: count('failed'),
});

describe('NodeTelemetry', () => {
  test('a carried connection is opened, live and closed', () => {
    const record = telemetry.begin(FACTS);
    expect(counts()).toEqual({ opened: 1, closed: 0, failed: 0 });
    expect(telemetry.live.size).toBe(1);
    record.finish(undefined);
    expect(counts()).toEqual({ opened: 1, closed: 1, failed: 0 });
    expect(telemetry.live.size).toBe(0);
    expect(lines).toHaveLength(1);
  });

  test('a refused connection is only failed, with the flag of its reason, and logged once', () => {
    const error = new MeshError('NODE_POLICY', 'explicitly denied by: shop/strict', {
      side: 'downstream',
      hint: '',
    });
    const record = telemetry.refuse(FACTS, error);
    expect(telemetry.live.size).toBe(0);
    record.finish(error);
    record.finish(error);
    expect(counts()).toEqual({ opened: 0, closed: 0, failed: 1 });
    expect(registry.expose()).toContain('response_flags="DENY"');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain('explicitly denied by: shop/strict');
  });
});
