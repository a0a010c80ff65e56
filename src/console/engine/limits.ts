/** Bounds of the console's thread; each with the reason for its number. */

/** A thread that died is started again after so long, and after each one that did not live for THREAD_WELL_MS twice as long: a bug that every start meets must not cost a core. */
export const RESTART_MS = 1000;
export const RESTART_CAP_MS = 60_000;
/** A thread that lived so long was well: what kills the next one is something else. */
export const THREAD_WELL_MS = 30_000;
/** What two threads that died young were told is not told to a third. */
export const RETELL_DEATHS_MAX = 2;
/** A thread that does not close in time is ended: what was booked is on disk already. */
export const CLOSE_MS = 5000;

/** What a thread did not say to be booked, five seconds at most while it is well: a mesh of 20,000 edges sends 1 MB a second. */
export const RETAINED_BYTES_MAX = 8 * 1024 * 1024;
/** Changes of configuration that wait for a thread. */
export const WAITING_CHANGES_MAX = 1000;
