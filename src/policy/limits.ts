/** Bounds of policy decisions; each with its reason. */

/** Of many ALLOW policies that did not allow, so many are named: the reason is one log line. */
export const ALLOW_NAMES_MAX = 5;
