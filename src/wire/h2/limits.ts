/** Bounds and fixed numbers of HTTP/2 frames (RFC 9113). */

export const FRAME_HEADER_BYTES = 9;
/** §4.2: every endpoint must take this much; the initial SETTINGS_MAX_FRAME_SIZE. */
export const FRAME_BYTES_DEFAULT = 16_384;
export const FRAME_BYTES_MAX = 16_777_215;
/** §6.9.1, §6.9.2. */
export const WINDOW_BYTES_DEFAULT = 65_535;
export const WINDOW_BYTES_MAX = 2_147_483_647;
/** §5.1.1: streams are numbered in 31 bits; a GOAWAY with it refuses none (§6.8). */
export const STREAM_ID_MAX = 0x7fffffff;
/** Parameters in one SETTINGS frame; six are defined, this leaves room for extensions. */
export const SETTINGS_COUNT_MAX = 32;
export const PING_BYTES = 8;
