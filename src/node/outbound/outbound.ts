/** Connections that the app of one pod opens: captured on 15001, decided, and carried on. */
import { MeshError } from '#base/errors.ts';
import { encodeBaggage } from '#hbone/baggage.ts';
import type { InnerHandler } from '#hbone/pool/inner-tunnel.ts';
import type { TunnelRequest } from '#hbone/pool/tunnel-request.ts';
import type { TunnelConnection } from '#hbone/tunnel-connection.ts';
import { forwardedOf } from '#hbone/tunnel-head.ts';
import { formatPrincipal, principalOf } from '#model/identity/spiffe.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { Connection, ConnectionHandler, SocketAddress } from '#net/connection.ts';
import type { ConnectHandler } from '#net/network.ts';
import { NODE_ERRORS } from '../errors.ts';
import { CONNECT_TIMEOUT_MS } from '../limits.ts';
import { PROXY_MARK } from '../marks.ts';
import { traceparentOf } from '../tracing.ts';
import type { PodUsage } from '../usage/pod-usage.ts';
import { awaitWorkload, type Flow } from '../workload/await-workload.ts';
import type { NodeContext, PodIdentity } from '../workload/context.ts';
import type { LiveTraffic } from '../workload/live-traffic.ts';
import { Session, type SessionHooks } from '../workload/session.ts';
import { decideOutbound, type OutboundVerdict, withAddress } from './decide.ts';

export interface OutboundDeps {
  context: NodeContext;
  pod: PodIdentity;
  usage: PodUsage;
  live: LiveTraffic;
}

export function acceptOutbound(
  deps: OutboundDeps,
  connection: Connection,
): ConnectionHandler | undefined {
  if (!deps.usage.pending.enter()) return undefined;
  const outgoing = new Outgoing(deps, connection);
  const { session } = outgoing;
  deps.live.addOutbound(session);
  awaitWorkload(deps, outgoing);
  return session.handler;
}

/** One connection of the app. */
class Outgoing implements SessionHooks, Flow {
  readonly deps: OutboundDeps;
  readonly source: SocketAddress;
  readonly original: SocketAddress;
  readonly session: Session;
  readonly #connection: Connection;

  constructor(deps: OutboundDeps, connection: Connection) {
    this.deps = deps;
    this.original = deps.context.network.originalDestination(connection);
    this.source = { address: connection.remoteAddress, port: connection.remotePort };
    this.#connection = connection;
    this.session = new Session(connection, deps.usage, this);
  }

  onWorkload(workload: Workload): void {
    forward(this, workload);
  }

  reject(): void {
    this.#connection.reset();
  }

  failedEarly(error: MeshError): void {
    const { source, original: destination } = this;
    const { context, pod } = this.deps;
    context.telemetry.failedEarly({ direction: 'outbound', pod, source, destination, error });
  }

  onOver(): void {
    this.deps.live.remove(this.session);
  }
}

function forward(outgoing: Outgoing, workload: Workload): void {
  const { original } = outgoing;
  const { context } = outgoing.deps;
  const request = { source: workload, original };
  const verdict = decideOutbound(context.state.current, request, context.random);
  if (verdict.kind === 'refuse' || verdict.hostname === undefined) {
    carry(outgoing, workload, verdict);
  } else lookUp(outgoing, workload, verdict, verdict.hostname);
}

function lookUp(
  outgoing: Outgoing,
  workload: Workload,
  verdict: Exclude<OutboundVerdict, { readonly kind: 'refuse' }>,
  hostname: string,
): void {
  const { original, session } = outgoing;
  const { context } = outgoing.deps;
  const { service } = verdict;
  context.dns.metrics.onDemand(workload, hostname);
  context.hosts.resolve(hostname, original.address, (found) => {
    if (session.over) return;
    carry(
      outgoing,
      workload,
      found instanceof MeshError
        ? { kind: 'refuse', code: 'NODE_UNRESOLVED', service, reason: found.message }
        : withAddress(verdict, found),
    );
  });
}

function carry(outgoing: Outgoing, workload: Workload, verdict: OutboundVerdict): void {
  const { session } = outgoing;
  const { context, pod, usage, live } = outgoing.deps;
  const facts = factsOf(outgoing, workload, verdict);
  if (verdict.kind === 'refuse') {
    const { code, reason } = verdict;
    const error = new MeshError(code, reason, { side: 'upstream', hint: NODE_ERRORS[code] });
    session.record = context.telemetry.refuse(facts, error);
    session.refuse(error);
    return;
  }
  // Behind a gateway it is the answer that tells who is there.
  const behind = verdict.kind === 'hbone' && verdict.inner !== undefined;
  if (!behind) session.record = context.telemetry.begin(facts);
  if (verdict.service !== undefined) live.addOutbound(session, serviceKey(verdict.service));
  if (verdict.kind === 'tcp') {
    const mark = PROXY_MARK;
    const connectTimeoutMs = CONNECT_TIMEOUT_MS;
    const { destination } = verdict;
    context.network.connect(
      { ...destination, namespace: pod.netns, share: usage.share, mark, connectTimeoutMs },
      session,
    );
  } else {
    openTunnel(outgoing, workload, { facts, verdict });
  }
}

type Facts = ReturnType<typeof factsOf>;

function openTunnel(
  outgoing: Outgoing,
  workload: Workload,
  {
    facts,
    verdict,
  }: { facts: Facts; verdict: Extract<OutboundVerdict, { readonly kind: 'hbone' }> },
): void {
  const { session, source } = outgoing;
  const { context, pod, usage } = outgoing.deps;
  const request = {
    source: formatPrincipal(workload),
    expected: verdict.expected,
    destination: verdict.destination,
    sourceAddress: source.address,
    namespace: pod.netns,
    share: usage.share,
    client: source,
    head: {
      authority: verdict.authority,
      baggage: encodeBaggage(workload),
      forwarded: forwardedOf(source, verdict.service?.hostname),
      traceparent: traceparentOf(facts.trace),
    },
  };
  const handler =
    verdict.inner === undefined
      ? session
      : throughOuter(outgoing, workload, { facts, request, expected: verdict.inner });
  if (context.identities.get(request.source) !== undefined) context.pool.open(request, handler);
  else awaitIdentity(outgoing, request, handler);
}

function awaitIdentity(
  { deps: { context }, session }: Outgoing,
  request: TunnelRequest,
  handler: ConnectHandler<TunnelConnection>,
): void {
  context.identities.whenReady(request.source).then(
    () => context.pool.open(request, handler),
    (cause: unknown) => {
      session.refuse(
        new MeshError('NODE_NO_IDENTITY', `no certificate for ${request.source}`, {
          side: 'self',
          hint: NODE_ERRORS.NODE_NO_IDENTITY,
          cause,
        }),
      );
    },
  );
}

/** The tunnel to a gateway carries another one, for which it is the client's network that says who calls. */
function throughOuter(
  { deps: { context }, session }: Outgoing,
  workload: Workload,
  outer: { facts: Facts; request: TunnelRequest; expected: readonly string[] },
): ConnectHandler<TunnelConnection> {
  const { facts, request, expected } = outer;
  const head = { ...request.head, forwardedNetwork: workload.network };
  const onFail = (error: MeshError) => {
    if (session.over) return;
    session.record = context.telemetry.refuse(facts, error);
    session.onFail(error);
  };
  const inner: InnerHandler = {
    onOpen(tunnel, { uris, baggage }) {
      if (session.over) return session.onOpen(tunnel);
      const principal = principalOf(uris);
      const described = context.sources.described({ principal, baggage });
      session.record = context.telemetry.begin({
        ...facts,
        destinationWorkload: described ?? facts.destinationWorkload,
        destinationIdentity: principal,
      });
      return session.onOpen(tunnel);
    },
    onFail,
  };
  return {
    onOpen: (tunnel) => context.pool.openWithin(tunnel, { ...request, expected, head }, inner),
    onFail,
  };
}

function factsOf(outgoing: Outgoing, workload: Workload, verdict: OutboundVerdict) {
  const { source, original } = outgoing;
  const { context } = outgoing.deps;
  const tunnel = verdict.kind === 'hbone';
  const next = verdict.kind === 'refuse' ? undefined : verdict;
  return {
    direction: 'outbound' as const,
    source,
    sourceWorkload: workload,
    sourceIdentity: tunnel ? formatPrincipal(workload) : undefined,
    // A next hop that is known by name has no address yet.
    destination: next?.hostname === undefined ? (next?.destination ?? original) : original,
    hboneAuthority: tunnel ? verdict.authority : undefined,
    service: verdict.service?.hostname,
    destinationWorkload: next?.workload,
    destinationIdentity: tunnel ? verdict.expected[0] : undefined,
    requested: verdict.service,
    mutualTls: tunnel,
    trace: context.tracing.begin(workload, 'outbound'),
  };
}
