/** Which namespaces every page is about. None chosen: all that the reader may see. */
import { ChevronDown } from 'lucide-react';
import { useState } from 'react';
import type { NamespacesAnswer } from '#console/api/lists.ts';
import { address } from '../store/api.ts';
import { useQuery } from '../store/query.ts';
import { setNamespaces, useScope } from '../store/scope.ts';
import { Button, Field, Toggle } from '../ui/controls.tsx';
import { HealthGlyph } from '../ui/health.tsx';
import { Popover } from '../ui/popover.tsx';
import { Answered } from '../ui/states.tsx';
import styles from './namespace-picker.module.css';

export function NamespacePicker() {
  const { namespaces } = useScope();
  const shown =
    namespaces.length === 0
      ? 'All namespaces'
      : namespaces.length < 3
        ? namespaces.join(', ')
        : `${namespaces.length} namespaces`;
  return (
    <Popover
      label={`Namespaces: ${shown}`}
      button={
        <>
          <span className={styles.shown}>{shown}</span>
          <ChevronDown aria-hidden="true" />
        </>
      }
    >
      {() => <Choices chosen={namespaces} />}
    </Popover>
  );
}

function Choices({ chosen }: { chosen: readonly string[] }) {
  const query = useQuery<NamespacesAnswer>(address('namespaces'));
  const [find, setFind] = useState('');
  return (
    <div className={styles.choices}>
      <Field
        label="Find a namespace"
        value={find}
        onChange={(event) => setFind(event.target.value)}
        autoFocus
      />
      <Answered query={query} what="namespaces">
        {({ namespaces }) => (
          <ul>
            {namespaces
              .filter((row) => row.name.includes(find))
              .map((row) => (
                <li key={row.name}>
                  <Toggle
                    label={row.name}
                    isOn={chosen.includes(row.name)}
                    onChange={(isOn) =>
                      setNamespaces(
                        isOn ? [...chosen, row.name] : chosen.filter((name) => name !== row.name),
                      )
                    }
                  />
                  <span title={row.health.reason}>
                    <HealthGlyph status={row.health.status} />
                  </span>
                </li>
              ))}
          </ul>
        )}
      </Answered>
      <Button look="quiet" disabled={chosen.length === 0} onClick={() => setNamespaces([])}>
        All namespaces
      </Button>
    </div>
  );
}
