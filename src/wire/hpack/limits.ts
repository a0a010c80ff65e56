/** Bounds of the HPACK codec. */

/** Dynamic table, RFC 9113 §6.5.2 initial value; what we offer a peer and use ourselves at most. */
export const TABLE_BYTES = 4096;
/** Overhead of one entry, RFC 7541 §4.1. */
export const ENTRY_OVERHEAD_BYTES = 32;
/** Entries a 4096-byte table can hold. */
export const TABLE_ENTRIES_MAX = TABLE_BYTES / ENTRY_OVERHEAD_BYTES;
/** Decoded header list (name + value + 32 each), as ztunnel's server side. */
export const HEADER_LIST_BYTES_MAX = 64 * 1024;
/** Fields of one list, as for HTTP/1.1 plus the pseudo-header fields. */
export const HEADER_LIST_FIELDS_MAX = 110;
