/** Which rows of a long table are made into elements: those in sight and a few around them. Pure. */

export interface RowWindow {
  readonly first: number;
  /** One past the last. */
  readonly end: number;
  readonly before: number;
  readonly after: number;
}

/** Rows above and below what is seen, so that a quick wheel shows no white. */
export const ROWS_AROUND = 8;

export interface RowWindowInput {
  readonly count: number;
  readonly rowHeight: number;
  readonly scrollTop: number;
  readonly viewHeight: number;
}

export function rowWindow({ count, rowHeight, scrollTop, viewHeight }: RowWindowInput): RowWindow {
  const top = Math.max(0, Math.min(scrollTop, count * rowHeight - viewHeight));
  const first = Math.max(0, Math.floor(top / rowHeight) - ROWS_AROUND);
  const end = Math.min(count, Math.ceil((top + viewHeight) / rowHeight) + ROWS_AROUND);
  return { first, end, before: first * rowHeight, after: (count - end) * rowHeight };
}

/** Where the view has to be for a row to be seen: nearer by as little as it takes. */
export function scrollToRow(
  row: number,
  { rowHeight, scrollTop, viewHeight }: Omit<RowWindowInput, 'count'>,
): number {
  const top = row * rowHeight;
  if (top < scrollTop) return top;
  return top + rowHeight > scrollTop + viewHeight ? top + rowHeight - viewHeight : scrollTop;
}

/** The row that a key leads to; undefined: the key is not for moving. */
export function movedRow(
  key: string,
  { row, count, page }: { row: number; count: number; page: number },
): number | undefined {
  const moves: Record<string, number> = {
    ArrowDown: row + 1,
    j: row + 1,
    ArrowUp: row - 1,
    k: row - 1,
    PageDown: row + page,
    PageUp: row - page,
    Home: 0,
    End: count - 1,
  };
  const to = moves[key];
  return to === undefined || count === 0 ? undefined : Math.max(0, Math.min(count - 1, to));
}
