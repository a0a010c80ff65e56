/** Which fields differ between two states of an object, under its schema. */
import type { Schema } from '#config/schema/schema.ts';
import { equalJson } from '#kube/meta/object.ts';
import { FieldSet } from './field-set.ts';
import { type Child, childrenOf, fieldsOf } from './typed-value.ts';

export interface Comparison {
  /** Added or given another value. */
  changed: FieldSet;
  removed: FieldSet;
}

export function compareValues(
  schema: Schema | undefined,
  before: unknown,
  after: unknown,
): Comparison {
  const result: Comparison = { changed: new FieldSet(), removed: new FieldSet() };
  compareNode(schema, before, after, { changed: result.changed, removed: result.removed });
  return result;
}

function compareNode(
  schema: Schema | undefined,
  before: unknown,
  after: unknown,
  out: Comparison,
): void {
  const old = before === undefined ? [] : childrenOf(schema, before);
  const now = after === undefined ? [] : childrenOf(schema, after);
  if (old === undefined || now === undefined) {
    if (!equalJson(before, after)) out.changed.member = true;
    return;
  }
  const previous = new Map(old.map((child) => [child.element, child]));
  for (const child of now) {
    const other = previous.get(child.element);
    previous.delete(child.element);
    if (other === undefined) addAll(child, out.changed);
    else descend(child, other, out);
  }
  for (const child of previous.values()) addAll(child, out.removed);
}

function addAll(child: Child, set: FieldSet): void {
  const fields = fieldsOf(child.schema, child.value);
  if (child.element.startsWith('k:') || isEmptyContainer(child)) fields.member = true;
  set.children.set(child.element, fields);
}

function isEmptyContainer(child: Child): boolean {
  return childrenOf(child.schema, child.value)?.length === 0;
}

function descend(child: Child, other: Child, out: Comparison): void {
  const changed = new FieldSet();
  const removed = new FieldSet();
  compareNode(child.schema, other.value, child.value, { changed, removed });
  if (!changed.empty) out.changed.children.set(child.element, changed);
  if (!removed.empty) out.removed.children.set(child.element, removed);
}
