/**
 * The incoming connections of one pod that are open now; closes those that a policy change or a revocation no longer
 * allows.
 */
import { MeshError } from '#base/errors.ts';
import type { H2Connection } from '#http/h2/connection.ts';
import type { JudgePeer } from '#net/network.ts';
import { NODE_ERRORS } from '../errors.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';
import type { Session } from '../workload/session.ts';
import { type AccessFacts, denialOf } from './decide.ts';

export class LiveInbound {
  readonly #sessions = new Map<Session, AccessFacts>();
  /** HBONE connections with the chain that their peer proved. */
  readonly #peers = new Map<H2Connection, readonly Uint8Array[]>();

  get count(): number {
    return this.#sessions.size;
  }

  add(session: Session, access: AccessFacts): void {
    this.#sessions.set(session, access);
  }

  remove(session: Session): void {
    this.#sessions.delete(session);
  }

  connected(h2: H2Connection, chain: readonly Uint8Array[]): void {
    this.#peers.set(h2, chain);
  }

  disconnected(h2: H2Connection): void {
    this.#peers.delete(h2);
  }

  judgeAgain(judge: JudgePeer): void {
    for (const [h2, chain] of [...this.#peers]) {
      const error = judge(chain);
      if (error !== undefined) h2.banish(error);
    }
  }

  recheck(snapshot: MeshSnapshot): void {
    for (const [session, access] of [...this.#sessions]) {
      // Its policies may have changed with the workload itself.
      const local = snapshot.workloads.get(access.local.uid) ?? access.local;
      const denial = denialOf(snapshot, { ...access, local });
      if (denial === undefined) continue;
      const message = `connection closed due to policy change: ${denial.reason}`;
      const hint = NODE_ERRORS.NODE_POLICY_CHANGED;
      const decidedBy = denial.policy;
      session.abort(
        new MeshError('NODE_POLICY_CHANGED', message, { side: 'self', hint, decidedBy }),
      );
    }
  }

  abortAll(error: MeshError): void {
    for (const session of [...this.#sessions.keys()]) session.abort(error);
  }
}
