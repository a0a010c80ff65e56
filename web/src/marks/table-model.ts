/**
 * What a table shows: rows that match the words of its filter, in the order of one column. A word is a part of any text column;
 * `column:text` looks in one, `column>1` and `column<1` compare numbers; `-` before it turns it round. Pure.
 */

export interface ColumnModel<Row> {
  readonly key: string;
  /** Undefined is "not known": it comes last, whichever way the order goes. */
  readonly value: (row: Row) => string | number | undefined;
  /** Where the order is another one than that of the values. */
  readonly order?: (row: Row) => number;
  /** Sorted with the largest first when it is clicked for the first time. */
  readonly isDescending?: boolean;
  /** Words without a column are looked for in it. */
  readonly isText?: boolean;
}

export interface SortState {
  readonly key: string;
  readonly isDescending: boolean;
}

export function parseSort(text: string | undefined, fallback: SortState): SortState {
  if (text === undefined || text === '') return fallback;
  return text.startsWith('-')
    ? { key: text.slice(1), isDescending: true }
    : { key: text, isDescending: false };
}

export const formatSort = ({ key, isDescending }: SortState) => `${isDescending ? '-' : ''}${key}`;

/** What a click on a header makes of the order. */
export function nextSort<Row>(now: SortState, column: ColumnModel<Row>): SortState {
  if (now.key === column.key) return { key: column.key, isDescending: !now.isDescending };
  return { key: column.key, isDescending: column.isDescending ?? false };
}

export function sortRows<Row>(
  rows: readonly Row[],
  columns: readonly ColumnModel<Row>[],
  sort: SortState,
): Row[] {
  const column = columns.find((each) => each.key === sort.key);
  if (column === undefined) return [...rows];
  const sign = sort.isDescending ? -1 : 1;
  return rows
    .map((row, index) => ({ row, index, value: (column.order ?? column.value)(row) }))
    .sort((a, b) => {
      if (a.value === undefined || b.value === undefined)
        return Number(a.value === undefined) - Number(b.value === undefined) || a.index - b.index;
      return sign * compare(a.value, b.value) || a.index - b.index;
    })
    .map(({ row }) => row);
}

function compare(a: string | number, b: string | number): number {
  return typeof a === 'number' && typeof b === 'number'
    ? a - b
    : NAMES.compare(String(a), String(b));
}

const NAMES = new Intl.Collator('en', { numeric: true });

export interface TableFilter<Row> {
  readonly matches: (row: Row) => boolean;
  /** A word that cannot be understood, in a sentence; empty when all can. */
  readonly problem: string;
}

const WORD = /^(-?)(?:([a-z][\w-]*)(:|>=|<=|>|<))?(.*)$/i;

export function tableFilter<Row>(
  text: string,
  columns: readonly ColumnModel<Row>[],
): TableFilter<Row> {
  const words = text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '');
  const problems: string[] = [];
  const tests = words.map((word) => {
    const [, minus, key, operator, wanted] = WORD.exec(word)!;
    const column = columns.find((each) => each.key.toLowerCase() === key?.toLowerCase());
    if (key !== undefined && column === undefined)
      problems.push(`No column ${key}: ${columns.map((each) => each.key).join(', ')}`);
    const test =
      column === undefined
        ? anyText(columns, word.slice(minus.length))
        : oneColumn(column, operator, wanted);
    return minus === '' ? test : (row: Row) => !test(row);
  });
  return { matches: (row) => tests.every((test) => test(row)), problem: problems[0] ?? '' };
}

function anyText<Row>(columns: readonly ColumnModel<Row>[], word: string) {
  const wanted = word.toLowerCase();
  const texts = columns.filter((column) => column.isText);
  return (row: Row) =>
    texts.some((column) =>
      String(column.value(row) ?? '')
        .toLowerCase()
        .includes(wanted),
    );
}

function oneColumn<Row>(
  column: ColumnModel<Row>,
  operator: string,
  wanted: string,
): (row: Row) => boolean {
  if (operator === ':') {
    const part = wanted.toLowerCase();
    return (row) =>
      String(column.value(row) ?? '')
        .toLowerCase()
        .includes(part);
  }
  const limit = Number.parseFloat(wanted);
  return (row) => {
    const value = column.value(row);
    if (typeof value !== 'number' || Number.isNaN(limit)) return false;
    if (operator === '>') return value > limit;
    if (operator === '<') return value < limit;
    return operator === '>=' ? value >= limit : value <= limit;
  };
}
