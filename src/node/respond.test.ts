import { expect, test } from 'bun:test';
import { MeshError } from '#base/errors.ts';
import { responseOf } from './respond.ts';

test.each([
  ['NODE_POLICY', 401, 'DENY'],
  ['NODE_POLICY_CHANGED', 401, 'DENY'],
  ['NODE_BAD_TUNNEL', 400, 'CONNECT'],
  ['NET_CONNECT_REFUSED', 503, 'CONNECT'],
  ['HBONE_CONNECT_TIMEOUT', 503, 'NETWORK_POLICY'],
  ['HBONE_HANDSHAKE_FAILED', 503, 'H2_HANDSHAKE_FAILURE'],
  ['HBONE_NO_IDENTITY', 503, 'IDENTITY_ERROR'],
  ['NET_TLS_FAILED', 503, 'TLS_FAILURE'],
  ['NET_TLS_REFUSED', 503, 'TLS_FAILURE'],
  ['NET_CERTIFICATE_EXPIRED', 503, 'TLS_FAILURE'],
  ['NET_CERTIFICATE_UNTRUSTED', 503, 'TLS_FAILURE'],
  ['NET_CERTIFICATE_MISSING', 503, 'TLS_FAILURE'],
  ['NET_PEER_IDENTITY', 503, 'TLS_FAILURE'],
  ['TRUST_REVOKED', 503, 'CERT_REVOKED'],
  ['NODE_LIMIT', 503, 'LIMIT'],
  ['SOMETHING_NEW', 503, 'CONNECT'],
] as const)('%s is status %d and flag %s', (code, status, flag) => {
  expect(responseOf(new MeshError(code, '', { side: 'self', hint: '' }))).toEqual({ status, flag });
});
