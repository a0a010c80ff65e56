/** Limits of gRPC to and from the control plane, each with its reason. */

/** As ztunnel's connection to istiod (src/tls/control.rs): finds a dead path within 40 s. */
export const KEEPALIVE_TIME_MS = 30_000;
export const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Connect, TLS and first answer of a call that is not a stream. */
export const CALL_TIMEOUT_MS = 10_000;
/** A first response holds a whole mesh: ztunnel accepts as much (src/xds/client.rs). */
export const RECEIVE_BYTES_MAX = 200 * 1024 * 1024;
/** What the server takes in one message: 100,000 retained names of 150 bytes. */
export const SERVER_RECEIVE_BYTES_MAX = 16 * 1024 * 1024;
/** Finished calls get this long when the server stops; then streams are cut. */
export const SERVER_DRAIN_MS = 1_000;
/** A first response of 10,000 workloads is 3 MB: with the default window it would wait for 45 round trips. */
export const WINDOW_BYTES = 4 * 1024 * 1024;
