/** Bounds of reading X.509 structures that others wrote. */

/** A walk over the children of one element stops after this many: a real certificate has fewer than 100. */
export const ELEMENTS_MAX = 512;
/** Certificates in one revocation list. Each costs about 100 bytes here; beyond it the list is refused, not cut. */
export const REVOKED_MAX = 200_000;
