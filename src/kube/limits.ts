/** Bounds of the Kubernetes client; each with its reason. */

/** One watch event as JSON: etcd refuses objects over 1.5 MiB; managedFields and escapes stay below 8 times that. */
export const WATCH_LINE_CHARS_MAX = 12 * 1024 * 1024;

/** Objects per list page: the size client-go's reflector asks for. */
export const LIST_PAGE_OBJECTS = 500;

/** A page is some megabytes; a server that does not send it by then does not answer. */
export const LIST_PAGE_TIMEOUT_MS = 60_000;

/** Lists that one process has under way: each has a page in memory, and a server that comes back has others to answer. */
export const LISTS_AT_ONCE = 4;

/** A watch that lived so long is taken for sound: its end starts the back-off afresh. */
export const WATCH_SOUND_MS = 10_000;

/** A kind that was served counts as removed when it has not been for this long: a server that starts may not know it yet. */
export const ABSENT_AFTER_MS = 60_000;

/** What a broken watch missed comes right behind the head of the next one; by then it has been read, also on a busy machine. */
export const CATCH_UP_MS = 1_000;

/** Share of a back-off delay that is chance: the watches of a process were lost together and must not come back so. */
export const RECONNECT_JITTER = 0.5;

/** First delay after a failed list or watch; doubles up to the cap (client-go: 800 ms to 30 s, we reconnect sooner). */
export const RECONNECT_INITIAL_MS = 100;
export const RECONNECT_CAP_MS = 10_000;

/** How long the server may hold one watch open, in seconds; spread so that not all end at once. */
export const WATCH_TIMEOUT_SECONDS = 300;

/** A watch is taken for dead when it outlives the server's limit by half a minute. */
export const WATCH_LIFE_MS = (WATCH_TIMEOUT_SECONDS + 30) * 1000;

/** Events, as client-go's correlator: of one object 25 at once, then one each five minutes. */
export const EVENT_BURST = 25;
export const EVENT_REFILL_MS = 300_000;
/** The same words about the same object raise a count at most this often. */
export const EVENT_REPEAT_MS = 60_000;
/** Objects whose Events are counted (client-go: maxLruCacheEntries), and texts of each. */
export const EVENT_TARGETS_MAX = 4_096;
export const EVENT_TEXTS_MAX = 64;
/** Written one after the other; a burst of a whole mesh's findings fits. */
export const EVENTS_WAITING_MAX = 1_000;
/** The API refuses longer messages (core/v1 validation: NoteLengthLimit). */
export const EVENT_MESSAGE_CHARS_MAX = 1_024;
