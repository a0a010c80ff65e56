/** The keys, those of the frame and those of the page in view. */
import { usePageFacts } from '../store/page.ts';
import { Key } from '../ui/controls.tsx';
import { Dialog } from '../ui/dialog.tsx';
import styles from './keys-sheet.module.css';
import { ROUTES } from './routes.ts';

const FRAME_KEYS = [
  { key: 'Ctrl K', does: 'Find, go to, act' },
  { key: '/', does: 'The same' },
  { key: '?', does: 'This sheet' },
  { key: 'Esc', does: 'Close what is open' },
];

export function KeysSheet({ onClose }: { onClose: () => void }) {
  const { title, keys, actions } = usePageFacts();
  const own = [
    ...(keys ?? []),
    ...(actions ?? []).flatMap((action) =>
      action.key === undefined ? [] : [{ key: action.key, does: action.title }],
    ),
  ];
  return (
    <Dialog label="Keys" onClose={onClose}>
      <div className={styles.sheet}>
        <Keys title="Everywhere" rows={FRAME_KEYS} />
        <Keys
          title="Go to"
          rows={ROUTES.map((route) => ({ key: `g ${route.key}`, does: route.title }))}
        />
        {own.length > 0 && <Keys title={title} rows={own} />}
      </div>
    </Dialog>
  );
}

function Keys({ title, rows }: { title: string; rows: readonly { key: string; does: string }[] }) {
  return (
    <section aria-label={title}>
      <h2>{title}</h2>
      <dl>
        {rows.map((row) => (
          <div key={row.key + row.does}>
            <dt>
              {row.key.split(' ').map((part) => (
                <Key key={part}>{part}</Key>
              ))}
            </dt>
            <dd>{row.does}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
