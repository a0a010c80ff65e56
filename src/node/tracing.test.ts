import { beforeEach, describe, expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { LogLevels } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { DEFAULT_TELEMETRY, type TracingSettings } from '#model/telemetry/settings.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { unreported } from '#telemetry/report/telemetry-report.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { takenLines } from '#test/support/taken-lines.ts';
import { completeWorkload } from './config/static-file.ts';
import { type ConnectionFacts, NodeTelemetry } from './telemetry.ts';
import { NodeTracing, traceparentOf } from './tracing.ts';

const WEB = completeWorkload(
  { name: 'web-1', namespace: 'shop', workloadName: 'web', canonicalName: 'web' },
  'cluster.local',
);
const API = completeWorkload(
  { name: 'api-1', namespace: 'shop', workloadName: 'api', canonicalName: 'api' },
  'cluster.local',
);
const WEB_ID = 'spiffe://cluster.local/ns/shop/sa/web';

const FACTS: ConnectionFacts = {
  direction: 'outbound',
  source: { address: '198.18.1.5', port: 41000 },
  sourceWorkload: WEB,
  sourceIdentity: WEB_ID,
  destination: { address: '198.18.2.7', port: 15008 },
  hboneAuthority: '198.18.2.7:8080',
  service: 'api.shop.svc.cluster.local',
  destinationWorkload: API,
  destinationIdentity: 'spiffe://cluster.local/ns/shop/sa/api',
  requested: undefined,
  mutualTls: true,
};

class Rig {
  readonly clock = new FakeClock();
  readonly spans: Span[] = [];
  lines = '';
  readonly tracing: NodeTracing;
  readonly telemetry: NodeTelemetry;

  constructor(part: Partial<TracingSettings>) {
    const settings = {
      ...DEFAULT_TELEMETRY,
      tracing: { ...DEFAULT_TELEMETRY.tracing, samplingPercent: 0, ...part },
    };
    const scopes = new Map([
      ['namespace/shop', { scope: 'namespace/shop', server: settings, client: settings }],
    ]);
    const { clock } = this;
    this.tracing = new NodeTracing({
      clock,
      random: seededRandom(3),
      environment: {},
      settings: () => scopes,
      outlet: { offerSpan: (span) => void this.spans.push(span) },
      proxy: 'istio-system/ztunnel-1',
    });
    this.telemetry = new NodeTelemetry(
      {
        clock,
        registry: new MetricRegistry(),
        log: takenLines((line) => {
          this.lines += line;
        }),
        levels: new LogLevels('info'),
        tracing: this.tracing,
      },
      { format: 'text' },
    );
  }

  outbound(error?: MeshError): void {
    const trace = this.tracing.begin(WEB, 'outbound');
    const record = this.telemetry.begin({ ...FACTS, trace });
    this.clock.advance(5);
    record.receivedBytes = 12;
    record.finish(error);
  }
}

const reset = new MeshError('NET_RESET', 'reset by peer', { side: 'upstream', hint: 'h' });

describe('NodeTracing', () => {
  let rig: Rig;
  beforeEach(() => {
    rig = new Rig({ samplingPercent: 100 });
  });

  test('a connection that is traced has a span at both ends, linked by the CONNECT’s traceparent', () => {
    const client = rig.tracing.begin(WEB, 'outbound');
    const server = rig.tracing.begin(API, 'inbound', traceparentOf(client));
    const facts: ConnectionFacts = { ...FACTS, direction: 'inbound', trace: server };
    const inner = rig.telemetry.begin(facts);
    const outer = rig.telemetry.begin({ ...FACTS, trace: client });
    rig.clock.advance(5);
    inner.finish(undefined);
    outer.finish(undefined);
    const [inbound, outbound] = rig.spans;
    expect([outbound.kind, inbound.kind]).toEqual(['client', 'server']);
    expect([outbound.parentSpanId, inbound.parentSpanId]).toEqual(['', outbound.spanId]);
    expect(inbound.traceId).toBe(outbound.traceId);
    expect([outbound.service, inbound.service]).toEqual(['web.shop', 'api.shop']);
    expect([outbound.name, outbound.proxy]).toEqual([
      ...['tcp api.shop.svc.cluster.local', 'istio-system/ztunnel-1'],
    ]);
    expect(outbound.endNanos - outbound.startNanos).toBe(5_000_000n);
    expect(outbound.attributes).toMatchObject({
      'istio.source_workload': 'web',
      'istio.destination_workload': 'api',
      'istio.canonical_service': 'web',
      'istio.namespace': 'shop',
      'tulle.hbone_authority': '198.18.2.7:8080',
      'tulle.mtls': true,
      response_flags: '-',
    });
  });

  test('its line in the access log has the trace’s id; the line of another one has none', () => {
    rig.outbound();
    expect(rig.lines).toContain(`trace_id=${rig.spans[0].traceId} `);
    const quiet = new Rig({});
    quiet.outbound();
    expect([quiet.lines.includes('trace_id'), quiet.spans.length]).toEqual([false, 0]);
  });

  test('who came before decides: ztunnel samples nothing', () => {
    const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
    expect(rig.tracing.begin(API, 'inbound', parent).records).toBe(false);
    const broken = rig.tracing.begin(API, 'inbound', 'broken');
    expect([broken.records, broken.parentSpanId]).toEqual([true, '']);
  });

  test('a connection that failed has a span though it was not sampled, up to a bound', () => {
    const quiet = new Rig({});
    quiet.outbound(reset);
    expect(quiet.spans[0]).toMatchObject({ status: 'error', statusMessage: 'reset by peer' });
    expect(quiet.spans[0].attributes).toMatchObject({ error: true, request_size: 12 });
    const refused = new Rig({});
    for (let index = 0; index < 120; index += 1) {
      const trace = refused.tracing.begin(WEB, 'outbound');
      refused.telemetry.refuse({ ...FACTS, trace }, reset).finish(reset);
    }
    expect([refused.spans.length, refused.tracing.failures.refusedTotal]).toEqual([100, 20]);
  });

  test('a policy that refused it is named', () => {
    const denied = new MeshError('NODE_POLICY', 'explicitly denied', {
      side: 'downstream',
      hint: 'h',
      decidedBy: 'shop/deny',
    });
    const trace = rig.tracing.begin(API, 'inbound');
    rig.telemetry.refuse({ ...FACTS, direction: 'inbound', trace }, denied).finish(denied);
    expect(rig.spans[0].attributes['tulle.policy']).toBe('AuthorizationPolicy shop/deny');
  });

  test('none where tracing is disabled', () => {
    const off = new Rig({ disabled: true, samplingPercent: 100 });
    off.outbound(reset);
    expect(off.spans).toEqual([]);
  });
});

test('what is told of a connection names its trace where it can be looked up', () => {
  const rig = new Rig({});
  const told: RequestRecord[] = [];
  rig.telemetry.report = {
    ...unreported('istio-system/ztunnel-1'),
    wantsRecord: () => true,
    offerRecord: (record) => void told.push(record),
  };
  rig.outbound();
  rig.outbound(reset);
  expect(told.map(({ traceId }) => traceId)).toEqual(['', rig.spans[0].traceId]);
  expect(told[1].spanId).toBe(rig.spans[0].spanId);
});
