/** Limits of control/push, each with its reason. */

/** A push waits until nothing changed for this long: one kubectl apply is several events. */
export const PUSH_QUIET_MS = 5;
/** Under churn a push goes out at the latest after this: well below the second that a change may take. */
export const PUSH_DELAY_MAX_MS = 50;
/** Requests that a stream may send before its token is checked: one for each type, with room. */
export const UNCHECKED_REQUESTS_MAX = 16;
