/** additionalPrinterColumns of CRDs: the subset of JSONPath that they use — members, indexes, wildcards and `?(@.a=="b")` filters. */
import { type ApiObject, isJsonObject } from '#kube/meta/object.ts';
import type { PrinterColumn } from '../kinds/served-kind.ts';
import { ageOf, type Column } from './columns.ts';

type Step =
  | { kind: 'member'; name: string }
  | { kind: 'index'; index: number }
  | { kind: 'all' }
  | { kind: 'filter'; path: Step[]; equals: boolean; value: string };

const STEP =
  /^(?:\.([A-Za-z0-9_$\\./-]+?)(?=$|\.(?!$)|\[)|\[['"]([^'"]+)['"]\]|\[(-?\d+)\]|\[\*\]|\[\?\(@([^=!]+?)\s*(==|!=)\s*['"]([^'"]*)['"]\)\])/;

export function customColumns(columns: readonly PrinterColumn[]): Column[] {
  return columns.map(({ name, type, jsonPath, format, description, priority }) => {
    const path = parsePath(jsonPath);
    return {
      name,
      type,
      format,
      description,
      wide: (priority ?? 0) > 0,
      cell: (object, now) => cellOf(select(object, path), type, now),
    };
  });
}

/** As kubectl: the first match of a scalar column, an age for dates, JSON for what is no scalar. */
function cellOf(found: readonly unknown[], type: string, now: number) {
  if (found.length === 0) return undefined;
  const value = found[0];
  if (type === 'date') return typeof value === 'string' ? ageOf(value, now) : undefined;
  if (value === null || value === undefined) return undefined;
  if (type === 'integer' || type === 'number') return Number(value);
  if (found.length > 1) return found.map(textOf).join(',');
  return type === 'boolean' && typeof value === 'boolean' ? value : textOf(value);
}

function textOf(value: unknown): string {
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A path that is not understood selects nothing. */
function parsePath(text: string): Step[] {
  const steps: Step[] = [];
  let rest = text.startsWith('.') || text.startsWith('[') ? text : `.${text}`;
  while (rest !== '') {
    const match = STEP.exec(rest);
    if (match === null) return [{ kind: 'member', name: '' }];
    const [whole, plain, quoted, index, filterPath, sign, value] = match;
    if (plain !== undefined) steps.push({ kind: 'member', name: plain.replaceAll('\\', '') });
    else if (quoted !== undefined) steps.push({ kind: 'member', name: quoted });
    else if (index !== undefined) steps.push({ kind: 'index', index: Number(index) });
    else if (filterPath !== undefined)
      steps.push({ kind: 'filter', path: parsePath(filterPath), equals: sign === '==', value });
    else steps.push({ kind: 'all' });
    rest = rest.slice(whole.length);
  }
  return steps;
}

function select(object: ApiObject, path: readonly Step[]): unknown[] {
  let found: unknown[] = [object];
  for (const step of path) found = found.flatMap((value) => take(value, step));
  return found;
}

function take(value: unknown, step: Step): unknown[] {
  switch (step.kind) {
    case 'member':
      return isJsonObject(value) && Object.hasOwn(value, step.name) ? [value[step.name]] : [];
    case 'index':
      return Array.isArray(value) && value.at(step.index) !== undefined
        ? [value.at(step.index)]
        : [];
    case 'all':
      if (Array.isArray(value)) return value;
      return isJsonObject(value) ? Object.values(value) : [];
    case 'filter':
      return (Array.isArray(value) ? value : []).filter((item) => {
        const [first] = step.path.reduce<unknown[]>(
          (values, inner) => values.flatMap((one) => take(one, inner)),
          [item],
        );
        return (String(first) === step.value) === step.equals;
      });
  }
}
