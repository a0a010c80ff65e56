/** Limits of control/push, each with its reason. */

/** A push waits until nothing changed for this long: one kubectl apply is several events. */
export const PUSH_QUIET_MS = 5;
/** Under churn a push goes out at the latest after this: well below the second that a change may take. */
export const PUSH_DELAY_MAX_MS = 50;
/** Requests that a stream may send before its token is checked: one for each type, with room. */
export const UNCHECKED_REQUESTS_MAX = 16;
/** Proxies that are sent everything at one time: some 5 MB each at 10,000 pods, a few times over until it is on the wire. */
export const FIRST_SYNCS_AT_ONCE = 2;
/** A proxy that has not taken its first answers by then is slow: others need not wait for it. */
export const FIRST_SYNC_HOLD_MS = 5_000;
/** How often proxies that may not be answered yet are looked at again: soon after the API is followed. */
export const HELD_RECHECK_MS = 250;
