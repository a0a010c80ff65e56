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
import { CONNECT_TIMEOUT_MS, WORKLOAD_WAIT_MS } from '../limits.ts';
import { PROXY_MARK } from '../marks.ts';
import { traceparentOf } from '../tracing.ts';
import type { PodUsage } from '../usage/pod-usage.ts';
import type { NodeContext, PodIdentity } from '../workload/context.ts';
import type { LiveTraffic } from '../workload/live-traffic.ts';
import { Session } from '../workload/session.ts';
import { decideOutbound, type OutboundVerdict, withAddress } from './decide.ts';

export interface OutboundDeps {
  context: NodeContext;
  pod: PodIdentity;
  usage: PodUsage;
  live: LiveTraffic;
}

export function acceptOutbound(
  { context, pod, usage, live }: OutboundDeps,
  connection: Connection,
): ConnectionHandler | undefined {
  if (!usage.pending.enter()) return undefined;
  const original = context.network.originalDestination(connection);
  const source = { address: connection.remoteAddress, port: connection.remotePort };
  const session = new Session(connection, usage, {
    reject: () => connection.reset(),
    failedEarly: (error) =>
      context.telemetry.failedEarly({
        direction: 'outbound',
        source,
        destination: original,
        error,
      }),
    onOver: () => live.remove(session),
  });
  live.addOutbound(session);
  context.state.waitFor(
    (snapshot) => snapshot.servedBy(pod),
    { clock: context.clock, timeoutMs: WORKLOAD_WAIT_MS },
    (workload) => {
      if (session.over) return;
      if (workload === undefined) session.refuse(unknownWorkload(pod));
      else forward({ context, pod, usage, live, session, workload, source, original });
    },
  );
  return session.handler;
}

interface Outgoing {
  context: NodeContext;
  pod: PodIdentity;
  usage: PodUsage;
  live: LiveTraffic;
  session: Session;
  workload: Workload;
  source: SocketAddress;
  original: SocketAddress;
}

function forward(outgoing: Outgoing): void {
  const { context, workload, original } = outgoing;
  const request = { source: workload, original };
  const verdict = decideOutbound(context.state.current, request, context.random);
  if (verdict.kind === 'refuse' || verdict.hostname === undefined) {
    carry(outgoing, verdict);
    return;
  }
  const { hostname, service } = verdict;
  context.dns.metrics.onDemand(workload, hostname);
  context.hosts.resolve(hostname, original.address, (found) => {
    if (outgoing.session.over) return;
    carry(
      outgoing,
      found instanceof MeshError
        ? { kind: 'refuse', code: 'NODE_UNRESOLVED', service, reason: found.message }
        : withAddress(verdict, found),
    );
  });
}

function carry(outgoing: Outgoing, verdict: OutboundVerdict): void {
  const { context, session, pod, usage, live } = outgoing;
  const facts = factsOf(outgoing, verdict);
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
    openTunnel(outgoing, facts, verdict);
  }
}

function openTunnel(
  outgoing: Outgoing,
  facts: ReturnType<typeof factsOf>,
  verdict: Extract<OutboundVerdict, { kind: 'hbone' }>,
): void {
  const { context, pod, usage, session, workload, source } = outgoing;
  const principal = formatPrincipal(workload);
  const request = {
    source: principal,
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
  const open = () =>
    context.pool.open(
      request,
      verdict.inner === undefined
        ? session
        : throughOuter(outgoing, { facts, request, expected: verdict.inner }),
    );
  if (context.identities.get(principal) !== undefined) {
    open();
    return;
  }
  context.identities.whenReady(principal).then(open, (cause: unknown) => {
    session.refuse(
      new MeshError('NODE_NO_IDENTITY', `no certificate for ${principal}`, {
        side: 'self',
        hint: NODE_ERRORS.NODE_NO_IDENTITY,
        cause,
      }),
    );
  });
}

/** The tunnel to a gateway carries another one, for which it is the client's network that says who calls. */
function throughOuter(
  { context, session, workload }: Outgoing,
  outer: {
    facts: ReturnType<typeof factsOf>;
    request: TunnelRequest;
    expected: readonly string[];
  },
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

function factsOf(outgoing: Outgoing, verdict: OutboundVerdict) {
  const { context, workload, source, original } = outgoing;
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

export function unknownWorkload(pod: PodIdentity): MeshError {
  const message = `unknown workload ${pod.namespace}/${pod.name}`;
  const hint = NODE_ERRORS.NODE_WORKLOAD_UNKNOWN;
  return new MeshError('NODE_WORKLOAD_UNKNOWN', message, { side: 'self', hint });
}
