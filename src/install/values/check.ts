/** Which of the values that somebody wrote are wrong: unknown names with the nearest known one, types, ranges. Pure. */
import { nearest } from './nearest.ts';
import { VALUE_ROWS, type ValueRow } from './spec.ts';

export interface ValueFinding {
  readonly field: string;
  readonly reason: string;
  readonly remedy: string;
}

const ROWS: ReadonlyMap<string, ValueRow> = new Map(VALUE_ROWS.map((row) => [row.path, row]));
/** `image`, `control`: what has members of its own. */
const GROUPS: ReadonlySet<string> = new Set(
  VALUE_ROWS.flatMap(({ path }) => (path.includes('.') ? [path.slice(0, path.indexOf('.'))] : [])),
);
const NAMES = [...ROWS.keys(), ...GROUPS];

export function checkValues(tree: Readonly<Record<string, unknown>>, at = ''): ValueFinding[] {
  return Object.entries(tree).flatMap(([name, value]) => {
    const field = at === '' ? name : `${at}.${name}`;
    const row = ROWS.get(field);
    if (row !== undefined) return checkValue(row, value);
    if (!GROUPS.has(field)) return [unknown(field)];
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return checkValues(value as Record<string, unknown>, field);
    }
    const members = NAMES.filter((each) => each.startsWith(`${field}.`)).join(', ');
    return [{ field, reason: `it is ${typeOf(value)}`, remedy: `set one of ${members}` }];
  });
}

function unknown(field: string): ValueFinding {
  const near = nearest(field, NAMES);
  const remedy =
    near === undefined ? 'docs/install.md lists the values there are' : `do you mean ${near}?`;
  return { field, reason: 'there is no such value', remedy };
}

function checkValue(row: ValueRow, value: unknown): ValueFinding[] {
  const wrong = (reason: string, remedy: string) => [{ field: row.path, reason, remedy }];
  if (!hasType(row, value)) {
    return wrong(`it is ${typeOf(value)}`, `want ${WANTED[row.type]}, as ${shown(row)}`);
  }
  if (row.oneOf !== undefined && !row.oneOf.includes(value as string)) {
    const near = nearest(String(value), row.oneOf);
    const want = `want ${row.oneOf.join(', ')}`;
    const remedy = near === undefined ? want : `${want}; do you mean ${near}?`;
    return wrong(`${JSON.stringify(value)} is none of its values`, remedy);
  }
  if (row.pattern !== undefined && !new RegExp(row.pattern).test(String(value))) {
    return wrong(
      `${JSON.stringify(value)} does not match ${row.pattern}`,
      `write it as ${shown(row)}`,
    );
  }
  if (typeof value !== 'number') return [];
  const { minimum = -Infinity, maximum = Infinity } = row;
  if (value >= minimum && value <= maximum) return [];
  return wrong(`${value} is out of range`, `want ${minimum} to ${maximum}`);
}

function hasType({ type }: ValueRow, value: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value);
    case 'intOrString':
      return Number.isInteger(value) || typeof value === 'string';
    case 'array':
      return Array.isArray(value);
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    default:
      return typeof value === type;
  }
}

const WANTED: Record<ValueRow['type'], string> = {
  string: 'a string',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  intOrString: 'a whole number or a percentage',
};

function shown(row: ValueRow): string {
  return JSON.stringify(row.default);
}

function typeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `the ${typeof value} ${JSON.stringify(value)}`;
}
