/** Bounds of the Kubernetes client; each with its reason. */

/** One watch event as JSON: etcd refuses objects over 1.5 MiB; managedFields and escapes stay below 8 times that. */
export const WATCH_LINE_CHARS_MAX = 12 * 1024 * 1024;

/** Objects per list page: the size client-go's reflector asks for. */
export const LIST_PAGE_OBJECTS = 500;

/** First delay after a failed list or watch; doubles up to the cap (client-go: 800 ms to 30 s, we reconnect sooner). */
export const RECONNECT_INITIAL_MS = 100;
export const RECONNECT_CAP_MS = 10_000;

/** How long the server may hold one watch open, in seconds; spread so that not all end at once. */
export const WATCH_TIMEOUT_SECONDS = 300;

/** A watch is taken for dead when it outlives the server's limit by half a minute. */
export const WATCH_LIFE_MS = (WATCH_TIMEOUT_SECONDS + 30) * 1000;
