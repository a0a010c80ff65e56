/** Bounds of the HTTP/1.1 codec. */

/** Start line and fields together. Envoy's default is 60 KiB, nginx's 32 KiB. */
export const HEAD_BYTES_MAX = 64 * 1024;
/** As Envoy's default (max_headers_count). */
export const HEADERS_MAX = 100;
/** The longest registered method has 17 characters (UPDATEREDIRECTREF). */
export const METHOD_BYTES_MAX = 32;
/** Request target. RFC 9112 §3 wants 8000 at least; nobody needs half of the whole head for it. */
export const TARGET_BYTES_MAX = 32 * 1024;
/** Trailer section of a chunked body. */
export const TRAILER_BYTES_MAX = 8 * 1024;
/** Extensions of one chunk; nobody uses them, floods do (CVE-2023-39326). */
export const CHUNK_EXTENSION_BYTES_MAX = 256;
/** Hex digits of a chunk size: 16 TiB, safely below 2^53. */
export const CHUNK_SIZE_DIGITS_MAX = 11;
/** Decimal digits of Content-Length: below 2^53. */
export const CONTENT_LENGTH_DIGITS_MAX = 15;
