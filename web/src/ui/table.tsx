/**
 * A table that keeps its order and its filter in the address, makes elements only for the rows in sight, moves by the arrow keys (or
 * j and k) with one stop for Tab, and leaves the browser's own find and copy working. What it shows is decided in marks/table-model.ts.
 */
import { ArrowDown, ArrowUp } from 'lucide-react';
import {
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { movedRow, rowWindow, scrollToRow } from '../marks/row-window.ts';
import {
  type ColumnModel,
  formatSort,
  nextSort,
  parseSort,
  type SortState,
  sortRows,
  tableFilter,
} from '../marks/table-model.ts';
import { navigate, setQuery, useUrl } from '../store/url.ts';
import { Link } from './link.tsx';
import css from './table.module.css';

export interface Column<Row> extends ColumnModel<Row> {
  readonly title: string;
  readonly cell?: (row: Row) => ReactNode;
  readonly isRight?: boolean;
  /** Takes what is left. */
  readonly isWide?: boolean;
  /** Left out on narrow screens, and on phones. */
  readonly weight?: 'lesser' | 'least';
}

export interface TableProps<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string;
  /** Where a row leads; its first cell is the link. */
  readonly hrefOf?: (row: Row) => string;
  /** In place of an address: what a row opens beside the table. */
  readonly onOpen?: (row: Row) => void;
  readonly openKey?: string;
  readonly sort: SortState;
  /** Said when there is not one row, before any filter. */
  readonly empty: ReactNode;
  /** Fills its parent and scrolls by itself, with a filter above. */
  readonly isFilled?: boolean;
  /** What may be written into the filter; without it there is none. */
  readonly hint?: string;
  /** Beside the filter. */
  readonly extra?: ReactNode;
  /** Members of the address; several tables on a page have their own. */
  readonly sortName?: string;
}

const ROW_HEIGHT = 28;
const HEAD_HEIGHT = 28;
/** Up to so many rows a table makes them all and does not scroll by itself. */
const ROWS_PLAIN_MAX = 100;

export function DataTable<Row>(props: TableProps<Row>) {
  const { rows, columns, empty, isFilled = false, sortName = 'sort', extra, hint } = props;
  const { query } = useUrl();
  const text = hint === undefined ? '' : (query.get('filter') ?? '');
  const sortText = query.get(sortName) ?? undefined;
  const sort = useMemo(() => parseSort(sortText, props.sort), [sortText, props.sort]);
  const filter = useMemo(() => tableFilter(text, columns), [text, columns]);
  const shown = useMemo(
    () => sortRows(rows.filter(filter.matches), columns, sort),
    [rows, filter, columns, sort],
  );
  if (rows.length === 0) return <div className={css.none}>{empty}</div>;
  return (
    <>
      {hint !== undefined && (
        <FilterBar
          text={text}
          problem={filter.problem}
          shown={shown.length}
          all={rows.length}
          extra={extra}
          hint={hint}
        />
      )}
      {shown.length === 0 ? (
        <p className={css.none}>None of {rows.length} matches the filter.</p>
      ) : (
        <Rows {...props} shown={shown} sortState={sort} sortName={sortName} isFilled={isFilled} />
      )}
    </>
  );
}

interface FilterBarProps {
  readonly text: string;
  readonly problem: string;
  readonly shown: number;
  readonly all: number;
  readonly extra: ReactNode;
  readonly hint: string;
}

function FilterBar({ text, problem, shown, all, extra, hint }: FilterBarProps) {
  return (
    <div className={css.bar}>
      <input
        className={css.filter}
        type="search"
        aria-label="Filter"
        placeholder={hint}
        value={text}
        aria-invalid={problem !== ''}
        onChange={(event) => setQuery({ filter: event.target.value }, { replace: true })}
      />
      {extra}
      <span className={css.count} role="status">
        {shown < all && `${shown} of ${all}`}
      </span>
      {problem !== '' && <span className={css.problem}>{problem}</span>}
    </div>
  );
}

type RowsProps<Row> = TableProps<Row> & {
  readonly shown: readonly Row[];
  readonly sortState: SortState;
  readonly sortName: string;
};

function Rows<Row>(props: RowsProps<Row>) {
  const {
    label,
    shown,
    columns,
    keyOf,
    hrefOf,
    onOpen,
    openKey,
    sortState,
    sortName,
    isFilled = false,
  } = props;
  const isWindowed = isFilled || shown.length > ROWS_PLAIN_MAX;
  const { scroller, view, scrollTo } = useScrolled(isWindowed);
  const [active, setActive] = useState(0);
  // Counted: two keys in one turn are two moves.
  const [moves, setMoves] = useState(0);
  const body = useRef<HTMLTableSectionElement>(null);
  const row = Math.min(active, shown.length - 1);
  const seen = isWindowed
    ? rowWindow({ count: shown.length, rowHeight: ROW_HEIGHT, ...view })
    : { first: 0, end: shown.length, before: 0, after: 0 };
  useEffect(() => {
    if (moves === 0) return;
    body.current
      ?.querySelector<HTMLElement>('tr[data-active="true"] :is(a, button)')
      ?.focus({ preventScroll: true });
  }, [moves]);
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(view.viewHeight / ROW_HEIGHT) - 1);
    const to =
      hrefOf === undefined && onOpen === undefined
        ? undefined
        : movedRow(event.key, { row, count: shown.length, page });
    if (to === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    setActive(to);
    if (isWindowed) scrollTo(scrollToRow(to, { rowHeight: ROW_HEIGHT, ...view }));
    setMoves((count) => count + 1);
  };
  return (
    <div
      ref={scroller}
      className={isFilled ? `${css.scroll} ${css.filled}` : css.scroll}
      style={isWindowed && !isFilled ? { maxHeight: 560 } : undefined}
    >
      <table className={css.table} aria-label={label} aria-rowcount={shown.length + 1}>
        <thead>
          <tr>
            {columns.map((column) => (
              <Heading key={column.key} column={column} sort={sortState} sortName={sortName} />
            ))}
          </tr>
        </thead>
        <tbody ref={body} onKeyDown={onKeyDown}>
          <Spacer height={seen.before} />
          {shown.slice(seen.first, seen.end).map((each, index) => (
            <BodyRow
              key={keyOf(each)}
              row={each}
              index={seen.first + index}
              columns={columns}
              href={hrefOf?.(each)}
              onOpen={onOpen}
              isOpen={openKey === keyOf(each)}
              isActive={seen.first + index === row}
            />
          ))}
          <Spacer height={seen.after} />
        </tbody>
      </table>
    </div>
  );
}

function useScrolled(isWindowed: boolean) {
  const scroller = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollTop: 0, viewHeight: 800 });
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null || !isWindowed) return;
    const measure = () =>
      setView({
        scrollTop: element.scrollTop,
        viewHeight: Math.max(ROW_HEIGHT, element.clientHeight - HEAD_HEIGHT),
      });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    element.addEventListener('scroll', measure, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener('scroll', measure);
    };
  }, [isWindowed]);
  const scrollTo = (scrollTop: number) => {
    if (scroller.current !== null) scroller.current.scrollTop = scrollTop;
    setView((before) => ({ ...before, scrollTop }));
  };
  return { scroller, view, scrollTo };
}

const Spacer = ({ height }: { height: number }) =>
  height === 0 ? null : (
    <tr>
      <td style={{ height }} />
    </tr>
  );

function classOf<Row>(
  own: string,
  { isRight, isWide, weight }: Column<Row>,
  isFirst = false,
): string {
  const looks = [own, isFirst && css.first, isRight && css.right, isWide && css.wide];
  return [...looks, weight !== undefined && css.lesser, weight === 'least' && css.least]
    .filter(Boolean)
    .join(' ');
}

function Heading<Row>({
  column,
  sort,
  sortName,
}: {
  column: Column<Row>;
  sort: SortState;
  sortName: string;
}) {
  const isSorted = sort.key === column.key;
  const next = formatSort(nextSort(sort, column));
  return (
    <th
      scope="col"
      className={classOf(css.head, column)}
      aria-sort={isSorted ? (sort.isDescending ? 'descending' : 'ascending') : undefined}
    >
      <button
        type="button"
        className={css.order}
        onClick={() => setQuery({ [sortName]: next }, { replace: true })}
      >
        {column.title}
        {isSorted &&
          (sort.isDescending ? (
            <ArrowDown size={12} aria-hidden="true" />
          ) : (
            <ArrowUp size={12} aria-hidden="true" />
          ))}
      </button>
    </th>
  );
}

interface BodyRowProps<Row> {
  readonly row: Row;
  readonly index: number;
  readonly columns: readonly Column<Row>[];
  readonly href: string | undefined;
  readonly onOpen: ((row: Row) => void) | undefined;
  readonly isOpen: boolean;
  readonly isActive: boolean;
}

function BodyRow<Row>({ row, index, columns, href, onOpen, isOpen, isActive }: BodyRowProps<Row>) {
  const leads = href !== undefined || onOpen !== undefined;
  const open = (event: MouseEvent) => {
    const isSelecting = (getSelection()?.toString() ?? '') !== '';
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey;
    if (isSelecting || event.defaultPrevented || !isPlain) return;
    if (href !== undefined) navigate(href);
    else onOpen?.(row);
  };
  return (
    <tr
      aria-rowindex={index + 2}
      className={leads ? css.leads : undefined}
      data-open={isOpen}
      data-active={isActive}
      onClick={leads ? open : undefined}
    >
      {columns.map((column, at) => {
        const content = column.cell?.(row) ?? column.value(row) ?? '–';
        return (
          <td key={column.key} className={classOf(css.cell, column, at === 0)}>
            {at === 0 ? (
              <First href={href} onOpen={onOpen && (() => onOpen(row))} isActive={isActive}>
                {content}
              </First>
            ) : (
              content
            )}
          </td>
        );
      })}
    </tr>
  );
}

interface FirstProps {
  readonly href: string | undefined;
  readonly onOpen: (() => void) | undefined;
  readonly isActive: boolean;
  readonly children: ReactNode;
}

/** One stop for Tab in the whole table: the row where the reader was last. */
function First({ href, onOpen, isActive, children }: FirstProps) {
  const tabIndex = isActive ? 0 : -1;
  if (href !== undefined)
    return (
      <Link href={href} className={css.link} tabIndex={tabIndex}>
        {children}
      </Link>
    );
  if (onOpen === undefined) return children;
  return (
    <button type="button" className={css.open} tabIndex={tabIndex}>
      {children}
    </button>
  );
}
