/** Bounds of Telemetry objects; each with its reason. */

/** Longest expressions seen in Istio's documents have 200 characters; each is in the configuration of every proxy. */
export const EXPRESSION_CHARS_MAX = 2048;

/** Parts of an expression: each costs some tens of nanoseconds for each request, so the worst filter costs microseconds. */
export const EXPRESSION_NODES_MAX = 100;

/** Labels that a metric may get beyond Istio's: more make series that no dashboard reads. */
export const EXTRA_TAGS_MAX = 20;
