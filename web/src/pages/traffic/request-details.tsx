/** Everything that is known of one request, and where to go on from it. */
import { X } from 'lucide-react';
import type { RequestRow } from '#console/api/traffic.ts';
import { hrefOf } from '../../store/url.ts';
import { IconButton } from '../../ui/controls.tsx';
import { absolute, bytes, millis } from '../../ui/format.ts';
import { Link, nodeHref } from '../../ui/link.tsx';
import { Facts } from '../../ui/panel.tsx';
import { Resource } from '../parts/applied.tsx';
import { shortName } from '../parts/ids.ts';
import { whyQuery } from './filter.ts';
import { outcome } from './request-columns.tsx';
import css from './traffic.module.css';

export function RequestDetails({ row, onClose }: { row: RequestRow; onClose: () => void }) {
  const known = (value: string) => value !== '' && value !== '-';
  const rows: (readonly [string, React.ReactNode])[] = [
    ['Began', absolute(row.at)],
    ['Took', millis(row.durationMs)],
    ['Answer', outcome(row)],
  ];
  if (known(row.reason)) rows.push(['Reason', row.reason]);
  if (known(row.flags)) rows.push(['Flags', row.flags]);
  rows.push(
    ['From', <End key="from" id={row.source} address={row.sourceAddress} />],
    ['To', <End key="to" id={row.destination} address={row.destinationAddress} />],
  );
  if (known(row.service)) rows.push(['Service', row.service]);
  if (known(row.authority)) rows.push(['Host asked for', row.authority]);
  rows.push(['Mutual TLS', row.isMutualTls ? 'yes' : 'no, plaintext']);
  if (known(row.route)) rows.push(['Route', <Resource key="route" resource={row.route} />]);
  if (known(row.policy)) rows.push(['Policy', <Resource key="policy" resource={row.policy} />]);
  if (row.attempts > 1) rows.push(['Tries', `${row.attempts}`]);
  rows.push(
    ['Bytes', `${bytes(row.requestBytes)} sent, ${bytes(row.responseBytes)} back`],
    ['Reported by', `${row.proxy} (${row.reporter})`],
  );
  if (known(row.userAgent)) rows.push(['User agent', row.userAgent]);
  if (known(row.requestId)) rows.push(['Request id', <code key="id">{row.requestId}</code>]);
  return (
    <aside className={css.details} aria-label="Request">
      <header>
        <h2>{row.method === '' ? `${row.protocol} connection` : `${row.method} ${row.path}`}</h2>
        <IconButton label="Close" onClick={onClose}>
          <X />
        </IconButton>
      </header>
      <p className={css.links}>
        {known(row.traceId) && <Link href={hrefOf(`/traffic/traces/${row.traceId}`)}>Trace</Link>}
        <Link href={hrefOf('/why', whyQuery(row))}>Ask why</Link>
        <Link
          href={hrefOf('/traffic', {
            tab: 'recent',
            workloads: row.destination.split('/').slice(1).join('/'),
          })}
        >
          Requests like it
        </Link>
      </p>
      <Facts rows={rows} />
    </aside>
  );
}

function End({ id, address }: { id: string; address: string }) {
  return (
    <>
      <Link href={nodeHref(id)}>{shortName(id)}</Link>
      <div>{address}</div>
    </>
  );
}
