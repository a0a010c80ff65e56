/** Columns of requests and connections, one by one. */
import { Lock, LockOpen } from 'lucide-react';
import type { RequestRow } from '#console/api/traffic.ts';
import { absolute, bytes, clockTime, millis } from '../../ui/format.ts';
import type { Column } from '../../ui/table.tsx';
import { Dash, Dim } from '../parts/cells.tsx';
import { shortName } from '../parts/ids.ts';
import { isFailed } from './filter.ts';
import css from './traffic.module.css';

const GRPC_WORDS = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
];

export function outcome(row: RequestRow): string {
  if (row.protocol === 'tcp' || row.protocol === 'dns') return isFailed(row) ? 'failed' : 'closed';
  if (row.protocol === 'grpc' && row.grpcStatus !== '')
    return GRPC_WORDS[Number(row.grpcStatus)] ?? row.grpcStatus;
  return row.status === 0 ? 'no answer' : `${row.status}`;
}

function Outcome({ row }: { row: RequestRow }) {
  const isClients = row.status >= 400 && row.status < 500 && row.status !== 403;
  const look = isFailed(row) ? css.bad : isClients ? css.watch : css.ok;
  return (
    <span className={look} title={row.reason}>
      {isFailed(row) && '✕ '}
      {outcome(row)}
    </span>
  );
}

export const REQUEST_COLUMNS: readonly Column<RequestRow>[] = [
  {
    key: 'time',
    title: 'Time',
    value: (row) => Date.parse(row.at),
    cell: (row) => <time title={absolute(row.at)}>{clockTime(row.at)}</time>,
    isDescending: true,
  },
  {
    key: 'from',
    title: 'From',
    value: (row) => shortName(row.source),
    isText: true,
    weight: 'least',
  },
  {
    key: 'to',
    title: 'To',
    value: (row) => shortName(row.destination),
    cell: (row) => (
      <>
        <span className={css.arrow}>→</span> {shortName(row.destination)}
      </>
    ),
    isText: true,
  },
  {
    key: 'request',
    title: 'Request',
    value: (row) => (row.method === '' ? row.destinationAddress : `${row.method} ${row.path}`),
    cell: (row) => (
      <span className={css.path}>
        {row.method === ''
          ? `${row.protocol} ${row.destinationAddress}`
          : `${row.method} ${row.path}`}
      </span>
    ),
    isText: true,
    isWide: true,
  },
  {
    key: 'outcome',
    title: 'Answer',
    value: outcome,
    cell: (row) => <Outcome row={row} />,
    isText: true,
  },
  {
    key: 'took',
    title: 'Took',
    value: (row) => row.durationMs,
    cell: (row) => millis(row.durationMs),
    isRight: true,
    isDescending: true,
  },
  {
    key: 'bytes',
    title: 'Bytes',
    value: (row) => row.requestBytes + row.responseBytes,
    cell: (row) => <Dim>{bytes(row.requestBytes + row.responseBytes)}</Dim>,
    isRight: true,
    isDescending: true,
    weight: 'lesser',
  },
  {
    key: 'flags',
    title: 'Flags',
    value: (row) => (row.flags === '-' ? '' : row.flags),
    cell: (row) => (row.flags === '-' ? <Dash /> : <span title={row.reason}>{row.flags}</span>),
    isText: true,
    weight: 'least',
  },
  {
    key: 'mtls',
    title: 'mTLS',
    value: (row) => (row.isMutualTls ? 'yes' : 'no'),
    cell: (row) =>
      row.isMutualTls ? (
        <Lock size={14} role="img" aria-label="mutual TLS" className={css.arrow} />
      ) : (
        <LockOpen size={14} role="img" aria-label="plaintext" className={css.bad} />
      ),
    weight: 'least',
  },
];
