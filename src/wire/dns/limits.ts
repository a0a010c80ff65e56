/** Bounds of the DNS codec, with where each is from. */

/** RFC 1035 §2.3.4: a label. */
export const LABEL_BYTES_MAX = 63;
/** RFC 1035 §2.3.4: a whole name on the wire, with length bytes and the root. */
export const NAME_BYTES_MAX = 255;
/** A name of 255 bytes has at most 127 labels; more jumps than that is a loop. */
export const COMPRESSION_JUMPS_MAX = 127;
/** RFC 1035 §4.2.1: a UDP answer to a client that did not offer EDNS. */
export const UDP_PAYLOAD_BYTES = 512;
/** DNS flag day 2020: an answer of this size is not fragmented on any path. */
export const EDNS_PAYLOAD_BYTES = 1232;
/** What one UDP datagram over IPv4 can carry: 65,535 bytes less the IP and UDP headers. */
export const UDP_MESSAGE_BYTES_MAX = 65507;
/** RFC 1035 §4.2.2: the length field of DNS over TCP is 16 bit. */
export const TCP_MESSAGE_BYTES_MAX = 65535;
/** Records a message may carry; a 64 KiB message of the smallest records (11 bytes) has fewer than 6000. */
export const RECORDS_MAX = 6000;
