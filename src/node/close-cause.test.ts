import { describe, expect, test } from 'bun:test';
import { MeshError, type Side } from '#base/errors.ts';
import { type CloseCause, closeCauseOf } from './close-cause.ts';

function failure(code: string, side: Side, more: { cause?: unknown; decidedBy?: string } = {}) {
  return new MeshError(code, 'message', { side, hint: '', ...more });
}

interface Row {
  title: string;
  error: MeshError | undefined;
  firstEnd?: 'downstream' | 'upstream';
  want: CloseCause;
}

const TIMED_OUT = new Error('read ETIMEDOUT');

const ROWS: Row[] = [
  {
    title: 'the client hung up first',
    error: undefined,
    firstEnd: 'downstream',
    want: { by: 'downstream', reason: 'FIN' },
  },
  {
    title: 'the server hung up first',
    error: undefined,
    firstEnd: 'upstream',
    want: { by: 'upstream', reason: 'FIN' },
  },
  {
    title: 'a reset by the client',
    error: failure('NET_RESET', 'downstream'),
    want: { by: 'downstream', reason: 'reset' },
  },
  {
    title: 'a request on 15008 that asks for no tunnel',
    error: failure('HBONE_BAD_REQUEST', 'downstream'),
    want: { by: 'self', reason: 'bad tunnel request' },
  },
  {
    title: 'a reset by the app behind a tunnel',
    error: failure('HBONE_TUNNEL_RESET', 'upstream'),
    want: { by: 'upstream', reason: 'reset' },
  },
  {
    title: 'a peer that vanished: keep-alive gave up',
    error: failure('NET_RESET', 'upstream', { cause: TIMED_OUT }),
    want: { by: 'upstream', reason: 'timeout' },
  },
  {
    title: 'the HBONE connection under it broke',
    error: failure('HBONE_CONNECTION_LOST', 'upstream'),
    want: { by: 'upstream', reason: 'connection lost' },
  },
  {
    title: 'nobody listens',
    error: failure('NET_CONNECT_REFUSED', 'upstream'),
    want: { by: 'upstream', reason: 'connect refused' },
  },
  {
    title: 'a NetworkPolicy swallows 15008',
    error: failure('HBONE_CONNECT_TIMEOUT', 'upstream'),
    want: { by: 'upstream', reason: 'connect timeout' },
  },
  {
    title: 'the client broke the handshake off',
    error: failure('NET_TLS_FAILED', 'downstream'),
    want: { by: 'downstream', reason: 'TLS failure' },
  },
  {
    title: 'the server broke the handshake off',
    error: failure('NET_TLS_FAILED', 'upstream'),
    want: { by: 'upstream', reason: 'TLS failure' },
  },
  {
    title: 'a client without TLS that we take',
    error: failure('NET_TLS_REFUSED', 'downstream'),
    want: { by: 'self', reason: 'TLS refused' },
  },
  {
    title: 'a client whose certificate has expired',
    error: failure('NET_CERTIFICATE_EXPIRED', 'downstream'),
    want: { by: 'self', reason: 'certificate expired' },
  },
  {
    title: 'a server whose certificate has expired',
    error: failure('NET_CERTIFICATE_EXPIRED', 'upstream'),
    want: { by: 'self', reason: 'certificate expired' },
  },
  {
    title: 'a server whose chain leads to no root of ours',
    error: failure('NET_CERTIFICATE_UNTRUSTED', 'upstream'),
    want: { by: 'self', reason: 'certificate untrusted' },
  },
  {
    title: 'a client that shows no certificate',
    error: failure('NET_CERTIFICATE_MISSING', 'downstream'),
    want: { by: 'self', reason: 'no peer certificate' },
  },
  {
    title: 'a client that proves no identity of the mesh',
    error: failure('TRUST_NO_IDENTITY', 'downstream'),
    want: { by: 'self', reason: 'peer identity' },
  },
  {
    title: 'a client of another trust domain',
    error: failure('TRUST_FOREIGN_DOMAIN', 'downstream'),
    want: { by: 'self', reason: 'peer identity' },
  },
  {
    title: 'a server whose certificate is revoked',
    error: failure('TRUST_REVOKED', 'upstream'),
    want: { by: 'self', reason: 'certificate revoked' },
  },
  {
    title: 'the peer is somebody else: we hung up',
    error: failure('NET_PEER_IDENTITY', 'upstream'),
    want: { by: 'self', reason: 'peer identity' },
  },
  {
    title: 'a policy denies, by name',
    error: failure('NODE_POLICY', 'downstream', { decidedBy: 'shop/deny-web' }),
    want: { by: 'policy', reason: 'shop/deny-web' },
  },
  {
    title: 'policies allow others only: none to name',
    error: failure('NODE_POLICY', 'downstream'),
    want: { by: 'policy', reason: 'policy' },
  },
  {
    title: 'a limit, by name',
    error: failure('NODE_LIMIT', 'self', { decidedBy: 'streams' }),
    want: { by: 'self', reason: 'streams' },
  },
  {
    title: 'the pod was removed, or the time to drain was over: as the message says',
    error: failure('NODE_CLOSED', 'self'),
    want: { by: 'operator', reason: 'message' },
  },
  {
    title: 'the peer speaks TLS and no HTTP/2',
    error: failure('HBONE_HANDSHAKE_FAILED', 'upstream'),
    want: { by: 'upstream', reason: 'HTTP/2 handshake failure' },
  },
  {
    title: 'a code that the table does not know',
    error: failure('NEW_CODE', 'config'),
    want: { by: 'operator', reason: 'NEW_CODE' },
  },
];

describe('closeCauseOf', () => {
  test.each(ROWS)('$title', ({ error, firstEnd, want }) => {
    expect(closeCauseOf(error, firstEnd)).toEqual(want);
  });
});
