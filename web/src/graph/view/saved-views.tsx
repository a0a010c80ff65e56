/** Views under a name: what is in the address, kept in this browser. */
import { Bookmark, Trash2 } from 'lucide-react';
import { type FormEvent, useState } from 'react';
import { remember, remembered } from '../../store/remembered.ts';
import { navigate, url, withQuery } from '../../store/url.ts';
import { Button, Field, IconButton } from '../../ui/controls.tsx';
import { MenuItem, Popover } from '../../ui/popover.tsx';
import styles from './saved-views.module.css';

interface SavedView {
  readonly name: string;
  readonly query: string;
}

const STORE = 'graph.views';
/** What is useful in every mesh. */
const GIVEN: readonly SavedView[] = [
  { name: 'What fails', query: '?find=unhealthy' },
  { name: 'Plaintext', query: '?find=mtls+<+100%25' },
  { name: 'Slow, by p99', query: '?label=p99&find=p99+>+500ms' },
];

export function SavedViews() {
  const [views, setViews] = useState(() => remembered<readonly SavedView[]>(STORE, []));
  const [name, setName] = useState('');
  const change = (next: readonly SavedView[]) => {
    remember(STORE, next);
    setViews(next);
  };
  const save = (event: FormEvent) => {
    event.preventDefault();
    // A view is what is looked at, not when.
    const query = withQuery(url().query, { at: undefined, node: undefined });
    change([...views.filter((view) => view.name !== name), { name, query }]);
    setName('');
  };
  return (
    <Popover label="Saved views" look="quiet" align="end" button={<Bookmark aria-hidden="true" />}>
      {(close) => (
        <div className={styles.menu}>
          <ul>
            {[...GIVEN, ...views].map((view) => (
              <li key={view.name}>
                <MenuItem
                  onClick={() => {
                    navigate(`/graph${view.query}`);
                    close();
                  }}
                >
                  {view.name}
                </MenuItem>
                {views.includes(view) && (
                  <IconButton
                    label={`Forget ${view.name}`}
                    onClick={() => change(views.filter((each) => each !== view))}
                  >
                    <Trash2 />
                  </IconButton>
                )}
              </li>
            ))}
          </ul>
          <form onSubmit={save}>
            <Field
              label="Name of this view"
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
            <Button type="submit" disabled={name.trim() === ''}>
              Save
            </Button>
          </form>
        </div>
      )}
    </Popover>
  );
}
