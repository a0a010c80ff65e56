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
    title: 'TLS failed at the client',
    error: failure('NET_TLS_FAILED', 'downstream'),
    want: { by: 'downstream', reason: 'TLS failure' },
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
