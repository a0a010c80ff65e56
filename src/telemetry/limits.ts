/** Bounds of the telemetry layer; each with the reason for its number. */

/** Series of one metric. 10,000 edges at 19 buckets is about 20 MB of exposition text: beyond, a scrape hurts more than it tells. */
export const SERIES_PER_METRIC_MAX = 10_000;

/** Sweeps that a released series survives, so that one last scrape (and one missed one) still sees its final value. */
export const STALE_SWEEPS = 2;

/** Access log bytes waiting for a slow reader of stdout; beyond it lines are dropped and counted. */
export const ACCESS_LOG_PENDING_BYTES_MAX = 4 * 1024 * 1024;

/** A field of an access log line is cut here: a 60 KB URL must not become a 60 KB line. */
export const ACCESS_LOG_FIELD_CHARS_MAX = 2048;
