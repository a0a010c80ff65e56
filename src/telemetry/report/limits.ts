/** Bounds of what a proxy reports one by one, and of its stream; each with the reason for its number. */

/** Failed and denied requests that wait while no control plane takes them: what an outage of it hides most. */
export const RECORDS_WAITING_MAX = 512;
/** Of failed requests, a second: a destination that is down fails all of them, and fifty say so. */
export const FAILED_RECORDS_PER_SECOND_MAX = 50;
/** Of all filters together: what a person reads in a console that scrolls, and 0.5 ms of the loop. */
export const TAPPED_RECORDS_PER_SECOND_MAX = 200;
/** Of those that went well and nobody watches: of a thousand a second some seven take longer than all before them in it. */
export const SAMPLED_RECORDS_PER_SECOND_MAX = 8;
/** Filters at a time: each record is held against all of them. */
export const TAPS_MAX = 16;
/** Two seconds of a waypoint that samples a few hundred requests a second; a span is about 1 KB. */
export const SPANS_WAITING_MAX = 1_024;
/** Messages are cut here, so that none holds the other streams of the connection for long. */
export const SPANS_PER_MESSAGE = 128;
export const EDGES_PER_MESSAGE = 500;
/** A path or user agent is cut here, as in the access log. */
export const TEXT_CHARS_MAX = 2_048;

/** Records and spans wait so long for company: soon enough to be called live. */
export const FLUSH_MS = 200;
/**
 * Reports on their way that the control plane has not taken: beyond, edges and frames wait in the ring and spans are dropped. It takes them
 * as fast as one proxy may send, and ends a stream that does not wait.
 */
export const UNTAKEN_BYTES_MAX = 1024 * 1024;
/** A control plane that knows no such stream: asked again this much later, in case it was replaced by ours. */
export const UNKNOWN_STREAM_RETRY_MS = 10 * 60_000;
/** One that refused or broke it off: as the back-off of discovery, but slower, since nothing waits for it. */
export const REOPEN_INITIAL_MS = 250;
export const REOPEN_CAP_MS = 30_000;
/** Edges that were idle for long are looked for this often. */
export const BOOK_SWEEP_SECONDS = 30;
