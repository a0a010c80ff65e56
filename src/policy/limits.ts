/** Bounds of policy decisions; each with its reason. */

/** Of many ALLOW policies that did not allow, so many are named: the reason is one log line. */
export const ALLOW_NAMES_MAX = 5;

/** Buckets that one rate limit remembers, some 100 bytes each; callers beyond it share one. */
export const RATE_LIMIT_KEYS_MAX = 10_000;
/** Longer header values are keys by their hash. */
export const KEY_CHARS_MAX = 128;

/** An adaptive bound is looked at anew after this time, when at least so many answers came in it. */
export const ADAPTIVE_WINDOW_MS = 250;
export const ADAPTIVE_SAMPLES_MIN = 20;
/** The unloaded answer time is the best of so many windows: half a minute at full rate, so that it follows a slower application. */
export const ADAPTIVE_BASELINE_WINDOWS = 120;
/** Bound of an adaptive limit without `maxRequests`. */
export const ADAPTIVE_REQUESTS_MAX = 10_000;

/** The event loop's lateness is measured this often. */
export const LAG_SAMPLE_MS = 20;
/** The least important class is shed from this share of each bound on; the classes between lie evenly. */
export const LAST_CLASS_PERCENT = 50;
