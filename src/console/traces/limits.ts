/** Bounds of what is kept request by request; each with the reason for its number. */

/** Spans of a trace that are kept: a request rarely has more than thirty hops, a loop has no end. */
export const SPANS_PER_TRACE_MAX = 500;
/** A trace is written when no span of it came for so long. */
export const TRACE_QUIET_MS = 2000;
/** Traces that wait for more spans; beyond it the oldest are written as they are. */
export const TRACES_PENDING_MAX = 2000;
/** Characters of one text attribute; proxies cut theirs at 2048. */
export const ATTRIBUTE_CHARS_MAX = 2048;
export const ATTRIBUTES_MAX = 128;
/** On disk, compressed: about 100,000 traces of five spans. */
export const TRACES_BYTES_MAX = 64 * 1024 * 1024;
export const TRACES_KEPT_MS = 24 * 3600 * 1000;

/** Records that ended well, kept a second: samples of all proxies, and what somebody watches. Failed ones have the rest. */
export const GOOD_RECORDS_PER_SECOND_MAX = 20;
export const RECORDS_PER_SECOND_MAX = 500;
/** Characters of a text of a record: long paths are for the access log. */
export const RECORD_TEXT_MAX = 1024;
/** On disk, each with a bound of its own: samples never end, and a failure of yesterday is still to be found. */
export const RECORDS_BYTES_MAX = { good: 12 * 1024 * 1024, failed: 20 * 1024 * 1024 } as const;
export const RECORDS_KEPT_MS = 24 * 3600 * 1000;

/** Rows that one question looks at, youngest first, before it answers with what it found. */
export const SCAN_MAX = 50_000;
export const PAGE_ROWS = 500;
/** Rows that one answer may have. */
export const ROWS_MAX = 1000;
