/** What needs somebody now: one row each, the most harmful first, with the line that mends it or says more. */
import { CircleAlert, Info, TriangleAlert } from 'lucide-react';
import { useState } from 'react';
import type { AttentionItem } from '#console/api/lists.ts';
import { CopyButton } from '../../ui/code.tsx';
import { Button } from '../../ui/controls.tsx';
import { HealthGlyph } from '../../ui/health.tsx';
import { Link } from '../../ui/link.tsx';
import { byHarm } from './order.ts';
import css from './overview.module.css';

const ICONS = { failing: CircleAlert, degraded: TriangleAlert, notice: Info } as const;
const WORDS = { failing: 'Failing', degraded: 'Degraded', notice: 'To know' } as const;
const SHOWN_FIRST = 8;

export function Attention({ items }: { items: readonly AttentionItem[] }) {
  const [isWhole, setWhole] = useState(false);
  if (items.length === 0)
    return (
      <p className={css.calm}>
        <HealthGlyph status="healthy" /> Nothing fails, nothing expires soon, no policy is refused.
      </p>
    );
  const sorted = byHarm(items);
  return (
    <>
      <ul className={css.items}>
        {(isWhole ? sorted : sorted.slice(0, SHOWN_FIRST)).map((item) => (
          <Row key={`${item.kind} ${item.title} ${item.reason}`} item={item} />
        ))}
      </ul>
      {sorted.length > SHOWN_FIRST && !isWhole && (
        <Button look="quiet" className={css.more} onClick={() => setWhole(true)}>
          Show {sorted.length - SHOWN_FIRST} more
        </Button>
      )}
    </>
  );
}

function Row({ item }: { item: AttentionItem }) {
  const Icon = ICONS[item.severity];
  return (
    <li>
      <Icon className={css[item.severity]} role="img" aria-label={WORDS[item.severity]} />
      <Link href={item.href}>{item.title}</Link>
      <span className={css.reason} title={item.reason}>
        {item.reason}
      </span>
      <span className={css.command}>
        {item.command !== undefined && (
          <>
            <code title={item.command}>{item.command}</code>
            <CopyButton text={item.command} label={`Copy: ${item.command}`} />
          </>
        )}
      </span>
    </li>
  );
}
