/** A section of a page with its title and, at the right, what can be done with it. Panels do not nest. */
import type { ReactNode } from 'react';
import styles from './panel.module.css';

interface PanelProps {
  readonly title: string;
  /** After the title, quiet: a count, a reason. */
  readonly note?: ReactNode;
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

export function Panel({ title, note, actions, children }: PanelProps) {
  return (
    <section className={styles.panel} aria-label={title}>
      <header className={styles.head}>
        <h2>{title}</h2>
        {note !== undefined && <span className={styles.note}>{note}</span>}
        <span className={styles.actions}>{actions}</span>
      </header>
      {children}
    </section>
  );
}

interface PageProps extends PanelProps {
  /** What it belongs to, over the title. */
  readonly above?: ReactNode;
  /** A sentence or two under the title. */
  readonly lead?: ReactNode;
  /** What is in it scrolls by itself. */
  readonly isFilled?: boolean;
}

/** A page that scrolls: title line, then panels. */
export function Page({ title, above, note, lead, actions, isFilled, children }: PageProps) {
  return (
    <div className={isFilled ? `${styles.page} ${styles.filled}` : styles.page}>
      <header>
        {above !== undefined && <div className={styles.note}>{above}</div>}
        <div className={styles.pageHead}>
          <h1>{title}</h1>
          {note !== undefined && <span className={styles.note}>{note}</span>}
          <span className={styles.actions}>{actions}</span>
        </div>
        {lead !== undefined && lead !== '' && <p className={styles.lead}>{lead}</p>}
      </header>
      {children}
    </div>
  );
}

/** Names and values in two columns. */
export function Facts({ rows }: { rows: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className={styles.facts}>
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
