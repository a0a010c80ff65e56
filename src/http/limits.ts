/** Bounds of the HTTP drivers. Codec bounds are in wire/h1, wire/h2 and wire/hpack. */

/** For HTTP over HTTP/2: enough for 10 Gbit/s at 0.2 ms; what one slow reader can make us hold. */
export const STREAM_WINDOW_BYTES = 256 * 1024;
export const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** DATA passes through unbuffered, so large frames cost nothing and save headers. As ztunnel. */
export const FRAME_BYTES_ACCEPTED = 1024 * 1024;
/** DATA frames that we write: larger ones would let one stream hold the connection too long. */
export const FRAME_BYTES_SENT = 64 * 1024;
/** Streams a peer may have open with us; ztunnel advertises 200, Envoy's waypoint 100. */
export const CONCURRENT_STREAMS_MAX = 200;
/** Assumed until the peer's SETTINGS are there (as ztunnel). */
export const CONCURRENT_STREAMS_ASSUMED = 100;

/** Bytes that wait for the socket before `write` takes no more. */
export const OUTPUT_HIGH_BYTES = 256 * 1024;
/** Within a turn, write out early at this size: memory stays in cache, the peer can begin. */
export const OUTPUT_FLUSH_BYTES = 64 * 1024;
/** DATA of at least this size goes to the socket uncopied, in one frame of at most so many bytes: 0.3 ms for the other streams. */
export const DIRECT_DATA_BYTES = 64 * 1024;
export const DIRECT_FRAME_BYTES_MAX = 256 * 1024;
/** RFC 8446 §5.1: what one TLS record carries. */
export const TLS_RECORD_BYTES = 16 * 1024;
/** First sizes of output buffers; they double as needed. */
export const H2_OUTPUT_BYTES = 4 * 1024;
export const H1_OUTPUT_BYTES = 2 * 1024;
/** A buffer that a burst made larger than this is given up again… */
export const OUTPUT_KEEP_BYTES = 128 * 1024;
/** …once as many writes in a row had no more than this: a pooled connection that idles writes a PING now and then. */
export const OUTPUT_CALM_WRITES = 8;
export const OUTPUT_CALM_BYTES = 16 * 1024;
/** Bodies of at least this size go to the socket as they are, when nothing waits before them. */
export const DIRECT_WRITE_BYTES = 8 * 1024;

/** Buffers of a first size that are kept for the next writers: those that one turn of the loop fills under a usual load. */
export const OUTPUT_SPARE_MAX = 256;

/** Coded bytes of one header block over all its frames. Decoded size is bounded by wire/hpack. */
export const HEADER_BLOCK_BYTES_MAX = 64 * 1024;
/** CONTINUATION frames of one block (CVE-2024-27983 and its kin). */
export const CONTINUATIONS_MAX = 16;
/** A GOAWAY's debug text that we read. */
export const GOAWAY_DEBUG_BYTES_MAX = 256;
/** Frames that cost work and bring nothing (h2/flood-guard.ts lists them) within one second without any progress between them. */
export const IDLE_FRAMES_PER_SECOND_MAX = 1000;
/** Answers to control frames (ACKs, resets) that wait for the socket because the peer does not read. */
export const CONTROL_BACKLOG_BYTES_MAX = 1024 * 1024;
/** Streams reset before we answered, by the client (CVE-2023-44487) or for its fault: from this many on, at most half of all. */
export const PREMATURE_RESETS_MIN = 500;
/** Streams we reset and whose late frames are let pass: five connections' worth of open streams. */
export const RESETS_REMEMBERED_MAX = 1024;
/** Time for a client to answer the PING behind our first GOAWAY; then streams that it opens are refused. */
export const DRAIN_ANSWER_MS = 5000;
/**
 * Of the bytes that wait for paused readers of streams, what a connection may hold although all connections together hold too
 * much: a stream that is only a little behind goes on.
 */
export const QUEUED_FREE_BYTES = 64 * 1024;
/** Time for a peer to take our GOAWAY and close before we reset the socket. */
export const CLOSE_LINGER_MS = 1000;

/** An HTTP/1.1 head must be whole in this time (slow-loris), as Envoy's edge advice. */
export const HEAD_TIMEOUT_MS = 60_000;
/** A body whose length is not there yet must go on within this time, as long as it has no answer; Envoy's stream idle timeout. */
export const BODY_IDLE_TIMEOUT_MS = 300_000;
/** Informational responses to one request; 102 once in ten seconds goes on for hours. */
export const INFORMATIONALS_MAX = 1000;
/** Time for a peer to end its half of a tunnel once ours is over: what it still sends is for nobody. */
export const TUNNEL_LINGER_MS = 60_000;
/** Idle server connections without any request, as Envoy's default. */
export const IDLE_TIMEOUT_MS = 3_600_000;
/** Body bytes an adapter holds for a stalled peer before `sendBody` answers false. */
export const BODY_HIGH_BYTES = 64 * 1024;
/** Request body bytes that are read and dropped after an early response, to keep the connection. */
export const DISCARD_BYTES_MAX = 256 * 1024;
