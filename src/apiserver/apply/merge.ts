/** Lays an applied configuration over the live object, and takes away what its applier no longer names. */
import type { Schema } from '#config/schema/schema.ts';
import { cloneJson, isJsonObject, type JsonObject, setOwn } from '#kube/meta/object.ts';
import type { FieldSet } from './field-set.ts';
import { type Child, childrenOf, shapeOf } from './typed-value.ts';

export function mergeValue(schema: Schema | undefined, live: unknown, applied: unknown): unknown {
  const shape = shapeOf(schema, applied);
  if (shape === 'leaf' || live === undefined || shapeOf(schema, live) !== shape)
    return cloneJson(applied);
  const over = childrenOf(schema, applied) ?? [];
  const under = childrenOf(schema, live) ?? [];
  if (shape === 'object') return mergeObject(live as JsonObject, over, under);
  const byElement = new Map(over.map((child) => [child.element, child]));
  const merged: unknown[] = [];
  for (const child of under) {
    const other = byElement.get(child.element);
    byElement.delete(child.element);
    merged.push(
      other === undefined
        ? cloneJson(child.value)
        : mergeValue(child.schema, child.value, other.value),
    );
  }
  for (const child of byElement.values()) merged.push(cloneJson(child.value));
  return merged;
}

function mergeObject(
  live: JsonObject,
  over: readonly Child[],
  under: readonly Child[],
): JsonObject {
  const merged: JsonObject = {};
  for (const key of Object.keys(live)) setOwn(merged, key, cloneJson(live[key]));
  const previous = new Map(under.map((child) => [child.element, child]));
  for (const child of over) {
    const value = mergeValue(child.schema, previous.get(child.element)?.value, child.value);
    setOwn(merged, child.key ?? '', value);
  }
  return merged;
}

/**
 * Removes fields that were in `last` and that nobody keeps. An object that runs empty goes with its last member; a
 * keyed item goes when nobody keeps anything in it.
 */
export function removeDropped(
  schema: Schema | undefined,
  value: unknown,
  last: FieldSet,
  keep: FieldSet | undefined,
): unknown {
  const children = childrenOf(schema, value);
  if (children === undefined) return value;
  const kept: Child[] = [];
  for (const child of children) {
    const wasMine = last.children.get(child.element);
    if (wasMine === undefined) {
      kept.push(child);
      continue;
    }
    const others = keep?.children.get(child.element);
    const wanted = others !== undefined && !others.empty;
    if (wasMine.member && !wanted) continue;
    const rest = removeDropped(child.schema, child.value, wasMine, others);
    if (!wanted && isEmpty(rest) && !isEmpty(child.value)) continue;
    kept.push({ ...child, value: rest });
  }
  if (Array.isArray(value)) return kept.map((child) => child.value);
  const result: JsonObject = {};
  for (const child of kept) setOwn(result, child.key ?? '', child.value);
  return result;
}

function isEmpty(value: unknown): boolean {
  if (Array.isArray(value)) return value.length === 0;
  return isJsonObject(value) && Object.keys(value).length === 0;
}
