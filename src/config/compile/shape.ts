/**
 * What an object must look like before it is judged: which fields are lists, texts, numbers. The API server's schema says so as
 * well, but objects also come from files, and from servers with an older schema. What comes out has the types that the
 * `*-kinds.ts` promise; null members are absent, as protobuf's JSON has it.
 */
import type { Findings } from './finding.ts';

export type Shape =
  | 'text'
  | 'number'
  | 'flag'
  /** A double of protobuf's JSON: a number or its text. */
  | 'double'
  | { readonly list: Shape; readonly holdsNull?: boolean }
  | { readonly map: Shape; readonly holdsNull?: boolean }
  | { readonly fields: Readonly<Record<string, Shape>> };

const WORDS = { text: 'a text', number: 'a number', flag: 'true or false', double: 'a number' };

/** The value with only what the shape has; undefined where it is absent, or wrong (then with a finding). */
export function readShape(value: unknown, shape: Shape, path: string, findings: Findings): unknown {
  if (value === undefined || value === null) return undefined;
  if (typeof shape === 'string') return readScalar(value, shape, path, findings);
  if ('list' in shape) return readList(value, shape, path, findings);
  if (typeof value !== 'object' || Array.isArray(value))
    return wrong(value, 'an object', path, findings);
  const result: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(value)) {
    const of =
      'map' in shape
        ? shape.map
        : Object.hasOwn(shape.fields, name)
          ? shape.fields[name]
          : undefined;
    if (of === undefined) continue;
    const at = 'map' in shape ? `${path}[${name}]` : `${path}.${name}`;
    const isKept = member === null && 'map' in shape && shape.holdsNull === true;
    const read = isKept ? null : readShape(member, of, at, findings);
    if (read !== undefined) result[name] = read;
  }
  return result;
}

function readList(
  value: unknown,
  { list, holdsNull }: { readonly list: Shape; readonly holdsNull?: boolean },
  path: string,
  findings: Findings,
): unknown[] | undefined {
  if (!Array.isArray(value)) return wrong(value, 'a list', path, findings);
  return value.map((element: unknown, at) => {
    if (element !== null || holdsNull === true)
      return element === null ? null : readShape(element, list, `${path}[${at}]`, findings);
    return wrong(
      element,
      typeof list === 'string' ? WORDS[list] : 'an object',
      `${path}[${at}]`,
      findings,
    );
  });
}

function readScalar(
  value: unknown,
  shape: 'text' | 'number' | 'flag' | 'double',
  path: string,
  findings: Findings,
): unknown {
  switch (shape) {
    case 'text':
      return typeof value === 'string' ? value : wrong(value, WORDS.text, path, findings);
    case 'flag':
      return typeof value === 'boolean' ? value : wrong(value, WORDS.flag, path, findings);
    case 'double':
      if (typeof value === 'string') return value;
      return typeof value === 'number' ? value : wrong(value, WORDS.double, path, findings);
    case 'number': {
      // Protobuf's JSON takes whole numbers as text, too.
      const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value;
      return typeof number === 'number' ? number : wrong(value, WORDS.number, path, findings);
    }
  }
}

function wrong(value: unknown, wanted: string, path: string, findings: Findings): undefined {
  findings.invalid(path, `${describe(value)} is not ${wanted}`);
  return undefined;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' && value !== null ? 'an object' : JSON.stringify(value);
}
