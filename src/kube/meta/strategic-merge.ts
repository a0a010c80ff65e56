/**
 * Strategic merge patch: merge patch plus list merging by key and the directives `$patch`, `$retainKeys`,
 * `$setElementOrder/…` and `$deleteFromPrimitiveList/…`. Semantics: apimachinery/pkg/util/strategicpatch.
 */
import { PatchError } from './json-patch.ts';
import { type ListMerge, listMerge } from './merge-keys.ts';
import { cloneJson, equalJson, isJsonObject, type JsonObject, setOwn } from './object.ts';

const SET_ORDER = '$setElementOrder/';
const DELETE_PRIMITIVES = '$deleteFromPrimitiveList/';

export function applyStrategicMerge(target: unknown, patch: unknown): unknown {
  if (!isJsonObject(patch)) throw new PatchError('invalid', 'a strategic merge patch is an object');
  return mergeObject(isJsonObject(target) ? cloneJson(target) : {}, patch, []);
}

function mergeObject(target: JsonObject, patch: JsonObject, path: readonly string[]): JsonObject {
  if (patch.$patch === 'replace') return withoutDirectives(patch);
  if (patch.$patch === 'delete') return {};
  if (patch.$patch !== undefined && patch.$patch !== 'merge')
    throw new PatchError('invalid', `unknown patch type: ${String(patch.$patch)}`);
  retainKeys(target, patch);
  for (const key of Object.keys(patch)) {
    if (key.startsWith('$')) {
      if (key.startsWith(DELETE_PRIMITIVES)) deletePrimitives(target, key, patch[key]);
      continue;
    }
    mergeMember(target, { key, value: patch[key], order: patch[SET_ORDER + key] }, path);
  }
  for (const key of Object.keys(patch)) {
    const field = key.slice(SET_ORDER.length);
    if (key.startsWith(SET_ORDER) && patch[field] === undefined)
      orderList(target, { field, order: patch[key] }, path);
  }
  return target;
}

interface MemberPatch {
  key: string;
  value: unknown;
  order: unknown;
}

function mergeMember(
  target: JsonObject,
  { key, value, order }: MemberPatch,
  path: readonly string[],
): void {
  const here = [...path, key];
  if (value === null) {
    delete target[key];
    return;
  }
  const current = Object.hasOwn(target, key) ? target[key] : undefined;
  if (isJsonObject(value)) {
    if (value.$patch === 'delete') delete target[key];
    else setOwn(target, key, mergeObject(isJsonObject(current) ? current : {}, value, here));
    return;
  }
  if (Array.isArray(value)) {
    setOwn(target, key, mergeList(Array.isArray(current) ? current : [], value, here));
    if (order !== undefined) orderList(target, { field: key, order }, path);
    return;
  }
  setOwn(target, key, value);
}

function mergeList(current: unknown[], patch: unknown[], path: readonly string[]): unknown[] {
  const strategy = listMerge(path);
  const replaces = patch.some((item) => isJsonObject(item) && item.$patch === 'replace');
  if (strategy === undefined || replaces) {
    return patch
      .filter((item) => !(isJsonObject(item) && item.$patch !== undefined))
      .map((item) => (isJsonObject(item) ? withoutDirectives(item) : cloneJson(item)));
  }
  if (strategy === 'primitive')
    return [...current, ...patch.filter((item) => !current.includes(item))];
  return mergeByKey([...current], patch, { key: strategy.key, path });
}

function mergeByKey(
  result: unknown[],
  patch: unknown[],
  { key, path }: { key: string; path: readonly string[] },
): unknown[] {
  for (const item of patch) {
    if (!isJsonObject(item))
      throw new PatchError('invalid', `items of ${path.join('.')} are objects`);
    if (item[key] === undefined)
      throw new PatchError(
        'invalid',
        `map: ${JSON.stringify(item)} does not contain declared merge key: ${key}`,
      );
    const index = result.findIndex((old) => isJsonObject(old) && equalJson(old[key], item[key]));
    if (item.$patch === 'delete') {
      if (index >= 0) result.splice(index, 1);
    } else if (index < 0) result.push(mergeObject({}, item, path));
    else result[index] = mergeObject(cloneJson(result[index]) as JsonObject, item, path);
  }
  return result;
}

/** Items named by the order come in that order; the others keep their place relative to the item before them. */
function orderList(
  target: JsonObject,
  { field, order }: { field: string; order: unknown },
  path: readonly string[],
): void {
  const list = target[field];
  if (!Array.isArray(list) || !Array.isArray(order)) return;
  const strategy = listMerge([...path, field]);
  const identity = (item: unknown) => itemIdentity(item, strategy);
  const rank = new Map(order.map((item, index) => [identity(item), index]));
  const named = list.filter((item) => rank.has(identity(item)));
  named.sort((left, right) => rank.get(identity(left))! - rank.get(identity(right))!);
  let next = 0;
  target[field] = list.map((item) => (rank.has(identity(item)) ? named[next++] : item));
}

function itemIdentity(item: unknown, strategy: ListMerge): string {
  if (strategy !== undefined && strategy !== 'primitive' && isJsonObject(item))
    return JSON.stringify(item[strategy.key]);
  return JSON.stringify(item);
}

function retainKeys(target: JsonObject, patch: JsonObject): void {
  const keep = patch.$retainKeys;
  if (!Array.isArray(keep)) return;
  for (const key of Object.keys(target)) if (!keep.includes(key)) delete target[key];
}

function deletePrimitives(target: JsonObject, directive: string, values: unknown): void {
  const field = directive.slice(DELETE_PRIMITIVES.length);
  const list = target[field];
  if (!Array.isArray(list) || !Array.isArray(values)) return;
  target[field] = list.filter((item) => !values.includes(item));
}

/** A replacing object may carry nulls and directives for members that do not exist: they leave no trace. */
function withoutDirectives(value: JsonObject): JsonObject {
  const result: JsonObject = {};
  for (const [key, item] of Object.entries(value)) {
    if (key.startsWith('$') || item === null) continue;
    setOwn(result, key, isJsonObject(item) ? withoutDirectives(item) : cloneJson(item));
  }
  return result;
}
