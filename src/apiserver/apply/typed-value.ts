/**
 * How a value splits into fields under its schema: granular objects by member, map lists by key, set lists by value;
 * everything atomic or untyped-list is one field. All of apply goes through `describeNode`.
 */
import { memberSchema, resolveSchema, type Schema } from '#config/schema/schema.ts';
import { isJsonObject } from '#kube/meta/object.ts';
import { FieldSet } from './field-set.ts';

export type NodeShape = 'leaf' | 'object' | 'keyed' | 'set';

export interface Child {
  element: string;
  /** Member name, for objects. */
  key?: string;
  value: unknown;
  schema: Schema | undefined;
}

/** Objects without a schema (free-form, preserved unknown) split by member, as Kubernetes deduces them. */
export function shapeOf(schema: Schema | undefined, value: unknown): NodeShape {
  if (isJsonObject(value)) {
    if (schema === undefined) return 'object';
    const mapType =
      schema['x-kubernetes-map-type'] ?? resolveSchema(schema)['x-kubernetes-map-type'];
    return mapType === 'atomic' ? 'leaf' : 'object';
  }
  if (!Array.isArray(value) || schema === undefined) return 'leaf';
  const listType =
    schema['x-kubernetes-list-type'] ?? resolveSchema(schema)['x-kubernetes-list-type'];
  if (listType === 'map') return 'keyed';
  return listType === 'set' ? 'set' : 'leaf';
}

/** Undefined when the shape is a leaf. Duplicate list items keep the first. */
export function childrenOf(schema: Schema | undefined, value: unknown): Child[] | undefined {
  const shape = shapeOf(schema, value);
  if (shape === 'leaf') return undefined;
  if (shape === 'object') {
    return Object.entries(value as Record<string, unknown>).map(([key, member]) => ({
      element: `f:${key}`,
      key,
      value: member,
      schema: schema === undefined ? undefined : memberSchema(schema, key),
    }));
  }
  const node = schema === undefined ? undefined : resolveSchema(schema);
  const items = value as unknown[];
  if (shape === 'set') {
    return items.map((item) => ({
      element: `v:${JSON.stringify(item)}`,
      value: item,
      schema: node?.items,
    }));
  }
  const keys = schema?.['x-kubernetes-list-map-keys'] ?? node?.['x-kubernetes-list-map-keys'] ?? [];
  return items.map((item) => ({
    element: `k:${JSON.stringify(keysOf(item, keys, node?.items))}`,
    value: item,
    schema: node?.items,
  }));
}

/** Keys in alphabetical order, absent ones by their default, as FieldsV1 writes them. */
export function keysOf(
  item: unknown,
  keys: readonly string[],
  schema: Schema | undefined,
): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const key of [...keys].sort()) {
    const own = isJsonObject(item) && Object.hasOwn(item, key) ? item[key] : undefined;
    const fallback = schema === undefined ? undefined : memberSchema(schema, key)?.default;
    const value = own ?? fallback;
    if (value !== undefined) found[key] = value;
  }
  return found;
}

/** All fields of a value. An empty object or list is a field itself; list items are, too. */
export function fieldsOf(schema: Schema | undefined, value: unknown): FieldSet {
  const set = new FieldSet();
  collect(schema, value, set, true);
  return set;
}

function collect(schema: Schema | undefined, value: unknown, set: FieldSet, root: boolean): void {
  const children = childrenOf(schema, value);
  if (children === undefined || (children.length === 0 && !root)) {
    set.member = true;
    return;
  }
  for (const child of children) {
    const node = set.child(child.element);
    // An item of a keyed list exists by itself: removing its last member does not remove it.
    if (child.element.startsWith('k:')) node.member = true;
    collect(child.schema, child.value, node, false);
  }
}
