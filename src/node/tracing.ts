/**
 * Traces of connections at a node proxy. The client's side begins one, or not, by the settings of its workload, and tells it in the CONNECT;
 * the other side goes on with it. A connection that is traced, or that failed, has a span when it is over; the others have cost
 * the ids in their CONNECT.
 */
import type { Clock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import type { Workload } from '#model/workload/workload.ts';
import { UNKNOWN_PEER } from '#telemetry/metrics/istio.ts';
import { peerLabels } from '#telemetry/metrics/peer-labels.ts';
import { beginConnectionTrace, type RequestTrace } from '#telemetry/tracing/request-trace.ts';
import type { Span } from '#telemetry/tracing/span.ts';
import { SpanBudget } from '#telemetry/tracing/span-budget.ts';
import { Attributes, putPeer, putSelf } from '#telemetry/tracing/span-builder.ts';
import type { SpanOutlet } from '#telemetry/tracing/span-outlet.ts';
import { formatTraceparent, parseTraceparent } from '#telemetry/tracing/trace-context.ts';
import { type Environment, tracingRules } from '#telemetry/tracing/tracing-rules.ts';
import { WallOffset } from '#telemetry/tracing/wall-offset.ts';
import { policyOf } from './reported.ts';
import type { ConnectionFacts } from './telemetry.ts';
import { type ScopeMap, SettingsInForce } from './telemetry-settings.ts';

export interface NodeTracingDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly environment: Environment;
  readonly settings: () => ScopeMap;
  readonly outlet: Pick<SpanOutlet, 'offerSpan'>;
  /** `namespace/name` of the node proxy. */
  readonly proxy: string;
}

export interface TracedEnd {
  readonly startedAt: number;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  /** Response flag; `-` for none. */
  readonly flag: string;
  readonly error: MeshError | undefined;
  readonly closedBy: string;
}

export class NodeTracing {
  /** Connections that failed beyond what a second may have. */
  readonly failures: SpanBudget;
  readonly #deps: NodeTracingDeps;
  readonly #settings: SettingsInForce;
  readonly #wall: WallOffset;

  constructor(deps: NodeTracingDeps) {
    this.#deps = deps;
    this.#settings = new SettingsInForce(deps.settings);
    this.#wall = new WallOffset(deps.clock);
    this.failures = new SpanBudget(deps.clock);
  }

  /** `traceparent`: of the CONNECT that it came in. */
  begin(workload: Workload, direction: 'inbound' | 'outbound', traceparent?: string): RequestTrace {
    const { random, environment } = this.#deps;
    const rules = tracingRules(this.#settings.of(workload, direction).tracing, environment);
    const parent = traceparent === undefined ? undefined : parseTraceparent(traceparent);
    return beginConnectionTrace({ parent, rules, random });
  }

  /** Once for each connection whose destination was decided, or refused. */
  finished(facts: ConnectionFacts, end: TracedEnd): void {
    const { trace } = facts;
    if (trace === undefined) return;
    const isReported = trace.rules.reports && end.error !== undefined && this.failures.take();
    if (!trace.records && !isReported) return;
    const { outlet, clock, proxy } = this.#deps;
    const times = { wall: this.#wall.refresh(), now: clock.now(), proxy };
    outlet.offerSpan(spanOf(facts, trace, { ...end, ...times }), trace.rules.provider);
  }
}

/** For the CONNECT of a connection. */
export function traceparentOf({ traceId, spanId, sampled }: RequestTrace): string {
  return formatTraceparent({ traceId, spanId, sampled });
}

function spanOf(
  facts: ConnectionFacts,
  trace: RequestTrace,
  end: TracedEnd & { wall: WallOffset; now: number; proxy: string },
): Span {
  const isOutbound = facts.direction === 'outbound';
  const local = isOutbound ? facts.sourceWorkload : facts.destinationWorkload;
  const labels = local === undefined ? UNKNOWN_PEER : peerLabels(local);
  const { error, wall } = end;
  const isSemantic = trace.rules.semanticServiceName;
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentSpanId: trace.parentSpanId,
    traceState: '',
    kind: isOutbound ? 'client' : 'server',
    name: facts.service === undefined ? 'tcp' : `tcp ${facts.service}`,
    startNanos: wall.nanosAt(end.startedAt),
    endNanos: wall.nanosAt(end.now),
    status: error === undefined ? 'unset' : 'error',
    statusMessage: error?.message ?? '',
    attributes: attributesOf(facts, trace, end),
    links: [],
    service: isSemantic
      ? labels.workload
      : `${labels.canonicalService}.${labels.workloadNamespace}`,
    proxy: end.proxy,
  };
}

function attributesOf(
  facts: ConnectionFacts,
  { rules }: RequestTrace,
  { receivedBytes, sentBytes, flag, error, closedBy }: TracedEnd,
): Span['attributes'] {
  const { source, destination, sourceWorkload, destinationWorkload, service } = facts;
  const local = facts.direction === 'outbound' ? sourceWorkload : destinationWorkload;
  const upstream = formatHostPort(destination.address, destination.port);
  const attributes = new Attributes()
    .put('component', 'proxy')
    .put('network.transport', 'tcp')
    .put('client.address', source.address)
    .put('client.port', source.port)
    .put('server.address', service ?? destination.address)
    .put('network.peer.address', destination.address)
    .put('network.peer.port', destination.port)
    .put('upstream_address', upstream)
    .put('request_size', receivedBytes)
    .put('response_size', sentBytes)
    .put('response_flags', flag)
    .put('tulle.direction', facts.direction)
    .put('tulle.hbone_authority', facts.hboneAuthority)
    .put('tulle.mtls', facts.mutualTls)
    .put('tulle.closed_by', closedBy)
    .put('tulle.policy', policyOf(error))
    .put('tulle.reason', error?.message);
  if (error !== undefined) attributes.put('error', true).put('error.type', flag);
  if (rules.istioTags) {
    if (local !== undefined) putSelf(attributes, { labels: peerLabels(local), meshId: '' });
    const { sourceIdentity, destinationIdentity } = facts;
    putPeer(attributes, 'source', peerLabels(sourceWorkload, { principal: sourceIdentity }));
    const principal = destinationIdentity;
    putPeer(attributes, 'destination', peerLabels(destinationWorkload, { principal }));
  }
  for (const tag of rules.tags) if ('value' in tag) attributes.put(tag.name, tag.value);
  return attributes.all;
}
