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
import { CONNECT_TIMEOUT_MS } from '../limits.ts';
import { CALLER_MARK, PROXY_MARK } from '../marks.ts';
import { responseOf } from '../respond.ts';
import type { ConnectionFacts } from '../telemetry.ts';
import type { Meter } from '../usage/meter.ts';
import { limitError, type PodUsage } from '../usage/pod-usage.ts';
import { awaitWorkload, type Flow } from '../workload/await-workload.ts';
import type { NodeContext, PodIdentity } from '../workload/context.ts';
import type { LiveTraffic } from '../workload/live-traffic.ts';
import { Session, type SessionHooks } from '../workload/session.ts';
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
    context.telemetry.failedEarly({
      direction: 'inbound',
      pod: deps.pod,
      source,
      destination,
      error,
    });
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

/** Of a connection, or of all tunnels in one. */
interface Ends {
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  /** Undefined: plaintext. */
  readonly peer: Principal | undefined;
}

function acceptTunnel(deps: InboundDeps, tunnel: IncomingTunnel, ends: Ends): void {
  const full = enterStream(deps.usage);
  if (full === undefined) begin(new Incoming(deps, tunnel.connection, { ends, tunnel }));
  else tunnel.refuse(responseOf(limitError(full)).status);
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
  if (!deps.usage.pending.enter()) return undefined;
  const source = { address: connection.remoteAddress, port: connection.remotePort };
  const destination = deps.context.network.originalDestination(connection);
  const ends = { source, destination, peer: undefined };
  return begin(new Incoming(deps, connection, { ends, tunnel: undefined }));
}

function begin(incoming: Incoming): ConnectionHandler {
  const { deps, session } = incoming;
  deps.live.addInbound(session);
  awaitWorkload(deps, incoming);
  return session.handler;
}

/** One connection to the app. */
class Incoming implements SessionHooks, Flow {
  readonly deps: InboundDeps;
  readonly ends: Ends;
  readonly session: Session;
  /** What a tunnel asks for. */
  authority: string | undefined = undefined;
  /** What the peer says of itself. */
  described: Described = NOTHING_SAID;
  readonly #downstream: Connection;
  readonly #tunnel: IncomingTunnel | undefined;
  #local: Workload | undefined = undefined;

  constructor(
    deps: InboundDeps,
    downstream: Connection,
    { ends, tunnel }: { ends: Ends; tunnel: IncomingTunnel | undefined },
  ) {
    this.deps = deps;
    this.ends = ends;
    this.#downstream = downstream;
    this.#tunnel = tunnel;
    this.session = new Session(downstream, deps.usage, this);
  }

  onWorkload(local: Workload): void {
    this.#local = local;
    proceed(this, local, this.#decide(local));
  }

  reject(error: MeshError): void {
    if (this.#tunnel === undefined) this.#downstream.reset();
    else this.#tunnel.refuse(responseOf(error).status);
  }

  ready(): void {
    this.#tunnel?.accept(this.#local && answerOf(this.#local));
  }

  failedEarly(error: MeshError): void {
    const { source, destination } = this.ends;
    const { context, pod } = this.deps;
    context.telemetry.failedEarly({ direction: 'inbound', pod, source, destination, error });
  }

  onOver(): void {
    const { usage, live } = this.deps;
    if (this.#tunnel !== undefined) usage.streams.leave();
    live.remove(this.session);
  }

  #decide(local: Workload): InboundVerdict {
    const { destination } = this.ends;
    if (this.#tunnel === undefined) return decidePlaintext(destination);
    const { head } = this.#tunnel;
    // One more than is allowed: still too long to be one, and short enough for the log.
    const authority = head.authority.slice(0, AUTHORITY_CHARS_MAX + 1);
    this.authority = authority;
    this.described = {
      baggage: head.getAll('baggage'),
      forwardedNetwork: head.get('x-forwarded-network'),
      forwarded: head.get('forwarded'),
      traceparent: head.get('traceparent'),
    };
    return decideTunnel(this.deps.context.state.current, {
      local,
      localAddress: destination.address,
      authority,
      sharedPorts: this.deps.pod.sharedPorts,
    });
  }
}

type Described = Pick<SourceFacts, 'baggage' | 'forwardedNetwork'> &
  Pick<MeantFor, 'forwarded'> & { readonly traceparent: string | undefined };

const NOTHING_SAID: Described = {
  baggage: undefined,
  forwardedNetwork: undefined,
  forwarded: undefined,
  traceparent: undefined,
};

/** Record, policy, then the app; everything that may fail comes before the tunnel's 200. */
function proceed(incoming: Incoming, local: Workload, verdict: InboundVerdict): void {
  const { session, ends } = incoming;
  const { context, pod, live, usage } = incoming.deps;
  const { source, peer } = ends;
  const facts = factsOf(incoming, local, verdict);
  if (verdict.kind === 'refuse') {
    refuse(incoming, facts, verdict);
    return;
  }
  const { upstream: wanted } = verdict;
  const access = { local, sourceIp: source.address, sourcePrincipal: peer, upstream: wanted };
  // Known before the check: a policy that changes from here on finds it.
  live.addInbound(session, access);
  const judged = accessVerdict(context.state.current, access);
  for (const note of judged.dryRun) logDryRun(incoming, local, note);
  const denial = refusalBy(judged);
  if (denial !== undefined) {
    refuse(incoming, facts, denial);
    return;
  }
  session.record = context.telemetry.begin(facts);
  const announced = verdict.announce && headerFor(source, verdict.announce, peer);
  session.preamble = announced;
  const upstream = announced === undefined ? wanted : onLoopback(wanted);
  // The app sees who really calls. A pod that calls itself has that address already.
  const spoofed = announced === undefined && source.address !== upstream.address;
  context.network.connect(
    {
      address: upstream.address,
      port: upstream.port,
      namespace: pod.netns,
      mark: spoofed ? CALLER_MARK : PROXY_MARK,
      local: true,
      share: usage.share,
      sourceAddress: spoofed ? source.address : undefined,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
    },
    session,
  );
}

function refuse({ deps, session }: Incoming, facts: ConnectionFacts, why: Refusal): void {
  const { code, reason, policy: decidedBy } = why;
  const hint = NODE_ERRORS[code];
  const error = new MeshError(code, reason, { side: 'downstream', hint, decidedBy });
  session.record = deps.context.telemetry.refuse(facts, error);
  session.refuse(error);
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
function logDryRun({ deps, ends }: Incoming, local: Workload, note: string): void {
  const { source, peer } = ends;
  const destination = `${local.namespace}/${local.name}`;
  deps.context.log.info(note, { source: source.address, principal: peer, destination });
}

function factsOf(incoming: Incoming, local: Workload, verdict: InboundVerdict): ConnectionFacts {
  const { authority, described } = incoming;
  const { source, destination, peer } = incoming.ends;
  const { context } = incoming.deps;
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
    direction: 'inbound',
    source,
    sourceWorkload: context.sources.find(snapshot, {
      local,
      address: source.address,
      principal: peer,
      baggage: described.baggage,
      forwardedNetwork: described.forwardedNetwork,
    }),
    sourceIdentity: peer,
    destination,
    hboneAuthority: authority,
    service: requested?.hostname,
    destinationWorkload: local,
    destinationIdentity: peer === undefined ? undefined : formatPrincipal(local),
    requested,
    mutualTls: peer !== undefined,
    trace: context.tracing.begin(local, 'inbound', described.traceparent),
  };
}

const answers = new WeakMap<Workload, MessageHead>();

/** Tells the client about the workload behind the tunnel, as ztunnel does by default. Written, never changed. */
function answerOf(local: Workload): MessageHead {
  let answer = answers.get(local);
  if (answer === undefined) {
    answer = MessageHead.response(200);
    answer.add('baggage', encodeBaggage(local));
    answers.set(local, answer);
  }
  return answer;
}
