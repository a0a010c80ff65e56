/** What the holder of a cluster and its starter say to each other over standard input and output. */

/** One JSON line each, from the holder. */
export type HostEvent =
  | { event: 'step'; text: string }
  | { event: 'ready' }
  | { event: 'failed'; message: string };

/** From the starter: the cluster shall outlive it. */
export const DETACH = 'detach';
