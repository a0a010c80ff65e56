/** What the node proxy counts and logs of a connection that it carries, and of one that it refuses. */
import { beforeEach, describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { LogLevels } from '#base/log.ts';
import { compileFilterText, compileTagText } from '#config/compile/telemetry/expression.ts';
import {
  DEFAULT_TELEMETRY,
  type ScopedTelemetry,
  type TelemetrySettings,
} from '#model/telemetry/settings.ts';
import { SERIES_SETS_PER_WORKLOAD_MAX } from '#telemetry/limits.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { Outbox } from '#telemetry/report/outbox.ts';
import { ANY_REQUEST } from '#telemetry/requests/match-tap.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { takenLines } from '#test/support/taken-lines.ts';
import { completeWorkload } from './config/static-file.ts';
import { EDGE_IDLE_MS } from './limits.ts';
import { type ConnectionFacts, NodeTelemetry } from './telemetry.ts';

const POD = { namespace: 'shop', name: 'product-1' };
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
  const log = takenLines((line) => void lines.push(line));
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
    telemetry.failedEarly({ direction: 'inbound', pod: POD, source, destination, error });
    expect(lines[0]).toEndWith(
      '\twarn\taccess\tconnection failed\tsrc.addr=198.18.1.2:40000 dst.addr=198.19.0.11:80 dst.workload="product-1" dst.namespace="shop" direction="inbound" error="no certificate (downstream)" closed_by="downstream" reason="TLS failure"\n',
    );
    telemetry.failedEarly({ direction: 'outbound', pod: POD, source, destination, error });
    expect(lines[1]).toContain(
      ' src.workload="product-1" src.namespace="shop" dst.addr=198.19.0.11:80 direction="outbound" ',
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
      telemetry.failedEarly({ direction: 'outbound', pod: POD, source, destination, error });
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

  describe('flows', () => {
    const reset = new MeshError('NET_RESET', 'broke off', { side: 'upstream', hint: '' });

    test('an edge counts connections, whatever became of them, and bytes while they run', () => {
      const record = telemetry.begin(FACTS);
      record.receivedBytes = 100;
      record.sentBytes = 4000;
      const [first] = telemetry.flows.take(1);
      // From the source to the destination is what was received from the client.
      expect(first).toMatchObject({ opened: 1, closed: 0, sentBytes: 100, receivedBytes: 4000 });
      registry.expose();
      record.receivedBytes = 150;
      expect(telemetry.flows.take(2)).toMatchObject([{ opened: 0, sentBytes: 50 }]);
      expect(telemetry.flows.take(3)).toEqual([]);
      record.sentBytes = 4001;
      record.finish(reset);
      const refusal = new MeshError('NODE_POLICY', 'no', { side: 'downstream', hint: '' });
      telemetry.refuse(FACTS, refusal).finish(refusal);
      expect(telemetry.flows.take(4)).toMatchObject([
        {
          edge: first.edge,
          closed: 1,
          failed: 2,
          receivedBytes: 1,
          flags: [
            ['CONNECT', 1],
            ['DENY', 1],
          ],
        },
      ]);
    });

    test('what is not known of an edge is outside the mesh, under the name that was asked for', () => {
      const requested = { hostname: 'api.example.com', namespace: 'shop', name: 'api' } as never;
      telemetry.begin({ ...FACTS, requested });
      telemetry.flows.take(1);
      expect(telemetry.flows.untold(1, 0)).toMatchObject([
        {
          reporter: 'source',
          protocol: 'tcp',
          source: { kind: 'external', workload: '' },
          destination: { kind: 'external', workload: 'api.example.com' },
          service: { host: 'api.example.com', namespace: 'shop', name: 'api' },
          isMutualTls: false,
        },
      ]);
    });
  });

  describe('records', () => {
    const clock = new FakeClock();
    const failure = (code: string, message: string, decidedBy?: string) =>
      new MeshError(code, message, { side: 'downstream', hint: '', decidedBy });

    function reporting() {
      const outbox = new Outbox(clock, { proxy: 'istio-system/node-1', onSomething: () => 0 });
      telemetry.report = outbox;
      return outbox;
    }

    test('are made of what failed, and of the rest while somebody asks', () => {
      const outbox = reporting();
      telemetry.begin(FACTS).finish(undefined);
      expect(outbox.takeAll()).toBeUndefined();
      outbox.tap([ANY_REQUEST]);
      telemetry.begin({ ...FACTS, mutualTls: true }).finish(undefined);
      const error = failure('NET_TLS_FAILED', 'no certificate');
      const { source, destination } = FACTS;
      telemetry.failedEarly({ direction: 'inbound', pod: POD, source, destination, error });
      expect(outbox.takeAll()?.records).toMatchObject([
        {
          proxy: 'istio-system/node-1',
          reporter: 'source',
          protocol: 'tcp',
          sourceAddress: '198.18.1.2:40000',
          destinationAddress: '198.19.0.11:80',
          isMutualTls: true,
          flags: '-',
          reason: '',
          policy: '',
        },
        { reporter: 'destination', flags: 'TLS_FAILURE', reason: 'no certificate' },
      ]);
    });

    test.each([
      ['NODE_POLICY', 'explicitly denied by: a/b', 'a/b', 'DENY', 'AuthorizationPolicy a/b'],
      [
        'NODE_POLICY_CHANGED',
        'denied by: a/b (a STRICT PeerAuthentication, it demands mTLS)',
        'a/b',
        'DENY',
        'PeerAuthentication a/b',
      ],
      ['NODE_LIMIT', 'too many', 'outbound-connections', 'LIMIT', ''],
      ['NET_RESET', 'broke off', undefined, 'CONNECT', ''],
    ])('of %s (%s) by %p have flag %s and policy %p', (code, message, decidedBy, flags, policy) => {
      const outbox = reporting();
      const error = failure(code, message, decidedBy);
      telemetry.refuse(FACTS, error).finish(error);
      expect(outbox.takeAll()?.records).toMatchObject([{ flags, policy, reason: message }]);
    });
  });
});

describe('a Telemetry at a node proxy', () => {
  const web = completeWorkload({ name: 'web', namespace: 'shop' }, 'cluster.local');
  const off = { ...DEFAULT_TELEMETRY, accessLog: { outputs: [] } };
  const scopes = new Map<string, ScopedTelemetry>();
  const facts: ConnectionFacts = { ...FACTS, sourceWorkload: web };

  function rig(server: TelemetrySettings, client: TelemetrySettings) {
    scopes.clear();
    scopes.set('namespace/shop', { scope: 'namespace/shop', server, client });
    const log = takenLines((line) => void lines.push(line));
    const deps = { clock, registry, log, levels, settings: () => scopes };
    return new NodeTelemetry(deps, { format: 'text' });
  }
  let clock: FakeClock;
  beforeEach(() => {
    clock = new FakeClock();
    registry = new MetricRegistry();
  });

  test('turns metrics and access log off for one direction', () => {
    const client = { ...off, metrics: { disabled: true, overrides: {} } };
    const node = rig(DEFAULT_TELEMETRY, client);
    node.begin(facts).finish(undefined);
    expect(lines).toEqual([]);
    expect(registry.expose()).not.toContain('istio_tcp_connections_opened_total{');
    node
      .begin({
        ...facts,
        direction: 'inbound',
        sourceWorkload: undefined,
        destinationWorkload: web,
      })
      .finish(undefined);
    expect(lines).toHaveLength(1);
    expect(registry.expose()).toContain(
      'istio_tcp_connections_opened_total{reporter="destination"',
    );
  });

  test('filters the access log by what became of the connection, and labels what is counted', () => {
    const filter = compileFilterText('response.size > 10 && source.namespace == "shop"');
    const verb = compileTagText('source.workload + ":" + string(destination.port)');
    if ('reason' in filter || 'reason' in verb) throw new Error('not compiled');
    const [output] = DEFAULT_TELEMETRY.accessLog.outputs;
    const settings: TelemetrySettings = {
      ...DEFAULT_TELEMETRY,
      accessLog: { outputs: [{ ...output, filter }] },
      metrics: {
        disabled: false,
        overrides: {
          TCP_OPENED_CONNECTIONS: {
            disabled: false,
            tags: [{ name: 'source_cluster' }, { name: 'what', expression: verb }],
          },
        },
      },
    };
    const node = rig(settings, settings);
    const small = node.begin(facts);
    small.sentBytes = 5;
    small.finish(undefined);
    const large = node.begin(facts);
    large.sentBytes = 50;
    large.finish(undefined);
    expect(lines).toHaveLength(1);
    const [opened] = registry
      .expose()
      .split('\n')
      .filter((line) => line.startsWith('istio_tcp_connections_opened_total{'));
    expect(opened).toContain('what="web:80"');
    expect(opened).not.toContain('source_cluster');
  });

  test('places are labels where one of the two ends has one', () => {
    const located = { ...web, locality: { region: 'r1', zone: 'z1', subzone: '' } };
    const node = rig(DEFAULT_TELEMETRY, DEFAULT_TELEMETRY);
    node.begin({ ...facts, sourceWorkload: located }).finish(undefined);
    expect(registry.expose()).toContain(
      'source_region="r1",source_zone="z1",destination_region="unknown",destination_zone="unknown"} 1',
    );
  });

  test('an edge that was forgotten is counted anew when it is seen again', async () => {
    const node = rig(DEFAULT_TELEMETRY, DEFAULT_TELEMETRY);
    node.begin(facts).finish(undefined);
    await clock.advance(EDGE_IDLE_MS + 1);
    for (let sweep = 0; sweep < 5; sweep += 1) node.sweep();
    expect(count('opened')).toBe(0);
    node.begin(facts).finish(undefined);
    expect(count('opened')).toBe(1);
  });

  test('a workload that calls without end has a bounded number of series, and forgets the idle ones', async () => {
    const node = rig(DEFAULT_TELEMETRY, DEFAULT_TELEMETRY);
    const running = node.begin({ ...facts, destinationIdentity: 'spiffe://first' });
    for (let at = 0; at < SERIES_SETS_PER_WORKLOAD_MAX + 100; at += 1)
      node
        .begin({ ...facts, destinationIdentity: `spiffe://cluster.local/ns/n/sa/s${at}` })
        .finish(undefined);
    const opened = () =>
      registry
        .expose()
        .split('\n')
        .filter((line) => line.startsWith('istio_tcp_connections_opened_total{'));
    expect(opened().length).toBe(SERIES_SETS_PER_WORKLOAD_MAX + 1);
    expect(opened().find((line) => line.includes('destination_workload="other"'))).toEndWith(
      ' 101',
    );
    await clock.advance(EDGE_IDLE_MS + 1);
    for (let sweep = 0; sweep < 5; sweep += 1) node.sweep();
    // What runs is never forgotten.
    expect(opened()).toHaveLength(1);
    running.receivedBytes = 7;
    running.finish(undefined);
    expect(registry.expose()).toMatch(
      /istio_tcp_received_bytes_total\{[^}]*spiffe:\/\/first[^}]*\} 7/,
    );
  });
});
