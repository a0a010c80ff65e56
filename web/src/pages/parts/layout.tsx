/** How a page is divided: columns that become one on a narrow screen, and tabs that live in the address. */
import type { ReactNode } from 'react';
import { url, useUrl, withQuery } from '../../store/url.ts';
import { Link } from '../../ui/link.tsx';
import css from './page.module.css';

type Children = { readonly children: ReactNode };

export const Columns = ({ children }: Children) => <div className={css.columns}>{children}</div>;
export const WideAndNarrow = ({ children }: Children) => (
  <div className={css.wideAndNarrow}>{children}</div>
);
export const Stack = ({ children }: Children) => <div className={css.stack}>{children}</div>;

export interface Tab {
  /** Empty: the first, which the address does not name. */
  readonly key: string;
  readonly title: string;
  readonly count?: number;
}

/** Another tab has another order and filter. */
const OF_ONE_TAB = { sort: '', filter: '', page: '' };

export function Tabs({ tabs, label }: { tabs: readonly Tab[]; label: string }) {
  const active = useTab(tabs);
  return (
    <nav className={css.tabs} aria-label={label}>
      {tabs.map(({ key, title, count }) => (
        <Link
          key={key}
          href={url().path + withQuery(url().query, { ...OF_ONE_TAB, tab: key })}
          aria-current={active === key ? 'page' : undefined}
        >
          {title}
          {count !== undefined && <small>{count}</small>}
        </Link>
      ))}
    </nav>
  );
}

export function useTab(tabs: readonly Tab[]): string {
  const wanted = useUrl().query.get('tab') ?? '';
  return tabs.some((tab) => tab.key === wanted) ? wanted : tabs[0].key;
}
