/** Bounds of the waypoint; each with the reason for its number. */

/** Request body bytes kept to be sent again. Envoy's default per-request buffer; beyond it a sent request is not retried. */
export const REPLAY_BYTES_MAX = 1024 * 1024;

/** Idle upstream connections that turned out closed are replaced at most this often for one request. */
export const STALE_CONNECTION_RETRIES_MAX = 3;

/** Resolution of request and per-try timeouts. One timer serves all of them; 10 ms is below what a user can configure usefully. */
export const DEADLINE_STEP_MS = 10;

/** Time for an upstream to answer the HTTP/2 preface before it counts as HTTP/1.1. */
export const PROBE_TIMEOUT_MS = 1_000;

/** A tunnel whose port declares no protocol: bytes that do not come within this time mean a server-first protocol. */
export const SNIFF_TIMEOUT_MS = 300;

/** Metric edges (source, endpoint) unused for this long are forgotten. */
export const EDGE_IDLE_MS = 15 * 60_000;
export const EDGE_SWEEP_MS = 60_000;

/** Peers remembered by identity and address; a waypoint serves one namespace, and pods come and go. */
export const SOURCES_MAX = 20_000;

/** Grace for running requests on SIGTERM; Kubernetes kills after 30 s by default, Istio drains 5 s before. */
export const DRAIN_DEADLINE_MS = 25_000;
/** While draining a kept connection ends with its next response; one that has none in this time is closed. */
export const IDLE_GRACE_MS = 5_000;
/** From SIGTERM until the last node proxy has heard that this waypoint is gone: API server, control plane, push. */
export const DEREGISTER_MS = 2_000;
