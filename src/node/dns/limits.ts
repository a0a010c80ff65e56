/** Limits and times of the DNS proxy, each with its reason. */

/** As ztunnel (src/dns/server.rs): short enough for a service that moves, long enough to spare the asking. */
export const LOCAL_TTL_SECONDS = 30;
/** That there is nothing: a headless service whose first endpoint becomes ready must be found soon (CoreDNS: 5 s). */
export const LOCAL_NEGATIVE_TTL_SECONDS = 5;

/** A query that the mesh answers itself: a name of 255 bytes with EDNS, cookies and padding (RFC 8467) has a third of it. */
export const READ_QUERY_BYTES_MAX = 4096;
/** OPT and a signature; a few more do no harm. */
export const READ_ADDITIONALS_MAX = 4;

/** Queries of one pod that wait for an upstream or for discovery. A resolver has two a thread; an app with 128 threads
 * that all look up at once still fits. Each holds up to three descriptors. */
export const PENDING_QUERIES_PER_POD_MAX = 256;
/** Of all pods of the node; each may hold UPSTREAM_TRIES descriptors. */
const PENDING_QUERIES_MAX = 4096;
/** At most a quarter of the open files of this process goes to look-ups: what they are for needs the rest. */
const PENDING_DESCRIPTOR_SHARE = 4;

export function pendingQueriesMax(openFilesMax: number): number {
  const share = Math.floor(openFilesMax / (UPSTREAM_TRIES * PENDING_DESCRIPTOR_SHARE));
  return Math.max(1, Math.min(PENDING_QUERIES_MAX, share));
}

/**
 * Datagrams of one pod that are looked at in one turn of the event loop, some 2 ms: the runtime reads a socket until it is
 * empty, and a pod that floods must not hold up its neighbours.
 */
export const DATAGRAMS_PER_TURN_MAX = 64;
/** The others wait for the next turns, up to this; then they are dropped, as a full socket would. */
export const DATAGRAMS_WAITING_MAX = 1024;

/** As ztunnel (src/dns/server.rs): a TCP client that neither asks nor is owed an answer is closed. */
export const TCP_IDLE_MS = 5_000;
/** Resolvers use one connection each; more is a leak of the app. A connection may hold 64 KiB of a half-read query. */
export const TCP_CONNECTIONS_PER_POD_MAX = 64;
/** Queries of one connection that are worked on at once; then it is not read (RFC 7766 §6.2.1.1 allows any order). */
export const TCP_PIPELINED_MAX = 32;

/** Until another try. Earlier tries go on listening: a slow server's late answer counts. */
export const UPSTREAM_TRY_MS = 1_500;
/** Over UDP, spread over the servers. Three tries end below the 5 s that glibc and musl wait before they give up. */
export const UPSTREAM_TRIES = 3;
export const UPSTREAM_DEADLINE_MS = UPSTREAM_TRY_MS * UPSTREAM_TRIES;

/** Between two messages of a zone transfer, slow clients included; then it is over, complete or not. */
export const TRANSFER_IDLE_MS = 30_000;

export const RESOLV_CONF = '/etc/resolv.conf';
/** resolv.conf(5) MAXNS. */
export const NAMESERVERS_MAX = 3;
/** How often resolv.conf is looked at, when it is needed at all. */
export const RESOLV_CONF_CHECK_MS = 5_000;

/** ztunnel's on-demand resolver (src/config.rs): names that are remembered. */
export const RESOLVED_NAMES_MAX = 4096;
/** A TTL of 0 must not become a query for each connection. */
export const RESOLVED_TTL_FLOOR_MS = 1_000;
/** Nor must a TTL of a week keep an address that has moved. */
export const RESOLVED_TTL_CEILING_MS = 3_600_000;
/** "No such name" and failures: long enough to spare the server, short enough to notice the repair. */
export const UNRESOLVED_TTL_MS = 3_000;
/** Names that are being resolved at once. */
export const RESOLVING_NAMES_MAX = 256;
