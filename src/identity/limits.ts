/** Limits of identity/, each with its reason. */

const DAY_SECONDS = 86_400;

/** Istio's root: ten years (security/pkg/pki/ca). */
export const ROOT_TTL_SECONDS = 3650 * DAY_SECONDS;
/** Default and largest lifetime of a workload certificate, as istiod's (security/pkg/cmd). */
export const LEAF_TTL_SECONDS = DAY_SECONDS;
export const LEAF_TTL_SECONDS_MAX = 90 * DAY_SECONDS;
/** The control plane's own serving certificate; it makes a new one at every start. */
export const SERVING_TTL_SECONDS = 365 * DAY_SECONDS;
/** NotBefore lies this far back: clocks of two machines differ. */
export const BACKDATE_SECONDS = 120;
/**
 * The root and the control plane's own certificate begin a day back: with a clock that is hours ahead no proxy could reach
 * it otherwise, and would not even learn why. Both live so long that their beginning says nothing.
 */
export const BACKDATE_SECONDS_LONG = DAY_SECONDS;
export const SERIAL_BYTES = 16;
/** A CSR of RSA 4096 with names is below 4 KiB. */
export const CSR_CHARS_MAX = 16 * 1024;

/**
 * Certificates fetched at once, and the back-off of one that fails. As ztunnel's (src/identity/manager.rs) but for the
 * first delay: a proxy that starts a moment before its control plane should be in force soon after it.
 */
export const FETCHES_MAX = 8;
export const FETCH_RETRY_INITIAL_MS = 50;
export const FETCH_RETRY_CAP_MS = 150_000;
/** A connection that waits shortens the back-off to this: at most one request a second and principal. */
export const DEMAND_RETRY_MS = 1_000;
/** How often the file of revocation lists is looked at; one stat(2). */
export const CRL_POLL_MS = 1_000;
/** A ConfigMap holds 1 MiB at most; a mounted file may be larger. */
export const CRL_BYTES_MAX = 16 << 20;
/** Longest single timer; the wall clock is looked at again after it. */
export const TIMER_MAX_MS = 3_600_000;
