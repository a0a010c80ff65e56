/** Configuration where it takes effect: what applies in order, and what is wrong with it. */
import { CircleAlert, Info, TriangleAlert } from 'lucide-react';
import type { Finding } from '#console/api/config.ts';
import type { AppliedConfig } from '#console/api/lists.ts';
import { counted } from '../../ui/format.ts';
import { Link } from '../../ui/link.tsx';
import { resourceHref } from './ids.ts';
import css from './lists.module.css';

export function Resource({ resource }: { resource: string }) {
  const href = resourceHref(resource);
  return href === undefined ? resource : <Link href={href}>{resource}</Link>;
}

/** `nothing` says what that means here. */
export function AppliedList({
  items,
  nothing,
}: {
  items: readonly AppliedConfig[];
  nothing: string;
}) {
  if (items.length === 0) return <p className={css.nothing}>{nothing}</p>;
  return (
    <ol className={css.rows}>
      {items.map((item, index) => (
        <li key={`${item.resource} ${item.effect}`} className={css.applied}>
          <span className={css.order}>{index + 1}</span>
          <span>
            <Resource resource={item.resource} />
            <span className={css.effect}>{item.effect}</span>
          </span>
          {item.findings > 0 && (
            <span className={css.warning}>{counted(item.findings, 'finding')}</span>
          )}
        </li>
      ))}
    </ol>
  );
}

const ICONS = { error: CircleAlert, warning: TriangleAlert, info: Info } as const;
const WORDS = { error: 'Error', warning: 'Warning', info: 'Note' } as const;

export function FindingIcon({ level }: { level: Finding['level'] }) {
  const Icon = ICONS[level];
  return <Icon className={css[level]} role="img" aria-label={WORDS[level]} />;
}

export interface FindingListProps {
  readonly findings: readonly Finding[];
  readonly nothing: string;
  /** Leads to the line; without it to the object. */
  readonly onLine?: (finding: Finding) => void;
}

export function FindingList({ findings, nothing, onLine }: FindingListProps) {
  if (findings.length === 0) return <p className={css.nothing}>{nothing}</p>;
  return (
    <ul className={css.rows}>
      {findings.map((finding) => (
        <li
          key={`${finding.code} ${finding.resource} ${finding.path} ${finding.message}`}
          className={css.finding}
        >
          <FindingIcon level={finding.level} />
          <span>
            {finding.message} <span className={css.code}>{finding.code}</span>
            {finding.hint !== '' && <span className={css.effect}>{finding.hint}</span>}
            {onLine === undefined ? (
              <span className={css.hint}>
                <Resource resource={finding.resource} />
                {finding.path !== '' && ` ${finding.path}`}
              </span>
            ) : (
              <button type="button" className={css.line} onClick={() => onLine(finding)}>
                {finding.line === undefined ? finding.path || 'show' : `line ${finding.line}`}
              </button>
            )}
          </span>
        </li>
      ))}
    </ul>
  );
}
