/** Bounds of the ClientHello reader. */

/**
 * Envoy's TLS inspector reads as much (max_client_hello_size): two post-quantum key shares, a ticket and every extension in use stay
 * below 6 KiB.
 */
export const CLIENT_HELLO_BYTES_MAX = 16 * 1024;
