/** Bounds of the waypoint; each with the reason for its number. */

/** Request body bytes kept to be sent again. Envoy's default per-request buffer; beyond it a sent request is not retried. */
export const REPLAY_BYTES_MAX = 1024 * 1024;

/** Idle upstream connections that turned out closed, and those whose GOAWAY leaves a request out, are replaced at most this often for it. */
export const STALE_CONNECTION_RETRIES_MAX = 3;

/** Retries that a caller may ask for (`x-envoy-max-retries`): more would only prolong an outage. */
export const CALLER_RETRIES_MAX = 10;

/** Copies of requests in flight in one process: mirroring must not take what the requests themselves need. */
export const MIRRORS_IN_FLIGHT_MAX = 1_024;
/** Body bytes that wait for a slow copy; a copy that falls further behind is dropped. */
export const MIRROR_BODY_BYTES_MAX = 1024 * 1024;
/** A copy without a route timeout is given up after this (Envoy's default route timeout). */
export const MIRROR_TIMEOUT_MS = 15_000;

/** Time for a TLS client to say which server it wants (Envoy's listener_filters_timeout is 15 s, ours ends sooner than clients give up). */
export const HELLO_TIMEOUT_MS = 10_000;
/** A connection of bytes on which nothing moves for this long is ended (Istio's and Envoy's tcp idle timeout). */
export const TCP_IDLE_TIMEOUT_MS = 3_600_000;

/**
 * A stream on which nothing moves for this long is ended. Waypoints have none, as Istio's proxies (listener_builder.go): watches and
 * sockets of the mesh may rest. Anybody may open a stream at a gateway: Envoy's advice for edges, and Istio's EDGE profile.
 */
export const STREAM_IDLE_WAYPOINT_MS = 0;
export const STREAM_IDLE_GATEWAY_MS = 300_000;
/** Of that time a stream may live longer: all streams are looked at this often in it. */
export const STREAM_IDLE_LOOKS = 10;

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

/** Connections of all clients that a gateway holds; Envoy's advice for edges (docs: configuring Envoy as an edge proxy) is 50,000. */
export const GATEWAY_CONNECTIONS_MAX = 50_000;
/** PROXY header, ClientHello and TLS handshake together; Envoy's transport_socket_connect_timeout as Istio's gateways set it. */
export const GATEWAY_HANDSHAKE_TIMEOUT_MS = 15_000;
/** A port that could not be bound is tried again after this. */
export const REBIND_MS = 2_000;
/** Lines about refused connections: enough to see what is wrong, too few to fill a disk. */
export const REFUSALS_LOGGED_PER_SECOND = 10;

/** Tries in the localities first, before a retry leaves them (Istio: retry.go buildPreviousPrioritiesConfig). */
export const PRIORITY_UPDATE_FREQUENCY = 2;

/** Addresses and ports of workloads that a waypoint serves directly; each costs a table and an endpoint. */
export const DIRECT_PLACES_MAX = 10_000;

/** Bytes of tunnels that wait for slow destinations: beyond it connections with more than their free part are not read. */
export const QUEUED_BYTES_MAX = 64 * 1024 * 1024;
