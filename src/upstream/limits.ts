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
