/** Certificates by when they end: how much of each one's life is over, and what comes next. */
import type { ReactNode } from 'react';
import type { CertificateRow } from '#console/api/mesh.ts';
import { now } from '../../store/clock.ts';
import { absolute, relative } from '../../ui/format.ts';
import { type Column, DataTable } from '../../ui/table.tsx';
import { Dim, Meter } from '../parts/cells.tsx';
import { type CertificateLife, certificateLives, shortPrincipal } from './certificate-life.ts';

const WORDS = { valid: 'valid', expiring: 'expires soon', expired: 'expired' } as const;

const COLUMNS: readonly Column<CertificateLife>[] = [
  {
    key: 'principal',
    title: 'Identity',
    value: ({ row }) => shortPrincipal(row.principal),
    cell: ({ row }) => <span title={row.principal}>{shortPrincipal(row.principal)}</span>,
    isText: true,
  },
  {
    key: 'proxy',
    title: 'Held by',
    value: ({ row }) => row.proxy,
    cell: ({ row }) => <Dim>{row.proxy}</Dim>,
    isText: true,
    weight: 'least',
  },
  {
    key: 'life',
    title: 'Life',
    value: ({ elapsed }) => elapsed,
    cell: ({ elapsed, state }) =>
      elapsed === undefined ? (
        <Dim>start not known</Dim>
      ) : (
        <Meter share={elapsed} state={state}>{`${Math.round(elapsed * 100)} %`}</Meter>
      ),
    isDescending: true,
  },
  {
    key: 'ends',
    title: 'Ends',
    value: ({ remainingMs }) => remainingMs,
    cell: ({ row }) => <time title={absolute(row.notAfter)}>{relative(row.notAfter, now())}</time>,
    isRight: true,
  },
  { key: 'state', title: 'State', value: ({ state }) => WORDS[state], weight: 'least' },
  {
    key: 'serial',
    title: 'Serial',
    value: ({ row }) => row.serial,
    cell: ({ row }) => <Dim>{row.serial?.slice(0, 16)}</Dim>,
    weight: 'lesser',
    isText: true,
  },
];

const SOONEST = { key: 'ends', isDescending: false } as const;

export function CertificateTable({
  rows,
  empty,
  isFilled,
}: {
  rows: readonly CertificateRow[];
  empty: ReactNode;
  isFilled?: boolean;
}) {
  return (
    <DataTable
      label="Certificates"
      rows={certificateLives(rows, now())}
      columns={COLUMNS}
      keyOf={({ row }) => `${row.principal} ${row.proxy} ${row.serial ?? row.notAfter}`}
      sort={SOONEST}
      empty={empty}
      isFilled={isFilled}
    />
  );
}
