/** A table of rows 28 px high: sorted by any column, moved through by arrow keys, cut to what is in sight when it is long. */

import { ArrowDown, ArrowUp } from 'lucide-react';
import { type KeyboardEvent, type ReactNode, useMemo, useRef, useState } from 'react';
import styles from './table.module.css';

export interface Column<T> {
  readonly key: string;
  readonly title: string;
  readonly cell: (row: T) => ReactNode;
  /** Sorted by it; a column without it is not sorted. */
  readonly by?: (row: T) => string | number;
  readonly isNumber?: boolean;
  /** CSS width; the rest share what is left. */
  readonly width?: string;
  /** Left out below this many pixels. */
  readonly hideBelow?: 700 | 1000;
}

interface TableProps<T> {
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowKey: (row: T) => string;
  readonly onOpen?: (row: T) => void;
  readonly selected?: string;
  /** Column and direction at first: `name`, `-rate` from the highest. */
  readonly sortedBy?: string;
  readonly empty?: ReactNode;
}

/** More rows are shown by a button: a page of them is drawn at once. */
const ROWS_SHOWN = 200;

export function Table<T>(props: TableProps<T>) {
  const { columns, rows, rowKey, onOpen, selected } = props;
  const [order, setOrder] = useState(props.sortedBy ?? '');
  const [shown, setShown] = useState(ROWS_SHOWN);
  const body = useRef<HTMLTableSectionElement>(null);
  const sorted = useMemo(() => sort(rows, columns, order), [rows, columns, order]);
  if (rows.length === 0 && props.empty !== undefined) return <>{props.empty}</>;
  const move = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const all = [...(body.current?.rows ?? [])];
    const at = all.indexOf(event.target as HTMLTableRowElement);
    if (at < 0) return;
    if (step !== undefined) {
      event.preventDefault();
      all[at + step]?.focus();
    } else if (event.key === 'Enter') onOpen?.(sorted[at]);
  };
  return (
    <div className={styles.scroll}>
      <table className={styles.table} aria-label={props.label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column} order={order} onOrder={setOrder} />
            ))}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={move}>
          {sorted.slice(0, shown).map((row, at) => (
            <tr
              key={rowKey(row)}
              tabIndex={onOpen === undefined ? undefined : at === 0 ? 0 : -1}
              aria-selected={selected === undefined ? undefined : rowKey(row) === selected}
              className={onOpen === undefined ? undefined : styles.opens}
              onClick={onOpen === undefined ? undefined : () => onOpen(row)}
            >
              {columns.map((column) => (
                <td key={column.key} className={cellClass(column)}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {rows.length > shown && (
        <button type="button" className={styles.more} onClick={() => setShown(shown * 5)}>
          Show more: {(rows.length - shown).toLocaleString('en-US')} are left
        </button>
      )}
    </div>
  );
}

function cellClass(column: Pick<Column<never>, 'isNumber' | 'hideBelow'>): string {
  return `${column.isNumber ? styles.number : ''} ${column.hideBelow ? styles[`below${column.hideBelow}`] : ''}`;
}

function Head<T>(props: { column: Column<T>; order: string; onOrder: (order: string) => void }) {
  const { column, order, onOrder } = props;
  const isDown = order === `-${column.key}`;
  const isSorted = isDown || order === column.key;
  const next = isSorted
    ? isDown
      ? column.key
      : `-${column.key}`
    : column.isNumber
      ? `-${column.key}`
      : column.key;
  return (
    <th
      scope="col"
      style={{ width: column.width }}
      className={cellClass(column as Column<never>)}
      aria-sort={isSorted ? (isDown ? 'descending' : 'ascending') : undefined}
    >
      {column.by === undefined ? (
        column.title
      ) : (
        <button type="button" onClick={() => onOrder(next)}>
          {column.title}
          {isSorted && (isDown ? <ArrowDown aria-hidden="true" /> : <ArrowUp aria-hidden="true" />)}
        </button>
      )}
    </th>
  );
}

function sort<T>(rows: readonly T[], columns: readonly Column<T>[], order: string): readonly T[] {
  const isDown = order.startsWith('-');
  const by = columns.find((column) => column.key === order.replace(/^-/, ''))?.by;
  if (by === undefined) return rows;
  const factor = isDown ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [left, right] = [by(a), by(b)];
    if (typeof left === 'number' && typeof right === 'number') return factor * (left - right);
    return factor * String(left).localeCompare(String(right), 'en', { numeric: true });
  });
}
