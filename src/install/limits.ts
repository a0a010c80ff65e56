/** Times of an installation, each with its reason. */

/** How long parts may take to become ready unless --timeout says otherwise: image pulls of a large node take minutes. */
export const READY_TIMEOUT_MS = 5 * 60_000;
/** How often their states are read while they are waited for. */
export const READY_POLL_MS = 500;
/** How long a new definition may take to be served (a second in practice). */
export const ESTABLISHED_TIMEOUT_MS = 30_000;
/** The lock is renewed this often, */
export const LOCK_RENEW_MS = 2_000;
/** and one that was not renewed for so long is left over from a process that ended. */
export const LOCK_STALE_MS = 7_000;
/** How long a pod may take to let its pods of the mesh go before somebody is asked to look. */
export const UNENROL_TIMEOUT_MS = 2 * 60_000;
/** How long the hook of the chart may take: less than the five minutes that Helm waits for it, so that the hook itself says what is left. */
export const FAREWELL_TIMEOUT_MS = 4 * 60_000;
/** A status that others write at the same moment is read again this often. */
export const STATUS_TRIES_MAX = 5;
/** Requests to the API server at a time. */
export const REQUESTS_AT_ONCE = 8;
/** The oldest Kubernetes whose API has what is used: CEL rules of definitions are stable since then. */
export const KUBERNETES_MIN = '1.29.0';
