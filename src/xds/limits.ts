/** Limits of xds/, each with its reason. */

/** Names that one stream may ask for on demand, per type. */
export const ON_DEMAND_NAMES_MAX = 100_000;
/** Types that one stream may subscribe to; more is a broken or hostile client. */
export const TYPES_PER_STREAM_MAX = 32;
/** Reasons in one NACK message; the rest is counted. */
export const NACK_REASONS_MAX = 10;

/**
 * Back-off of the client between attempts. Starts as ztunnel's (src/xds/client.rs); the cap and the growth are
 * lower, because a proxy that starts before its control plane should be in force soon after it.
 */
export const RECONNECT_INITIAL_MS = 10;
export const RECONNECT_FACTOR = 1.3;
export const RECONNECT_CAP_MS = 5_000;
/** A stream that lived this long was healthy: its end starts the back-off afresh. */
export const RECONNECT_RESET_AFTER_MS = 1_000;
