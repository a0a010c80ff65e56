/** Bounds of the console's server; each with its reason. */

/** Live streams at once: each costs a delta a second. Whoever comes after is told when to try again. */
export const EVENT_STREAMS_MAX = 256;
/** One reader has a few pages open; without this bound one of them could take all the streams. */
export const EVENT_STREAMS_PER_CLIENT_MAX = 64;
/** A refused stream is tried again after this: a browser that reconnects at once would make it worse. */
export const EVENT_STREAM_RETRY_SECONDS = 15;
/** Bytes that wait for one slow reader before its stream is ended: some full graphs of a large mesh. */
export const EVENT_BACKLOG_BYTES_MAX = 4 << 20;
/** What is handed to the socket ahead of its reader. */
export const EVENT_AHEAD_BYTES = 64 << 10;
/** Comment lines keep proxies between us and the browser from ending a quiet stream; most wait 60 s. */
export const EVENT_HEARTBEAT_MS = 15_000;
/** A stream that was ended for slowness is cut off when its reader has not taken the rest in this time. */
export const EVENT_LINGER_SECONDS = 5;

/** Requests of one client: a page asks some twenty at once, and then a few a second. */
export const REQUESTS_PER_SECOND = 50;
export const REQUESTS_BURST = 400;
/** Clients whose rate is kept; beyond it the one that was seen least recently starts anew. */
export const CLIENTS_MAX = 4_096;

/** A request's address: longer ones come from nobody's browser (RFC 9110 §4.1 asks for 8000). */
export const URL_CHARACTERS_MAX = 8_192;
/** A query member. */
export const PARAMETER_CHARACTERS_MAX = 2_048;
/** Lists in one query member: namespaces, workloads. */
export const LIST_ITEMS_MAX = 200;

/** An object in etcd holds 1.5 MiB, and YAML is longer than JSON by some. */
export const CONFIG_BODY_BYTES_MAX = 3 << 20;
/** `POST /api/v1/why`: some thousand requests; more would hold the loop that serves discovery. */
export const WHY_BODY_BYTES_MAX = 1 << 20;
/** A token, as JSON; those of identity providers have up to some 16 KiB. */
export const LOGIN_BODY_BYTES_MAX = 64 << 10;
/** What any other request may carry. */
export const BODY_BYTES_MAX = 64 << 10;

/** Browsers refuse cookies above 4096 bytes, name and attributes included (RFC 6265 §6.1). */
export const COOKIE_BYTES_MAX = 3_900;
/** A working day: the token in it may end earlier, and then so does the session. */
export const SESSION_SECONDS = 8 * 3600;

/** How long a verdict of the API server about a token or a right is believed: so long a withdrawn one may still read. */
export const VERDICT_MS = 30_000;
/** Verdicts kept: rights of some hundred readers in some hundred namespaces. */
export const VERDICTS_MAX = 20_000;
/** Namespaces about which the API server is asked one by one for a reader without rights in all of them. */
export const REVIEWED_NAMESPACES_MAX = 500;
/** Questions about rights that are open at the API server at once. */
export const REVIEWS_AT_ONCE = 8;

/** Log-ins of one client in a minute: tokens are not to be guessed at the API server's cost. */
export const LOGINS_PER_MINUTE = 20;

/** Lines of a pod's log that are read for one answer, and what they may weigh. */
export const LOG_LINES_MAX = 5_000;
export const LOG_LINES_DEFAULT = 500;
export const LOG_BYTES_MAX = 4 << 20;

/** Longest window of the graph and the lists: the reach of the finest store. */
export const WINDOW_SECONDS_MAX = 86_400;
export const WINDOW_SECONDS_DEFAULT = 60;
/** Longest span of the time bar and of charts: the reach of the coarsest store. */
export const RANGE_SECONDS_MAX = 31 * 86_400;

/** Rows of requests and traces in one answer. */
export const ROWS_MAX = 1_000;
export const ROWS_DEFAULT = 100;

/** Requests a second that a tap shows when nothing is said, and at most: more is not read by eye. */
export const TAP_PER_SECOND_DEFAULT = 100;
export const TAP_PER_SECOND_MAX = 1_000;

/** A file of the console that is kept in memory; larger ones are read from the disk each time. */
export const CACHED_FILE_BYTES_MAX = 2 << 20;

/** Writes of one text, where others change the object in between: controllers write a status once or twice after a change. */
export const STORE_TRIES = 4;
