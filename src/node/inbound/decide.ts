/**
 * Which app address an incoming tunnel or plaintext connection may reach, and whether policy lets it. Pure;
 * facts/steps are ztunnel's (src/proxy/inbound.rs). Every refusal carries the HTTP status a tunnel gets.
 */
import { formatHostPort } from '#base/ip.ts';
import { parseAuthority } from '#hbone/authority.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import { type GatewayAddress, serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import { evaluateL4 } from '#policy/l4/evaluate-l4.ts';
import type { NODE_ERRORS } from '../errors.ts';
import { ILLEGAL_PORTS } from '../limits.ts';
import { targetPortOf } from '../outbound/pick-endpoint.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';

export type InboundVerdict =
  | { readonly kind: 'connect'; readonly upstream: SocketAddress; readonly reason: string }
  | {
      readonly kind: 'refuse';
      readonly status: 400 | 401 | 503;
      readonly code: keyof typeof NODE_ERRORS;
      readonly reason: string;
      /** The policy that decided, when one alone did. */
      readonly policy?: string;
    };

export interface TunnelFacts {
  readonly local: Workload;
  /** The address the connection arrived on. */
  readonly localAddress: string;
  readonly authority: string;
}

/** Resolves `:authority` to the app's address. Policy comes after, on the result. */
export function decideTunnel(snapshot: MeshSnapshot, facts: TunnelFacts): InboundVerdict {
  const { local, localAddress } = facts;
  const authority = parseAuthority(facts.authority);
  if (authority === undefined)
    return bad(`authority ${JSON.stringify(facts.authority)} has no host and port`);
  if (authority.kind === 'hostname') return decideHostname(snapshot, facts, authority);
  const ours =
    authority.address === localAddress || servesAsWaypoint(snapshot, local, authority.address);
  if (!ours) {
    return bad(`authority ${facts.authority} is not the address ${localAddress} it arrived on`);
  }
  return connectTo({ address: localAddress, port: authority.port }, `authority ${facts.authority}`);
}

function decideHostname(
  snapshot: MeshSnapshot,
  facts: TunnelFacts,
  authority: { hostname: string; port: number },
): InboundVerdict {
  const { local, localAddress } = facts;
  const service = snapshot.serviceNamed(authority.hostname, local.namespace);
  const port = service === undefined ? 0 : targetPortOf(service, local, authority.port);
  if (port === 0) {
    const reason = `this workload serves no port ${authority.port} of ${authority.hostname}`;
    return { kind: 'refuse', status: 503, code: 'NODE_BAD_TUNNEL', reason };
  }
  return connectTo({ address: localAddress, port }, `${authority.hostname}:${authority.port}`);
}

/** A captured waypoint gets tunnels for the services and workloads that name it. */
function servesAsWaypoint(snapshot: MeshSnapshot, local: Workload, address: string): boolean {
  const target =
    snapshot.serviceAt(local.network, address, local.namespace) ??
    snapshot.workloadAt(local.network, address);
  return target?.waypoint !== undefined && names(target.waypoint, local);
}

function names(gateway: GatewayAddress, local: Workload): boolean {
  if (gateway.service !== undefined) return local.services.has(serviceKey(gateway.service));
  return gateway.address !== undefined && local.addresses.includes(gateway.address.address);
}

/** The original destination of a plaintext connection, as captured. */
export function decidePlaintext(original: SocketAddress): InboundVerdict {
  return connectTo(original, 'plaintext to its original destination');
}

function connectTo(upstream: SocketAddress, reason: string): InboundVerdict {
  if (ILLEGAL_PORTS.includes(upstream.port)) {
    const loop = `recursive call to ${formatHostPort(upstream.address, upstream.port)}`;
    return { kind: 'refuse', status: 503, code: 'NODE_LOOP', reason: loop };
  }
  return { kind: 'connect', upstream, reason };
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
export function denialOf(
  snapshot: MeshSnapshot,
  facts: AccessFacts,
): Extract<InboundVerdict, { kind: 'refuse' }> | undefined {
  const verdict = evaluateL4(snapshot.authorizationsOf(facts.local), {
    sourceIp: facts.sourceIp,
    sourcePrincipal: facts.sourcePrincipal,
    destinationIp: facts.upstream.address,
    destinationPort: facts.upstream.port,
  });
  if (verdict.allow) return undefined;
  const { reason, policy } = verdict;
  return { kind: 'refuse', status: 401, code: 'NODE_POLICY', reason, policy };
}
