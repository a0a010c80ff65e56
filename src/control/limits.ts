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
/** A leader that could not renew for two thirds of the lease stops (client-go: RenewDeadline 10 s): the rest is for clocks that drift. */
export const LEASE_STEP_DOWN_MS = 10_000;
/** One attempt; two of them fit before the leader steps down. */
export const LEASE_ROUND_MS = 4_000;

/** The graph is refreshed each second; a proxy that does not answer in this time is shown as silent. */
export const SCRAPE_PERIOD_MS = 1_000;
export const SCRAPE_TIMEOUT_MS = 900;

/** The status of a policy waits for the node proxies' answers: looked for this often, well after a push has gone out. */
export const ENFORCED_CHECK_MS = 200;
/** A node proxy that does not answer in 5 s is counted as one that has not got the policy. */
export const ENFORCED_CHECKS_MAX = 25;

/** Parents in a route's status, by the CRD of the Gateway API (RouteStatus.parents). */
export const PARENTS_MAX = 32;
/** Ancestors in a policy's status, by the CRD (PolicyStatus.ancestors). */
export const ANCESTORS_MAX = 16;

/** Of one object's review: more is not read by anybody. */
export const REVIEW_FINDINGS_MAX = 20;
/** The API server drops what is longer when the sum passes 4 KiB, and advises 120 (KEP-1872); a field and a remedy need more. */
export const WARNING_CHARACTERS_MAX = 200;
/** An object in etcd holds 1.5 MiB; a review carries the new and the old one. */
export const REVIEW_BYTES_MAX = 4 << 20;
/** The serving certificate is made anew at this part of its life. */
export const SERVING_ROTATION = 0.5;

/** Keys of token issuers, as istiod: an answer within 5 s, looked for again every 20 minutes; after a failure sooner, with back-off. */
export const KEYS_TIMEOUT_MS = 5_000;
export const KEYS_REFRESH_MS = 20 * 60_000;
export const KEYS_RETRY_INITIAL_MS = 1_000;
export const KEYS_RETRY_CAP_MS = 60_000;
/** Sets of large issuers have some 20 KB; each is sent to every proxy that judges by it. */
export const KEYS_BYTES_MAX = 256 * 1024;

/** Other replicas are asked for their proxies this often for the console, and each time a status waits for them. */
export const PEER_POLL_MS = 5_000;
/** A replica that does not answer in this time is told as silent: it ends, or its loop is held. */
export const PEER_TIMEOUT_MS = 1_000;
/** Some 20,000 proxies. */
export const PEER_ANSWER_BYTES_MAX = 32 * 1024 * 1024;

/** Findings become Events for people who read them; a tenth of this would tell of every step of a rollout. */
export const FINDING_EVENTS_PERIOD_MS = 10_000;

/** The console shows what a process used over the last minute: shorter is noise, longer hides what began now. */
export const RATE_WINDOW_MS = 60_000;
/** Proxies renew at half of a certificate's life: with less than a quarter left a renewal has failed for long. */
export const CERTIFICATE_EXPIRING_PART = 0.25;
/** Fields that the line about a change names; the whole difference is beside it. */
export const CHANGED_FIELDS_MAX = 4;

/** Scrapes of the whole mesh at a time: a pair of Prometheus; each asks every proxy. */
export const FEDERATIONS_MAX = 2;
/** Proxies that are asked before their turn: they render while others are passed on. */
export const FEDERATE_AHEAD = 8;
/** Prometheus waits 10 s unless it is told otherwise; what it waits we use but for the way back, and never longer than this. */
export const FEDERATE_DEADLINE_MS = 9_000;
export const FEDERATE_DEADLINE_MS_MAX = 60_000;
export const FEDERATE_RESERVE_MS = 500;
/** One that is this slow is not waited for: it would take the time of all others. */
export const FEDERATE_PROXY_TIMEOUT_MS = 3_000;
/** Some 200,000 series: more than a proxy's own bounds let it have. */
export const FEDERATE_PROXY_BYTES_MAX = 64 << 20;
/** Thirty labels of the longest values. */
export const FEDERATE_LINE_CHARS_MAX = 32 * 1024;
