/** Bounds of the flow book, each with the reason for its number. */

/** Edges of one proxy at a time: the mesh that the console is built for, behind a single proxy. Beyond it they are summed in one. */
export const FLOW_EDGES_MAX = 20_000;
/** What a control plane that was restarted is sent again: an upgrade of it takes less than a minute, and one that fails is seen within two. */
export const RING_SECONDS = 120;
/** A node with 100 pods of ten peers each fills 20 KB a second. Memory of a proxy is for its traffic: beyond it the oldest second goes. */
export const RING_BYTES_MAX = 4 * 1024 * 1024;
/** An edge without traffic for so long leaves its id to others; no frame of the ring speaks of it any more. */
export const EDGE_FORGOTTEN_SECONDS = RING_SECONDS + 60;
/** Codes, flags and buckets of one frame, times its edges: all buckets (20) and as many codes and flags. */
export const FRAME_ENTRIES_PER_EDGE_MAX = 64;
/** Response flags that one frame names: Envoy has 29, ours are fewer. */
export const FRAME_FLAGS_MAX = 64;
/** Seconds end for a proxy's main thread a little later than for its data workers, whose frames are then in its own. */
export const WORKER_LEAD_MS = 100;
