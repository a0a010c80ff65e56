/** Connections to the app of one pod: tunnels on 15008 and captured plaintext on 15006. */

import { MeshError } from '#base/errors.ts';
import { isIpv6 } from '#base/ip.ts';
import { AUTHORITY_CHARS_MAX } from '#hbone/authority.ts';
import { encodeBaggage } from '#hbone/baggage.ts';
import { type IncomingTunnel, serveTunnels } from '#hbone/server/tunnel-server.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { verifyPeer } from '#identity/trust/peer.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import type {
  Connection,
  ConnectionHandler,
  SocketAddress,
  TlsConnection,
} from '#net/connection.ts';
import { encodeProxyHeader, TLV_SPIFFE_URI } from '#wire/proxy-protocol/header.ts';
import { NODE_ERRORS } from '../errors.ts';
import { CONNECT_TIMEOUT_MS, WORKLOAD_WAIT_MS } from '../limits.ts';
import { PROXY_MARK } from '../marks.ts';
import { unknownWorkload } from '../outbound/outbound.ts';
import { responseOf } from '../respond.ts';
import type { Meter } from '../usage/meter.ts';
import { limitError, type PodUsage } from '../usage/pod-usage.ts';
import type { NodeContext, PodIdentity } from '../workload/context.ts';
import type { LiveTraffic } from '../workload/live-traffic.ts';
import { Session } from '../workload/session.ts';
import {
  accessVerdict,
  decidePlaintext,
  decideTunnel,
  type InboundVerdict,
  type Refusal,
  refusalBy,
} from './decide.ts';
import type { SourceFacts } from './described-sources.ts';
import { guessService, type MeantFor } from './guess-service.ts';

export interface InboundDeps {
  context: NodeContext;
  pod: PodIdentity;
  usage: PodUsage;
  live: LiveTraffic;
}

/** One TLS connection on 15008; undefined refuses it. */
export function acceptHbone(
  deps: InboundDeps,
  connection: TlsConnection,
): ConnectionHandler | undefined {
  const { context, usage } = deps;
  const source = { address: connection.remoteAddress, port: connection.remotePort };
  const destination = { address: connection.localAddress, port: connection.localPort };
  const failedEarly = (error: MeshError) =>
    context.telemetry.failedEarly({ direction: 'inbound', source, destination, error });
  // As ztunnel: our own trust domain only, aliases are not consulted.
  const { trustDomain = context.trustDomain } = deps.pod;
  const peer = verifyPeer(connection.peerUris, trustDomain);
  if (peer instanceof MeshError) {
    failedEarly(peer);
    return undefined;
  }
  const handler = {
    onTunnel: (tunnel: IncomingTunnel) => acceptTunnel(deps, tunnel, { source, destination, peer }),
    onBadRequest: failedEarly,
    onClose(error: MeshError | undefined) {
      deps.live.removePeer(h2);
      // Its tunnels have their own lines; a peer that went away is no event, one that we threw out is.
      if (error !== undefined && error.code !== 'H2_CONNECTION_LOST') failedEarly(error);
    },
  };
  const h2 = serveTunnels(connection, context, handler, {
    concurrentStreamsMax: usage.limits.peerStreamsMax,
    account: usage.queued,
  });
  deps.live.addPeer(h2, connection.peerChain);
  return h2;
}

interface TunnelEnds {
  source: SocketAddress;
  destination: SocketAddress;
  peer: Principal;
}

function acceptTunnel(deps: InboundDeps, tunnel: IncomingTunnel, ends: TunnelEnds): void {
  const { context, usage } = deps;
  const full = enterStream(usage);
  if (full !== undefined) {
    tunnel.refuse(responseOf(limitError(full)).status);
    return;
  }
  let local: Workload | undefined;
  const session = new Session(tunnel.connection, usage, {
    reject: (error) => tunnel.refuse(responseOf(error).status),
    ready: () => tunnel.accept(answerOf(local)),
    failedEarly: (error) => context.telemetry.failedEarly({ direction: 'inbound', ...ends, error }),
    onOver() {
      usage.streams.leave();
      deps.live.remove(session);
    },
  });
  deps.live.addInbound(session);
  withLocal(deps, session, (workload) => {
    local = workload;
    // One more than is allowed: still too long to be one, and short enough for the log.
    const authority = tunnel.head.authority.slice(0, AUTHORITY_CHARS_MAX + 1);
    const described = {
      baggage: tunnel.head.getAll('baggage'),
      forwardedNetwork: tunnel.head.get('x-forwarded-network'),
      forwarded: tunnel.head.get('forwarded'),
      traceparent: tunnel.head.get('traceparent'),
    };
    const localAddress = ends.destination.address;
    const verdict = decideTunnel(context.state.current, {
      local: workload,
      localAddress,
      authority,
      sharedPorts: deps.pod.sharedPorts,
    });
    proceed(deps, session, { ...ends, local: workload, authority, described, verdict });
  });
}

/** The meter that refuses one more, or undefined when it is counted. */
function enterStream({ streams, pending }: PodUsage): Meter | undefined {
  if (!streams.enter()) return streams;
  if (pending.enter()) return undefined;
  streams.leave();
  return pending;
}

/** One captured plaintext connection on 15006; undefined refuses it. */
export function acceptPlaintext(
  deps: InboundDeps,
  connection: Connection,
): ConnectionHandler | undefined {
  const { context, usage } = deps;
  if (!usage.pending.enter()) return undefined;
  const source = { address: connection.remoteAddress, port: connection.remotePort };
  const destination = context.network.originalDestination(connection);
  const session = new Session(connection, usage, {
    reject: () => connection.reset(),
    failedEarly: (error) =>
      context.telemetry.failedEarly({ direction: 'inbound', source, destination, error }),
    onOver: () => deps.live.remove(session),
  });
  deps.live.addInbound(session);
  withLocal(deps, session, (local) => {
    const verdict = decidePlaintext(destination);
    proceed(deps, session, {
      source,
      destination,
      peer: undefined,
      local,
      authority: undefined,
      described: NOTHING_SAID,
      verdict,
    });
  });
  return session.handler;
}

function withLocal(deps: InboundDeps, session: Session, next: (local: Workload) => void): void {
  const { context, pod } = deps;
  context.state.waitFor(
    (snapshot) => snapshot.servedBy(pod),
    { clock: context.clock, timeoutMs: WORKLOAD_WAIT_MS },
    (workload) => {
      if (session.over) return;
      if (workload === undefined) session.refuse(unknownWorkload(pod));
      else next(workload);
    },
  );
}

interface Incoming {
  source: SocketAddress;
  destination: SocketAddress;
  peer: Principal | undefined;
  local: Workload;
  authority: string | undefined;
  /** What the peer says of itself. */
  described: Pick<SourceFacts, 'baggage' | 'forwardedNetwork'> &
    Pick<MeantFor, 'forwarded'> & { readonly traceparent: string | undefined };
  verdict: InboundVerdict;
}

const NOTHING_SAID: Incoming['described'] = {
  baggage: undefined,
  forwardedNetwork: undefined,
  forwarded: undefined,
  traceparent: undefined,
};

/** Record, policy, then the app; everything that may fail comes before the tunnel's 200. */
function proceed(deps: InboundDeps, session: Session, incoming: Incoming): void {
  const { context, pod, live } = deps;
  const { verdict, source, local, peer } = incoming;
  const facts = factsOf(context, incoming);
  const refuse = (why: Refusal) => {
    const error = refusal(why);
    session.record = context.telemetry.refuse(facts, error);
    session.refuse(error);
  };
  if (verdict.kind === 'refuse') {
    refuse(verdict);
    return;
  }
  const access = {
    local,
    sourceIp: source.address,
    sourcePrincipal: peer,
    upstream: verdict.upstream,
  };
  // Known before the check: a policy that changes from here on finds it.
  live.addInbound(session, access);
  const judged = accessVerdict(context.state.current, access);
  for (const note of judged.dryRun) logDryRun(context, incoming, note);
  const denial = refusalBy(judged);
  if (denial !== undefined) {
    refuse(denial);
    return;
  }
  session.record = context.telemetry.begin(facts);
  const announced = verdict.announce && headerFor(source, verdict.announce, peer);
  session.preamble = announced;
  const upstream = announced === undefined ? verdict.upstream : onLoopback(verdict.upstream);
  // The app sees who really calls. A pod that calls itself has that address already.
  const spoofed = announced === undefined && source.address !== upstream.address;
  context.network.connect(
    {
      ...upstream,
      namespace: pod.netns,
      mark: PROXY_MARK,
      local: true,
      share: deps.usage.share,
      sourceAddress: spoofed ? source.address : undefined,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    },
    session,
  );
}

function headerFor(source: SocketAddress, destination: SocketAddress, peer: Principal | undefined) {
  const tlvs = peer === undefined ? [] : [{ type: TLV_SPIFFE_URI, value: peer }];
  return encodeProxyHeader({ source, destination, tlvs });
}

/** What reads PROXY headers must be reachable through us only: it listens on loopback (ztunnel src/proxy/inbound.rs). */
function onLoopback({ address, port }: SocketAddress): SocketAddress {
  return { address: isIpv6(address) ? '::1' : '127.0.0.1', port };
}

/** Only policies in dry run make such lines: trying them out is what they are for. */
function logDryRun(context: NodeContext, incoming: Incoming, note: string): void {
  const { source, local, peer } = incoming;
  const destination = `${local.namespace}/${local.name}`;
  context.log.info(note, { source: source.address, principal: peer, destination });
}

function refusal(verdict: Refusal): MeshError {
  const { code, reason, policy: decidedBy } = verdict;
  return new MeshError(code, reason, { side: 'downstream', hint: NODE_ERRORS[code], decidedBy });
}

function factsOf(context: NodeContext, incoming: Incoming) {
  const { source, local, peer, verdict, authority, described } = incoming;
  const snapshot = context.state.current;
  const requested =
    verdict.kind === 'refuse'
      ? undefined
      : guessService(snapshot, {
          local,
          port: verdict.upstream.port,
          authority,
          forwarded: described.forwarded,
        });
  return {
    direction: 'inbound' as const,
    source,
    sourceWorkload: context.sources.find(snapshot, {
      ...described,
      local,
      address: source.address,
      principal: peer,
    }),
    sourceIdentity: peer,
    destination: incoming.destination,
    hboneAuthority: authority,
    service: requested?.hostname,
    destinationWorkload: local,
    destinationIdentity: peer === undefined ? undefined : formatPrincipal(local),
    requested,
    mutualTls: peer !== undefined,
    trace: context.tracing.begin(local, 'inbound', described.traceparent),
  };
}

/** Tells the client about the workload behind the tunnel, as ztunnel does by default. */
function answerOf(local: Workload | undefined): MessageHead {
  const answer = MessageHead.response(200);
  if (local !== undefined) answer.add('baggage', encodeBaggage(local));
  return answer;
}
