/** Bounds of the upstream layer; each with the reason for its number. */

/** Envoy's max_ejection_time default: however often an endpoint failed, it is tried again after five minutes. */
export const EJECTION_TIME_MAX_MS = 300_000;

/** Idle upstream connections are looked at this often: idle timeouts are minutes, a second late does not matter. */
export const IDLE_SWEEP_MS = 1_000;

/** Retries in flight that are always allowed, and beyond them the share of active requests (Istio's RetryBudget defaults). */
export const RETRY_BUDGET_MIN = 3;
export const RETRY_BUDGET_PERCENT = 20;

/** Back-off between tries grows up to this multiple of its base (Envoy's default max_interval). */
export const RETRY_BACKOFF_CAP_FACTOR = 10;

/** Requests that wait for a connection to one group when the policy sets no bound; beyond it memory, not patience, would decide. */
export const PENDING_DEFAULT_MAX = 16_384;

/** A priority carries all its load while healthy endpoints × 1.4 cover it (Envoy's overprovisioning factor). */
export const OVERPROVISIONING_PERCENT = 140;

/** Below this share of healthy endpoints all are used, when no outlierDetection says otherwise (Envoy's healthy_panic_threshold). */
export const PANIC_DEFAULT_PERCENT = 50;

/** Points of one hash ring: at 12 bytes each a group stays below 13 MB. Envoy's bound of 8 Mi would be 100 MB here. */
export const RING_POINTS_MAX = 1_048_576;

/** Slots of a Maglev table that are tried for a key before the table is walked: with half of the members out 1 of 65,536 keys walks. */
export const MAGLEV_REHASHES_MAX = 16;

/** Picks before a retry gives up on finding an endpoint that was not tried (Envoy's host_selection_retry_max_attempts of Istio). */
export const HOST_SELECTION_ATTEMPTS_MAX = 5;

/** A name is looked up again no sooner (a server that says 0 would be asked for each request) and no later (one that says a week). */
export const RESOLVE_TTL_FLOOR_MS = 5_000;
export const RESOLVE_TTL_CEILING_MS = 300_000;

/** After a failed look-up: soon, then ever more rarely; the last good answer stays meanwhile. */
export const RESOLVE_RETRY_MIN_MS = 1_000;
export const RESOLVE_RETRY_MAX_MS = 30_000;

/** How long a request waits for the first answer about its name: a resolver's usual timeout. */
export const RESOLVE_WAIT_MS = 5_000;

/** Destinations of one group that clients chose themselves; Envoy's dynamic forward proxy has the same bound (max_hosts). */
export const DIALLED_ENDPOINTS_MAX = 1_024;
/** Unused for so long they are forgotten (Envoy's host_ttl). */
export const DIALLED_IDLE_MS = 300_000;
