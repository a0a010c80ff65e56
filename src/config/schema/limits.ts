/** Bounds of the schema engine: objects come from users, so every walk and every rule must end soon. */

/** Nesting of an object or a schema. Kubernetes' JSON decoder stops at 10,000; no real resource passes 40. */
export const SCHEMA_DEPTH_MAX = 128;

/** Findings of one validation; one more says that the rest was left out. */
export const FINDINGS_MAX = 100;

/** Values that the CEL rules of one request may read. The 128 x 16 route matches of Gateway API need some 50,000. */
export const CEL_READS_MAX = 2_000_000;

/** Length of one CEL expression, in characters; Kubernetes' budget corresponds to far less. */
export const CEL_EXPRESSION_CHARS_MAX = 65_536;

/** Length of one pattern of a schema, in characters. */
export const PATTERN_CHARS_MAX = 65_536;

/** Compiled patterns kept; a CRD brings a few, rules add a few more. */
export const PATTERN_CACHE_MAX = 2048;
