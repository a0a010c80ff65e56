/** Bounds of the telemetry layer; each with the reason for its number. */

/** Series of one metric. 10,000 edges at 19 buckets is about 20 MB of exposition text: beyond, a scrape hurts more than it tells. */
export const SERIES_PER_METRIC_MAX = 10_000;

/** Sweeps that a released series survives, so that one last scrape (and one missed one) still sees its final value. */
export const STALE_SWEEPS = 2;

/** Access log bytes waiting for a slow reader of stdout; beyond it lines are dropped and counted. */
export const ACCESS_LOG_PENDING_BYTES_MAX = 4 * 1024 * 1024;

/** Lines wait so long for others to be written with: shorter than anybody looks. */
export const ACCESS_LOG_BATCH_MS = 50;
/** With this much of them they do not wait: a pipe holds 64 KiB. */
export const ACCESS_LOG_BATCH_BYTES = 32 * 1024;

/** A field of an access log line is cut here: a 60 KB URL must not become a 60 KB line. */
export const ACCESS_LOG_FIELD_CHARS_MAX = 2048;
/** Characters of an admin answer that are rendered in one turn of the loop: about 0.1 ms. */
export const ANSWER_PIECE_CHARS = 32 * 1024;

/** W3C Trace Context §3.3.1.1 allows 32 members, §3.3.1.5 asks for at least 512 characters; what is longer comes from nobody sane. */
export const TRACE_STATE_MEMBERS_MAX = 32;
export const TRACE_STATE_CHARS_MAX = 2048;

/** Spans of requests that failed without being sampled: enough to see what fails, too few to matter in an outage. */
export const FAILURE_SPANS_PER_SECOND_MAX = 100;
/** Characters of a value in a span: what a stranger sent must not become a span of 60 KB (Envoy's max_path_tag_length is the same). */
export const SPAN_VALUE_CHARS_MAX = 256;

/** Of a label whose value an expression makes of a request: names and paths fit, bodies of text do not. */
export const LABEL_VALUE_CHARS_MAX = 256;

/**
 * Combinations of labels of one workload: a hundred peers with the answers that they usually get. Each is a series of each metric, and at
 * a waypoint some 13 KiB of memory and of each scrape with its histograms.
 */
export const SERIES_SETS_PER_WORKLOAD_MAX = 500;

/** Workloads that have series in one process: pods of a large node, services of a large waypoint. */
export const OWNERS_MAX = 2_000;

/** Of a full budget this share is freed at each sweep, so that who is busy now finds a place within minutes. */
export const BUDGET_FREED_SHARE = 0.1;

/** Answers of one edge that have series of their own, where its series are shared: codes, flags and gRPC's statuses. */
export const SHARED_OUTCOMES_MAX = 100;

/** A log file is looked at this often: what a rotation moved away gets lines of one second more. */
export const LOG_FILE_CHECK_MS = 1_000;
/** A disk that is full, or a folder that is not there, is tried again after this. */
export const LOG_FILE_RETRY_MS = 1_000;

/** Connections in one answer of an admin port unless the caller asks for more; the answer says how many there are. */
export const CONNECTIONS_SHOWN = 1_000;
export const CONNECTIONS_SHOWN_MAX = 100_000;
