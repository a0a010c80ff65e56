/**
 * Who broke a TLS handshake off and over what, as the code of the error that says so. Bun has three kinds of answers: a word for a
 * chain that BoringSSL could not verify (Node's codes), EPROTO with BoringSSL's own text, and the errno of the socket.
 */

type HandshakeFault =
  | 'NET_TLS_FAILED'
  | 'NET_TLS_REFUSED'
  | 'NET_CERTIFICATE_EXPIRED'
  | 'NET_CERTIFICATE_UNTRUSTED'
  | 'NET_CERTIFICATE_MISSING'
  | 'NET_PEER_IDENTITY';

/** The chain is good, the name is not: Bun looks at it only then. */
export const NAME_MISMATCH = 'ERR_TLS_CERT_ALTNAME_INVALID';
const EXPIRED: ReadonlySet<string> = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID']);
/** `error:10000460:SSL routines:OPENSSL_internal:TLSV1_ALERT_NO_APPLICATION_PROTOCOL`: library, reason; its name. */
const BORINGSSL = /error:[0-9a-f]{5}([0-9a-f]{3}):.*:([A-Z0-9_]+)/;
/** Reasons from here on are alerts that the peer sent (SSL_AD_REASON_OFFSET of BoringSSL's ssl.h). */
const ALERTS_FROM = 1000;
/** An errno, and `codeOf`'s word for an error that has no code. */
const OF_THE_SOCKET = /^E[A-Z]+$|^UNKNOWN$/;

export function handshakeFaultOf(code: string, message: string): HandshakeFault {
  if (code === NAME_MISMATCH) return 'NET_PEER_IDENTITY';
  if (EXPIRED.has(code)) return 'NET_CERTIFICATE_EXPIRED';
  if (code === 'EPROTO') return protocolFaultOf(message);
  return OF_THE_SOCKET.test(code) ? 'NET_TLS_FAILED' : 'NET_CERTIFICATE_UNTRUSTED';
}

function protocolFaultOf(message: string): HandshakeFault {
  const [, reason, name] = BORINGSSL.exec(message) ?? [];
  if (reason === undefined || Number.parseInt(reason, 16) >= ALERTS_FROM) return 'NET_TLS_FAILED';
  if (name === 'PEER_DID_NOT_RETURN_A_CERTIFICATE') return 'NET_CERTIFICATE_MISSING';
  // OpenSSL's alert about our certificate is in clear, where BoringSSL expects a record that is encrypted and hence longer.
  return name === 'BAD_PACKET_LENGTH' ? 'NET_TLS_FAILED' : 'NET_TLS_REFUSED';
}
