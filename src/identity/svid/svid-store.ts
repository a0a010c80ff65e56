/**
 * Keeps one X.509 SVID for each principal that this process may act as: makes the key here, has the certificate
 * signed, replaces it at half its life. Keys live in memory only. Used by the node proxy (one principal for each
 * service account on the node) and the waypoint (its own).
 */
import type { Disposer } from '#base/disposer.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';

/** `realtime`: a connection waits for it. `warmup`: fetched ahead of need. */
export type SvidPriority = 'realtime' | 'warmup';

export interface SvidStatus {
  readonly principal: Principal;
  readonly state: 'pending' | 'ready' | 'unavailable';
  /** Milliseconds since the Unix epoch, of the certificate in force. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  readonly serial: string | undefined;
  /** Message of the last failure since the last success. */
  readonly lastError: string | undefined;
}

export interface SvidStore {
  /** The identity in force, or undefined. Starts nothing. Never returns an expired certificate. */
  get(principal: Principal): TlsIdentity | undefined;
  /** Starts keeping a certificate for the principal. Idempotent; a higher priority moves it ahead in the queue. */
  request(principal: Principal, priority?: SvidPriority): void;
  /** `request` at realtime priority and wait; rejects with a MeshError when the attempt under way fails. */
  whenReady(principal: Principal): Promise<TlsIdentity>;
  /** First certificate and every later one. */
  onRotate(callback: (principal: Principal, identity: TlsIdentity) => void): Disposer;
  /** Drops key and certificate and stops renewing. */
  forget(principal: Principal): void;
  status(): readonly SvidStatus[];
  stop(): void;
}
