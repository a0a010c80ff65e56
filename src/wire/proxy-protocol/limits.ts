/** Bounds of the PROXY protocol reader. */

/** haproxy doc/proxy-protocol.txt §2.1: the longest version 1 line, its CR LF included. */
export const V1_BYTES_MAX = 107;
/** Addresses and TLVs of version 2. Load balancers send some ten TLVs; certificates are not among them. */
export const V2_BYTES_MAX = 4096;
/** The header must be whole in this time: it is the sender's first segment. As haproxy's advice of "at least 3 seconds". */
export const PROXY_HEADER_TIMEOUT_MS = 5000;
