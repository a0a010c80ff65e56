/** What the reader chose for the graph, in the address. */
import { useMemo } from 'react';
import { setQuery, useUrl } from '../../store/url.ts';
import { type GraphViewOptions, optionsOf } from './options-of.ts';

export function useOptions(): GraphViewOptions {
  const { query } = useUrl();
  return useMemo(() => optionsOf(query), [query]);
}

export function select(ids: readonly string[]): void {
  setQuery({ node: ids.slice(-2).join('|') }, { replace: true });
}

export function setFocus(id: string | undefined): void {
  setQuery({ focus: id, node: undefined });
}

export const flag = (isOn: boolean): string | undefined => (isOn ? '1' : undefined);
