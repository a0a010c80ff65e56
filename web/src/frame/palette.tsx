/** Ctrl-K: pages, what the page in view can do, and everything that has a name in the mesh. Arrow keys, Enter. */
import { type KeyboardEvent, useId, useMemo, useState } from 'react';
import type { NamespacesAnswer, ServicesAnswer, WorkloadsAnswer } from '#console/api/lists.ts';
import { address } from '../store/api.ts';
import { usePageFacts } from '../store/page.ts';
import { useQuery } from '../store/query.ts';
import { setNamespaces } from '../store/scope.ts';
import { applyTheme } from '../store/theme.ts';
import { hrefOf, navigate } from '../store/url.ts';
import { Key } from '../ui/controls.tsx';
import { Dialog } from '../ui/dialog.tsx';
import styles from './palette.module.css';
import { matching, type PaletteItem } from './palette-match.ts';
import { ROUTES } from './routes.ts';

const SHOWN_MAX = 40;

export function Palette({ onClose }: { onClose: () => void }) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const id = useId();
  const items = useItems();
  const found = useMemo(() => matching(items, text).slice(0, SHOWN_MAX), [items, text]);
  const run = (item: PaletteItem | undefined) => {
    if (item === undefined) return;
    onClose();
    item.run();
  };
  const take = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((at + step + found.length) % Math.max(1, found.length));
    } else if (event.key === 'Enter') {
      event.preventDefault();
      run(found[at]);
    }
  };
  return (
    <Dialog label="Find, go to, act" onClose={onClose} isHigh>
      <input
        className={styles.input}
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={found[at] === undefined ? undefined : `${id}-${at}`}
        aria-label="Find a page, a workload, a service, an action"
        placeholder="Find a page, a workload, a service, an action"
        value={text}
        onKeyDown={take}
        onChange={(event) => {
          setText(event.target.value);
          setAt(0);
        }}
      />
      <div id={id} role="listbox" aria-label="Found" className={styles.found}>
        {found.map((item, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys.
          <div
            key={item.id}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            ref={
              index === at ? (element) => element?.scrollIntoView({ block: 'nearest' }) : undefined
            }
            className={styles.item}
            onPointerMove={() => setAt(index)}
            onClick={() => run(item)}
          >
            <span className={styles.kind}>{item.kind}</span>
            <span className={styles.title}>{item.title}</span>
            <span className={styles.detail}>{item.detail}</span>
            {item.key !== undefined && <Key>{item.key}</Key>}
          </div>
        ))}
      </div>
      {found.length === 0 && <p className={styles.none}>Nothing is called so.</p>}
    </Dialog>
  );
}

function useItems(): readonly PaletteItem[] {
  const { actions } = usePageFacts();
  const workloads = useQuery<WorkloadsAnswer>(address('workloads')).data?.workloads;
  const services = useQuery<ServicesAnswer>(address('services')).data?.services;
  const namespaces = useQuery<NamespacesAnswer>(address('namespaces')).data?.namespaces;
  return useMemo(() => {
    const named = (
      kind: string,
      href: string,
      row: { namespace: string; name: string },
    ): PaletteItem => ({
      id: `${kind} ${row.namespace}/${row.name}`,
      kind,
      title: row.name,
      detail: row.namespace,
      run: () =>
        navigate(
          hrefOf(`/${href}/${encodeURIComponent(row.namespace)}/${encodeURIComponent(row.name)}`),
        ),
    });
    return [
      ...(actions ?? []).map((action) => ({
        id: `act ${action.title}`,
        kind: 'Act',
        detail: '',
        ...action,
      })),
      ...ROUTES.map((route) => ({
        id: `page ${route.name}`,
        kind: 'Page',
        title: route.title,
        detail: '',
        key: `g ${route.key}`,
        run: () => navigate(hrefOf(`/${route.name}`)),
      })),
      ...(['light', 'dark', 'system'] as const).map((theme) => ({
        id: `theme ${theme}`,
        kind: 'Act',
        title: `Theme: ${theme}`,
        detail: '',
        run: () => applyTheme(theme),
      })),
      ...(namespaces ?? []).map((row) => ({
        id: `namespace ${row.name}`,
        kind: 'Namespace',
        title: row.name,
        detail: 'show only this one',
        run: () => setNamespaces([row.name]),
      })),
      ...(workloads ?? []).map((row) => named('Workload', 'workloads', row)),
      ...(services ?? []).map((row) => named('Service', 'services', row)),
    ];
  }, [actions, workloads, services, namespaces]);
}
