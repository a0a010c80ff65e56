/** The mesh itself: GET /api/v1/mesh, /api/v1/mtls, /api/v1/certificates; and who reads: GET /api/v1/session, POST /api/v1/login, POST /api/v1/logout. */
import type { Health } from './health.ts';

export interface MeshAnswer {
  readonly generatedAt: string;
  readonly health: Health;
  readonly version: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly control: readonly ControlRow[];
  readonly proxies: readonly ProxyRow[];
  readonly store: StoreState;
  readonly problems: readonly { readonly message: string; readonly since: string }[];
}

export interface ControlRow {
  readonly pod: string;
  readonly version: string;
  readonly revision: string;
  /** Absent: that replica did not say. */
  readonly isLeader?: boolean;
  readonly isReady: boolean;
  readonly startedAt: string;
  readonly memoryBytes?: number;
  /** Share of a core over the last minute. */
  readonly cpu?: number;
  readonly proxies: number;
  /** Pushes to proxies, a second. */
  readonly pushesPerSecond?: number;
}

export interface ProxyRow {
  readonly kind: 'node' | 'waypoint' | 'gateway';
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  readonly version: string;
  readonly sync: 'synced' | 'waiting' | 'refused' | 'disconnected';
  /** Why it is not synced, or not ready. */
  readonly detail: string;
  readonly memoryBytes?: number;
  readonly cpu?: number;
  /** Pods (node) or services (waypoint, gateway). */
  readonly serves: number;
  readonly connections?: number;
  readonly reportedAt?: string;
  /** Its clock minus ours. */
  readonly clockOffsetMs?: number;
}

export interface StoreState {
  readonly isPersistent: boolean;
  readonly bytes: number;
  readonly oldest?: string;
  /** Since when it is not written, and why. */
  readonly problem?: string;
  readonly droppedSpans: number;
  readonly droppedRecords: number;
}

export interface MtlsAnswer {
  readonly generatedAt: string;
  /** Namespace by namespace: who talks to whom, and how. */
  readonly cells: readonly MtlsCell[];
  readonly modes: readonly {
    readonly namespace: string;
    readonly mode: 'STRICT' | 'PERMISSIVE' | 'DISABLE' | 'MIXED';
    readonly from: string;
  }[];
  readonly policies: readonly PolicyHits[];
}

export interface MtlsCell {
  /** Node ids of workloads, or namespaces with `by=namespace`. */
  readonly source: string;
  readonly target: string;
  readonly mtls: number;
  readonly plaintext: number;
  readonly denied: number;
}

export interface PolicyHits {
  /** `AuthorizationPolicy namespace/name`. */
  readonly resource: string;
  readonly action: string;
  /** Denials it made in the window. */
  readonly denied: number;
  readonly lastDeniedAt?: string;
  readonly enforced?: { readonly by: number; readonly of: number };
}

export interface CertificateRow {
  readonly principal: string;
  readonly proxy: string;
  readonly notBefore?: string;
  readonly notAfter: string;
  readonly state: 'valid' | 'expiring' | 'expired';
  readonly serial?: string;
}

export interface CertificatesAnswer {
  readonly certificates: readonly CertificateRow[];
  readonly roots: readonly {
    readonly subject: string;
    readonly notAfter: string;
    readonly fingerprint: string;
  }[];
}

/** GET /api/v1/session, and what POST /api/v1/login `{ token }` (sets the cookie) and POST /api/v1/logout answer. */
export interface SessionAnswer {
  readonly isAuthenticated: boolean;
  /** A token is asked for; else everyone who reaches the port may read (lab, loopback). */
  readonly needsToken: boolean;
  readonly user: string;
  /** Namespaces that the reader may see; `*` for all. */
  readonly namespaces: readonly string[];
  readonly isReadOnly: boolean;
  /** Sent as `x-tulle-csrf` with everything that changes something. */
  readonly csrfToken: string;
}

export interface ErrorAnswer {
  readonly error: string;
  /** Stable: docs/errors.md. */
  readonly code?: string;
  /** What to do next. */
  readonly hint?: string;
  /** The member of the query or body that it is about. */
  readonly field?: string;
}
