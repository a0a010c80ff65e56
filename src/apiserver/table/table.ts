/** meta.k8s.io/v1 Table: column definitions and rows per kind. Built-in kinds have rows in columns.ts; CRDs bring their own. */
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import type { ServedKind } from '../kinds/served-kind.ts';
import { ageOf, BUILTIN_COLUMNS, type Column, NAME_COLUMN } from './columns.ts';
import { customColumns } from './custom-columns.ts';

export interface TableForm {
  includeObject: 'None' | 'Metadata' | 'Object';
  /** Wall time, for ages. */
  now: number;
}

const DEFAULT_COLUMNS: readonly Column[] = [
  NAME_COLUMN,
  {
    name: 'Age',
    type: 'string',
    cell: (object, now) => ageOf(object.metadata.creationTimestamp, now),
  },
];

const customCache = new WeakMap<ServedKind, readonly Column[]>();

function columnsOf(kind: ServedKind): readonly Column[] {
  if (!kind.custom) return BUILTIN_COLUMNS[kind.table] ?? DEFAULT_COLUMNS;
  const known = customCache.get(kind);
  if (known !== undefined) return known;
  const columns = [NAME_COLUMN, ...customColumns(kind.columns ?? [])];
  customCache.set(kind, columns);
  return columns;
}

export function tableColumns(kind: ServedKind): JsonObject[] {
  return columnsOf(kind).map(({ name, type, format, description, wide }) => ({
    name,
    type,
    format: format ?? '',
    description: description ?? '',
    priority: wide ? 1 : 0,
  }));
}

export function tableRow(
  kind: ServedKind,
  object: ApiObject,
  { includeObject, now }: TableForm,
): JsonObject {
  const cells = columnsOf(kind).map((column) => column.cell(object, now) ?? null);
  if (includeObject === 'None') return { cells };
  if (includeObject === 'Object') return { cells, object };
  return {
    cells,
    object: {
      kind: 'PartialObjectMetadata',
      apiVersion: 'meta.k8s.io/v1',
      metadata: object.metadata,
    },
  };
}
