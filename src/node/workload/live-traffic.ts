/**
 * What one pod has open now, in both directions: proxied connections, and the HBONE connections that peers hold to it.
 * Closes what a policy change or a revocation no longer allows, and everything when the pod or the time to drain is over.
 */
import { MeshError } from '#base/errors.ts';
import { Roster } from '#base/roster.ts';
import type { H2Connection } from '#http/h2/connection.ts';
import type { ServiceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { JudgePeer } from '#net/network.ts';
import { NODE_ERRORS } from '../errors.ts';
import { type AccessFacts, denialOf, foreignPeer, type Refusal } from '../inbound/decide.ts';
import { PolicyWatch } from '../inbound/policy-watch.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';
import type { Session } from './session.ts';

export class LiveTraffic {
  readonly #inbound = new Roster<Session>();
  readonly #outbound = new Roster<Session>();
  /** HBONE connections with the chain that their peer proved. */
  readonly #peers = new Map<H2Connection, readonly Uint8Array[]>();
  readonly #watch = new PolicyWatch();
  #draining = false;

  get inbound(): number {
    return this.#inbound.size;
  }

  get outbound(): number {
    return this.#outbound.size;
  }

  /** HBONE connections of peers, with tunnels or without. */
  get peers(): number {
    return this.#peers.size;
  }

  /** Proxied connections of both directions. */
  get sessions(): number {
    return this.#inbound.size + this.#outbound.size;
  }

  addInbound(session: Session, access?: AccessFacts): void {
    if (session.over) return;
    session.access = access;
    this.#inbound.add(session);
  }

  addOutbound(session: Session, service?: ServiceKey): void {
    if (session.over) return;
    session.service = service;
    this.#outbound.add(session);
  }

  remove(session: Session): void {
    this.#inbound.remove(session);
    this.#outbound.remove(session);
  }

  /** One that comes while we drain (its handshake was under way) serves what its peer has sent already. */
  addPeer(connection: H2Connection, chain: readonly Uint8Array[]): void {
    this.#peers.set(connection, chain);
    if (this.#draining) connection.drain();
  }

  removePeer(connection: H2Connection): void {
    this.#peers.delete(connection);
  }

  /** Asks the peers to go elsewhere with new tunnels; what runs finishes. */
  drain(): void {
    this.#draining = true;
    for (const connection of [...this.#peers.keys()]) connection.drain();
  }

  judgeAgain(judge: JudgePeer): void {
    for (const [connection, chain] of [...this.#peers]) {
      const error = judge(chain);
      if (error !== undefined) connection.banish(error);
    }
  }

  /** Peers that come from now on stay. */
  resume(): void {
    this.#draining = false;
  }

  /** Returns how many connections were judged anew. */
  recheck(snapshot: MeshSnapshot): number {
    this.#recheckOutbound(snapshot);
    const local = this.#localIn(snapshot);
    if (local === undefined) this.#watch.forget();
    if (local === undefined || !this.#watch.isChanged(snapshot, local)) return 0;
    let judged = 0;
    for (const session of [...this.#inbound]) {
      const { access } = session;
      if (access === undefined) continue;
      judged += 1;
      const now = { ...access, local };
      const isMoved = access.local.trustDomain !== local.trustDomain;
      const denial = (isMoved ? foreignPeer(now) : undefined) ?? denialOf(snapshot, now);
      if (denial !== undefined) session.abort(policyChanged(denial));
    }
    return judged;
  }

  /** Traffic of a service that waits for a waypoint to be judged does not go on around it. */
  #recheckOutbound({ unjudged }: MeshSnapshot): void {
    if (unjudged.size === 0) return;
    for (const session of [...this.#outbound]) {
      const { service } = session;
      const policy = service && unjudged.get(service);
      if (policy === undefined) continue;
      const reason = `${policy} needs a waypoint to judge traffic of ${service}`;
      session.abort(policyChanged({ reason, policy }));
    }
  }

  /** The pod as it is now, when a connection to it is open; one that is gone from the mesh keeps what it had. */
  #localIn(snapshot: MeshSnapshot): Workload | undefined {
    for (const { access } of this.#inbound)
      if (access !== undefined) return snapshot.workloads.get(access.local.uid) ?? access.local;
    return undefined;
  }

  abortAll(error: MeshError): void {
    for (const session of [...this.#inbound, ...this.#outbound]) session.abort(error);
    for (const connection of [...this.#peers.keys()]) connection.close();
  }
}

function policyChanged({
  reason,
  policy: decidedBy,
}: Pick<Refusal, 'reason' | 'policy'>): MeshError {
  const message = `connection closed due to policy change: ${reason}`;
  const hint = NODE_ERRORS.NODE_POLICY_CHANGED;
  return new MeshError('NODE_POLICY_CHANGED', message, { side: 'self', hint, decidedBy });
}
