/** Limits of xds/, each with its reason. */

/** A first response holds a whole mesh: ztunnel accepts as much (src/xds/client.rs). */
export const RESPONSE_BYTES_MAX = 200 * 1024 * 1024;
/** A first request names every retained resource: 100,000 of 150 bytes fit. */
export const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
/** Names that one stream may ask for on demand, per type. */
export const ON_DEMAND_NAMES_MAX = 100_000;
/** Types that one stream may subscribe to; more is a broken or hostile client. */
export const TYPES_PER_STREAM_MAX = 32;
/** Reasons in one NACK message; the rest is counted. */
export const NACK_REASONS_MAX = 10;

/** Back-off of the client between attempts, as ztunnel's (src/xds/client.rs). */
export const RECONNECT_INITIAL_MS = 10;
export const RECONNECT_CAP_MS = 15_000;
/** A stream that lived this long was healthy: its end starts the back-off afresh. */
export const RECONNECT_RESET_AFTER_MS = 30_000;
