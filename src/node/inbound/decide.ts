/**
 * Which app address an incoming tunnel or plaintext connection may reach, and whether policy lets it. Pure;
 * facts/steps are ztunnel's (src/proxy/inbound.rs). Every refusal carries the HTTP status a tunnel gets.
 */
import { formatHostPort, isIpv6 } from '#base/ip.ts';
import { parseAuthority } from '#hbone/authority.ts';
import { type Principal, parseIdentity } from '#model/identity/spiffe.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import { evaluateL4, type L4Verdict } from '#policy/l4/evaluate-l4.ts';
import type { NODE_ERRORS } from '../errors.ts';
import { ILLEGAL_PORTS } from '../limits.ts';
import { targetPortOf } from '../outbound/pick-endpoint.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export interface Refusal {
  readonly kind: 'refuse';
  readonly status: 400 | 401 | 503;
  readonly code: keyof typeof NODE_ERRORS;
  readonly reason: string;
  /** The policy that decided, when it was policy; of several the first. */
  readonly policy?: string;
}

export type InboundVerdict =
  | {
      readonly kind: 'connect';
      readonly upstream: SocketAddress;
      readonly reason: string;
      /** The app reads a PROXY header that names this destination, and listens on loopback. */
      readonly announce?: SocketAddress;
    }
  | Refusal;

export interface TunnelFacts {
  readonly local: Workload;
  /** The address the connection arrived on. */
  readonly localAddress: string;
  readonly authority: string;
  /** Undefined: every port. */
  readonly sharedPorts?: ReadonlySet<number>;
}

/** Resolves `:authority` to the app's address. Policy comes after, on the result. */
export function decideTunnel(snapshot: MeshSnapshot, facts: TunnelFacts): InboundVerdict {
  const { local, localAddress } = facts;
  const authority = parseAuthority(facts.authority);
  if (authority === undefined)
    return bad(`authority ${JSON.stringify(facts.authority)} has no host and port`);
  if (authority.kind === 'hostname') return decideHostname(snapshot, facts, authority);
  const asked = { address: authority.address, port: authority.port };
  const ours =
    authority.address === localAddress ||
    // Its app reads in the PROXY header where the client wanted to go, and judges that itself.
    local.applicationTunnel !== undefined ||
    servesAsWaypoint(snapshot, local, authority.address);
  if (!ours) {
    return bad(`authority ${facts.authority} is not the address ${localAddress} it arrived on`);
  }
  return connectTo(facts, { port: authority.port, asked });
}

function decideHostname(
  snapshot: MeshSnapshot,
  facts: TunnelFacts,
  authority: { hostname: string; port: number },
): InboundVerdict {
  const { local } = facts;
  const service = snapshot.serviceNamed(authority.hostname, local.namespace);
  const port = service === undefined ? 0 : targetPortOf(service, local, authority.port);
  if (service === undefined || port === 0) {
    const reason = `this workload serves no port ${authority.port} of ${authority.hostname}`;
    return { kind: 'refuse', status: 503, code: 'NODE_NO_UPSTREAM', reason };
  }
  const address = addressFor(service, local.network);
  const asked = address === undefined ? undefined : { address, port: authority.port };
  return connectTo(facts, { port, asked });
}

/** A PROXY header holds no names: one of the service's addresses stands for it, of this network, IPv4 first. */
function addressFor({ addresses }: Service, network: string): string | undefined {
  const here = addresses.filter((each) => each.network === network);
  const found = here.find(({ address }) => !isIpv6(address)) ?? here[0] ?? addresses[0];
  return found?.address;
}

function connectTo(
  { local, localAddress, authority, sharedPorts }: TunnelFacts,
  target: { port: number; asked: SocketAddress | undefined },
): InboundVerdict {
  const reason = `authority ${authority}`;
  // Judged before the tunnel's own port replaces it, as ztunnel does.
  const looped = loopOf({ address: localAddress, port: target.port });
  if (looped !== undefined) return looped;
  if (sharedPorts !== undefined && !sharedPorts.has(target.port)) {
    return notShared(target.port, sharedPorts);
  }
  const tunnel = local.applicationTunnel;
  const upstream = { address: localAddress, port: tunnel?.port || target.port };
  if (tunnel?.protocol !== 'proxy') return { kind: 'connect', upstream, reason };
  if (target.asked !== undefined) {
    return { kind: 'connect', upstream, reason, announce: target.asked };
  }
  const missing = `${authority} has no address for the PROXY header`;
  return { kind: 'refuse', status: 503, code: 'NODE_NO_UPSTREAM', reason: missing };
}

/** A firewall that opens 15008 has not opened everything else of a machine. */
function notShared(port: number, shared: ReadonlySet<number>): Refusal {
  const has = shared.size === 0 ? 'no port' : `only ${[...shared].join(', ')}`;
  const reason = `this machine shares ${has} with the mesh, not ${port}: tulle join --port NAME=${port}`;
  return { kind: 'refuse', status: 503, code: 'NODE_NO_UPSTREAM', reason };
}

/** A captured waypoint gets tunnels for the services and workloads that name it. */
function servesAsWaypoint(snapshot: MeshSnapshot, local: Workload, address: string): boolean {
  const target =
    snapshot.serviceAt(local.network, address, local.namespace) ??
    snapshot.workloadAt(local.network, address);
  return target?.waypoint !== undefined && snapshot.isPartOf(local, target.waypoint);
}

/** The original destination of a plaintext connection, as captured. */
export function decidePlaintext(original: SocketAddress): InboundVerdict {
  const reason = 'plaintext to its original destination';
  return loopOf(original) ?? { kind: 'connect', upstream: original, reason };
}

function loopOf(upstream: SocketAddress): InboundVerdict | undefined {
  if (!ILLEGAL_PORTS.includes(upstream.port)) return undefined;
  const reason = `recursive call to ${formatHostPort(upstream.address, upstream.port)}`;
  return { kind: 'refuse', status: 503, code: 'NODE_LOOP', reason };
}

function bad(reason: string): InboundVerdict {
  return { kind: 'refuse', status: 400, code: 'NODE_BAD_TUNNEL', reason };
}

export interface AccessFacts {
  readonly local: Workload;
  readonly sourceIp: string;
  readonly sourcePrincipal: Principal | undefined;
  readonly upstream: SocketAddress;
}

/** Undefined when allowed. 401, not 403, as ztunnel answers. */
export function denialOf(snapshot: MeshSnapshot, facts: AccessFacts): Refusal | undefined {
  return refusalBy(accessVerdict(snapshot, facts));
}

export function refusalBy({ allow, reason, policy }: L4Verdict): Refusal | undefined {
  if (allow) return undefined;
  return { kind: 'refuse', status: 401, code: 'NODE_POLICY', reason, policy };
}

/** Also says what policies in dry run would have done. */
export function accessVerdict(snapshot: MeshSnapshot, facts: AccessFacts): L4Verdict {
  return evaluateL4(snapshot.authorizationsOf(facts.local), {
    sourceIp: facts.sourceIp,
    sourcePrincipal: facts.sourcePrincipal,
    destinationIp: facts.upstream.address,
    destinationPort: facts.upstream.port,
  });
}

/** A peer that was admitted by a trust domain which is no longer its destination's. */
export function foreignPeer(facts: AccessFacts): Refusal | undefined {
  const peer = facts.sourcePrincipal && parseIdentity(facts.sourcePrincipal);
  const { trustDomain } = facts.local;
  if (peer === undefined || peer.trustDomain === trustDomain) return undefined;
  const reason = `the peer is of the trust domain ${peer.trustDomain}, the workload now of ${trustDomain}`;
  return { kind: 'refuse', status: 401, code: 'NODE_POLICY', reason };
}
