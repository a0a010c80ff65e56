/** Bounds of the telemetry store; each with the reason for its number. */

/** One second, one minute, one hour: how long a period of each is, and how long it is kept. */
export const TIERS = [
  // A minute more than the longest window: what falls out of it is read once more to be taken away.
  { name: 'second', seconds: 1, keptSeconds: 16 * 60 },
  { name: 'minute', seconds: 60, keptSeconds: 24 * 3600 },
  { name: 'hour', seconds: 3600, keptSeconds: 30 * 24 * 3600 },
] as const;
export type Tier = 0 | 1 | 2;

/** A second is closed so long after its end: proxies send at its end, over a network, from clocks a little apart. */
export const SEAL_DELAY_MS = 2000;
/** What comes for a second that is closed is gathered so long before it is booked: a proxy that was away sends many at once. */
export const LATE_GATHER_MS = 2000;
/** Seconds so far ahead of our clock are a wrong clock, not early news. */
export const FUTURE_SECONDS_MAX = 5;
/** Frames older than the finest tier have no second to be booked in. */
export const LATE_SECONDS_MAX = TIERS[0].keptSeconds - 30;

/** Kinds of traffic that are told apart (who, to whom, by whom reported). 20,000 edges take about as many; a counter set of as many is 5 MB for each 50,000. Beyond, all is booked on one "everything else". */
export const SERIES_MAX = 100_000;
/** Status codes, gRPC statuses and response flags that are told apart; Istio has about 40 flags, HTTP 60 codes. */
export const OUTCOMES_MAX = 1024;
/** Characters of any one text of a peer: Kubernetes' names end at 253, identities are somewhat longer. */
export const PEER_TEXT_MAX = 512;
/** Edges that one stream of a proxy may name; ids above are no ids of ours. */
export const STREAM_EDGES_MAX = 200_000;
/** Proxies whose last second is remembered. */
export const PROXIES_MAX = 20_000;

/** A mesh of 20,000 busy edges needs 177 MB a day. Beyond it the oldest goes, the finest tier first. */
export const STORE_BYTES_MAX = 512 * 1024 * 1024;
/** Without a directory the store is memory of the control plane, which is to stay small. */
export const MEMORY_STORE_BYTES_MAX = 64 * 1024 * 1024;
/** Broken files that are kept for somebody to look at. */
export const BROKEN_FILES_MAX = 2;
/** A disk that was full is tried again so often. */
export const RETRY_DISK_MS = 30_000;
/** Write-ahead log: SQLite folds it back after so many pages (of 4 KiB). */
export const WAL_PAGES = 2000;
/** SQLite's page cache: blocks are read once and put together in memory of ours. */
export const CACHE_KIB = 4096;

/** Encoded seconds held in memory, so that the windows that everybody looks at never read the disk. */
export const RECENT_SECONDS = 130;
/** Windows up to here are kept up to date second by second; longer ones are summed when asked. */
export const LIVE_WINDOW_SECONDS_MAX = 15 * 60;
/** The window of the graph as it opens; always kept. */
export const DEFAULT_WINDOW_SECONDS = 60;
/** Windows of other lengths kept at a time, 5 MB each in a large mesh. */
export const LIVE_WINDOWS_MAX = 4;
/** A window that nobody asked for is given back after so long. */
export const WINDOW_IDLE_MS = 60_000;

/** Changes of configuration and endpoints: bytes of their YAML, compressed. */
export const CHANGES_BYTES_MAX = 32 * 1024 * 1024;
/** An object may be 1.5 MB in the API; of a longer one the first part is kept. */
export const CHANGE_TEXT_MAX = 256 * 1024;
export const CHANGES_KEPT_SECONDS = 30 * 24 * 3600;
