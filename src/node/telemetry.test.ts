/** What the node proxy counts and logs of a connection that it carries, and of one that it refuses. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { LogLevels } from '#base/log.ts';
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
let levels: LogLevels;
let telemetry: NodeTelemetry;

beforeEach(() => {
  registry = new MetricRegistry();
  lines = [];
  const log = { write: (line: string) => void lines.push(line) };
  levels = new LogLevels('info');
  const deps = { clock: new FakeClock(), registry, log, levels };
  telemetry = new NodeTelemetry(deps, { format: 'text' });
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

  test('every close says who began it and why, in the log and in the failed metric', () => {
    telemetry.begin(FACTS).finish(undefined, 'upstream');
    const reset = new MeshError('NET_RESET', 'the app broke off', { side: 'upstream', hint: '' });
    telemetry.begin(FACTS).finish(reset, 'downstream');
    const decidedBy = 'shop/strict';
    const options = { side: 'downstream', hint: '', decidedBy } as const;
    const denied = new MeshError('NODE_POLICY', 'explicitly denied by: shop/strict', options);
    telemetry.refuse(FACTS, denied).finish(denied);
    expect(lines.map((line) => line.slice(line.indexOf('duration=')).trim())).toEqual([
      'duration="0ms" closed_by="upstream" reason="FIN"',
      'duration="0ms" error="the app broke off (upstream)" closed_by="upstream" reason="reset"',
      'duration="0ms" error="explicitly denied by: shop/strict (downstream)" closed_by="policy" reason="shop/strict"',
    ]);
    const text = registry.expose();
    expect(text).toMatch(
      /failed_total\{.*response_flags="CONNECT".*,closed_by="upstream",reason="reset"\} 1/,
    );
    expect(text).toMatch(
      /failed_total\{.*response_flags="DENY".*,closed_by="policy",reason="shop\/strict"\} 1/,
    );
  });

  test('a failure before the destination is known is counted, and logged with its cause', () => {
    const options = { side: 'downstream', hint: '' } as const;
    const error = new MeshError('NET_TLS_FAILED', 'no certificate', options);
    const { source, destination } = FACTS;
    telemetry.failedEarly({ direction: 'inbound', source, destination, error });
    expect(lines[0]).toEndWith(
      '\twarn\taccess\tconnection failed\tsrc.addr=198.18.1.2:40000 dst.addr=198.19.0.11:80 direction="inbound" error="no certificate (downstream)" closed_by="downstream" reason="TLS failure"\n',
    );
    expect(registry.expose()).toContain(
      'tulle_tcp_early_failures_total{reporter="destination",response_flags="TLS_FAILURE",closed_by="downstream",reason="TLS failure"} 1',
    );
  });

  test('the level of scope access decides which lines are written, from one line to the next', () => {
    const error = new MeshError('NET_RESET', 'broke off', { side: 'upstream', hint: '' });
    const { source, destination } = FACTS;
    const all = () => {
      lines = [];
      telemetry.begin(FACTS).finish(undefined, 'downstream');
      telemetry.begin(FACTS).finish(error);
      telemetry.failedEarly({ direction: 'outbound', source, destination, error });
      return lines.map((line) => line.split('\t').slice(1, 4).join(' '));
    };
    const opened = 'debug access connection opened';
    const done = 'info access connection complete';
    const broken = 'error access connection complete';
    const early = 'warn access connection failed';
    expect(all()).toEqual([done, broken, early]);
    levels.set('info,access=debug');
    expect(all()).toEqual([opened, done, opened, broken, early]);
    levels.set('warn');
    expect(all()).toEqual([broken, early]);
    levels.set('error');
    expect(all()).toEqual([broken]);
    levels.set('off');
    expect(all()).toEqual([]);
  });
});
