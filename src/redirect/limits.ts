/** Times of redirection, each with its reason. */

/** Whatever somebody broke is whole again within about this time (and one tick). A look at 100 pods takes 3 ms. */
export const RECONCILE_INTERVAL_MS = 1_000;
/** The pods of one interval are spread over ticks of this length, so that no tick is long. */
export const RECONCILE_TICK_MS = 100;

/** How often the CNI installation is looked at where the kernel does not tell: two small reads. */
export const INSTALL_CHECK_MS = 1_000;
/** Between two repairs of the configuration: an agent that insists on its own must not keep us busy. */
export const INSTALL_REPAIR_GAP_MS = 1_000;
/** After so many repairs the log says what to do about it, and again after as many. */
export const INSTALL_REPAIRS_NOTED = 10;

/** A step is some 80 bytes, and a transaction has to fit a socket's send buffer (208 KiB by default). */
export const ELEMENTS_PER_TRANSACTION = 500;
