/** Bounds of the control plane; each with its reason. */

/** A failed reconcile is tried again after this, doubling up to the cap. */
export const RECONCILE_RETRY_INITIAL_MS = 200;
export const RECONCILE_RETRY_CAP_MS = 30_000;

/** Waiting for the API server at the start: the whole mesh waits with us, so the cap is short. */
export const ROOT_RETRY_INITIAL_MS = 100;
export const ROOT_RETRY_CAP_MS = 1_000;

/** Leader election, as client-go's defaults: a dead leader is replaced within the lease duration. */
export const LEASE_DURATION_SECONDS = 15;
export const LEASE_RENEW_MS = 2_000;

/** The graph is refreshed each second; a proxy that does not answer in this time is shown as silent. */
export const SCRAPE_PERIOD_MS = 1_000;
export const SCRAPE_TIMEOUT_MS = 900;

/** Longest window of the graph: one sample a second for five minutes. */
export const SAMPLES_MAX = 300;
export const WINDOW_SECONDS_DEFAULT = 30;

/** Edges kept at most: beyond it the idle ones go first. 20,000 is the size the console is built for. */
export const EDGES_MAX = 20_000;

/** The status of a policy waits for the node proxies' answers: looked for this often, well after a push has gone out. */
export const ENFORCED_CHECK_MS = 200;
/** A node proxy that does not answer in 5 s is counted as one that has not got the policy. */
export const ENFORCED_CHECKS_MAX = 25;
