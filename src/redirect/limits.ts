/** Times of redirection, each with its reason. */

/** Whatever somebody broke is whole again within about this time (and one tick). A look at 100 pods takes 3 ms. */
export const RECONCILE_INTERVAL_MS = 1_000;
/** The pods of one interval are spread over ticks of this length, so that no tick is long. */
export const RECONCILE_TICK_MS = 100;
