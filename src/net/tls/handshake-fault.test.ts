/** What Bun says of a handshake, as it was seen to say it; bun-network.test.ts and hostile-handshake see it said. */
import { describe, expect, test } from 'bun:test';
import { handshakeFaultOf } from './handshake-fault.ts';

const boringssl = (number: string, name: string) =>
  `error:${number}:SSL routines:OPENSSL_internal:${name}`;

const ROWS: [code: string, message: string, want: ReturnType<typeof handshakeFaultOf>][] = [
  ['CERT_HAS_EXPIRED', 'certificate has expired', 'NET_CERTIFICATE_EXPIRED'],
  ['CERT_NOT_YET_VALID', 'certificate is not yet valid', 'NET_CERTIFICATE_EXPIRED'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', '', 'NET_CERTIFICATE_UNTRUSTED'],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', '', 'NET_CERTIFICATE_UNTRUSTED'],
  ['SELF_SIGNED_CERT_IN_CHAIN', '', 'NET_CERTIFICATE_UNTRUSTED'],
  ['INVALID_PURPOSE', 'unsupported certificate purpose', 'NET_CERTIFICATE_UNTRUSTED'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', '', 'NET_PEER_IDENTITY'],
  ['EPROTO', boringssl('100000c0', 'PEER_DID_NOT_RETURN_A_CERTIFICATE'), 'NET_CERTIFICATE_MISSING'],
  ['EPROTO', boringssl('100000f0', 'UNSUPPORTED_PROTOCOL'), 'NET_TLS_REFUSED'],
  ['EPROTO', boringssl('10000133', 'NO_APPLICATION_PROTOCOL'), 'NET_TLS_REFUSED'],
  ['EPROTO', boringssl('1000010a', 'NO_SHARED_GROUP'), 'NET_TLS_REFUSED'],
  ['EPROTO', boringssl('1000009c', 'HTTP_REQUEST'), 'NET_TLS_REFUSED'],
  ['EPROTO', boringssl('100000f7', 'WRONG_VERSION_NUMBER'), 'NET_TLS_REFUSED'],
  ['EPROTO', boringssl('10000418', 'TLSV1_ALERT_UNKNOWN_CA'), 'NET_TLS_FAILED'],
  ['EPROTO', boringssl('10000412', 'SSLV3_ALERT_BAD_CERTIFICATE'), 'NET_TLS_FAILED'],
  ['EPROTO', boringssl('1000042e', 'TLSV1_ALERT_PROTOCOL_VERSION'), 'NET_TLS_FAILED'],
  ['EPROTO', boringssl('10000458', 'TLSV1_UNRECOGNIZED_NAME'), 'NET_TLS_FAILED'],
  ['EPROTO', boringssl('10000070', 'BAD_PACKET_LENGTH'), 'NET_TLS_FAILED'],
  ['EPROTO', 'protocol error', 'NET_TLS_FAILED'],
  ['ECONNRESET', 'socket disconnected', 'NET_TLS_FAILED'],
  ['UNKNOWN', 'something', 'NET_TLS_FAILED'],
];

describe('handshakeFaultOf', () => {
  test.each(ROWS)('%s %s is %s', (code, message, want) => {
    expect(handshakeFaultOf(code, message)).toBe(want);
  });
});
