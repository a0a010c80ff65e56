/** What a schema check reports: a field path, Kubernetes' cause reason and the text after the path. Pure data. */

export type FindingReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueTypeInvalid'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueNotFound';

export interface Finding {
  field: string;
  reason: FindingReason;
  message: string;
}

/** `spec.http[0]`, `metadata.labels[a.b/c]`: members that are not identifiers go into brackets, as Kubernetes does. */
export function childPath(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

export function keyPath(path: string, key: string): string {
  return `${path}[${key}]`;
}

export function indexPath(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** Go's %q for scalars, the type name in quotes for composites, as field.Invalid prints a value. */
export function showValue(value: unknown): string {
  if (value === null || value === undefined) return '"null"';
  if (Array.isArray(value)) return '"array"';
  if (typeof value === 'object') return '"object"';
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** The JSON type name as Kubernetes' CEL errors print it. */
export function typeName(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

export function required(field: string, detail = ''): Finding {
  return {
    field,
    reason: 'FieldValueRequired',
    message: detail === '' ? 'Required value' : `Required value: ${detail}`,
  };
}

export function invalid(field: string, value: unknown, detail: string): Finding {
  return {
    field,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${showValue(value)}: ${detail}`,
  };
}

export function duplicate(field: string, value: unknown): Finding {
  const shown = typeof value === 'object' ? JSON.stringify(value) : showValue(value);
  return { field, reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown}` };
}

export function forbidden(field: string, detail: string): Finding {
  return { field, reason: 'FieldValueForbidden', message: `Forbidden: ${detail}` };
}

export function unsupported(field: string, value: unknown, supported: readonly unknown[]): Finding {
  const shown = supported.map((item) => JSON.stringify(item)).join(', ');
  return {
    field,
    reason: 'FieldValueNotSupported',
    message: `Unsupported value: ${showValue(value)}: supported values: ${shown}`,
  };
}

export function tooMany(field: string, count: number, maximum: number): Finding {
  return {
    field,
    reason: 'FieldValueTooMany',
    message: `Too many: ${count}: must have at most ${maximum} items`,
  };
}
