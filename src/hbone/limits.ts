/** Limits of hbone/; most are what ztunnel sends and expects (src/config.rs). */

export const HBONE_PORT = 15008;
export const HBONE_ALPN = 'h2';

export const STREAM_WINDOW_BYTES = 4 << 20;
export const CONNECTION_WINDOW_BYTES = 16 << 20;
export const FRAME_BYTES_MAX = 1 << 20;
/** A CONNECT head is a few hundred bytes; ztunnel's own bounds for what it receives. */
export const CLIENT_HEADER_LIST_BYTES_MAX = 16 * 1024;
export const SERVER_HEADER_LIST_BYTES_MAX = 64 * 1024;
/** Streams we open on one connection before another is dialled. */
export const STREAMS_PER_CONNECTION_MAX = 100;
/** Streams a peer may open on one connection to us. */
export const STREAMS_ACCEPTED_MAX = 200;

export const KEEPALIVE_INTERVAL_MS = 10_000;
export const KEEPALIVE_TIMEOUT_MS = 20_000;

/** An unused connection is given up after this. */
export const UNUSED_RELEASE_MS = 5 * 60_000;
/** How often unused connections are looked for. */
export const RELEASE_SWEEP_MS = 15_000;
/** Dials and tunnels waiting on one key; more means the peer is down and callers must hear it now. */
export const WAITING_PER_KEY_MAX = 4096;
/** A stream that the peer provably did not process is tried once more on another connection. */
export const OPEN_ATTEMPTS_MAX = 2;
export const TUNNEL_CONNECT_TIMEOUT_MS = 10_000;
/** The peer must answer CONNECT within this; it includes its own connect to the app. */
export const TUNNEL_ANSWER_TIMEOUT_MS = 15_000;

/** Peers that only their baggage describes and that telemetry knows at a time; each is a few hundred bytes. */
export const DESCRIBED_PEERS_MAX = 1_024;
/** What ztunnel and Envoy write of themselves is below 500 characters; labels are not for essays. */
export const BAGGAGE_CHARS_MAX = 2_048;
