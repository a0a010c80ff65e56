/** Bounds of looking names up; each with the reason for its number. */

/** One try at one server: a resolver's usual wait; with the tries it stays below the time that a request waits. */
export const LOOKUP_TIMEOUT_MS = 2_000;
export const LOOKUP_TRIES = 2;

/** Look-ups at a time: a push with thousands of names must not flood the name servers. */
export const LOOKUPS_MAX = 64;

/** The hosts file knows no time to live; it changes with a pod, not while it runs. */
export const HOSTS_FILE_TTL_MS = 60_000;
