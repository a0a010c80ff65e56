/**
 * Sets of field paths, the currency of managed fields: a trie whose edges are Kubernetes' path elements (`f:spec`,
 * `k:{"name":"a"}`, `v:"x"`, `i:0`) and whose nodes may be members themselves. Written as FieldsV1.
 */
import { isJsonObject, type JsonObject } from '#kube/meta/object.ts';

export class FieldSet {
  /** The path to this node itself belongs to the set. */
  member = false;
  readonly children = new Map<string, FieldSet>();

  get empty(): boolean {
    if (this.member) return false;
    for (const child of this.children.values()) if (!child.empty) return false;
    return true;
  }

  child(element: string): FieldSet {
    let node = this.children.get(element);
    if (node === undefined) {
      node = new FieldSet();
      this.children.set(element, node);
    }
    return node;
  }

  /** The node at the path, if the trie reaches it. */
  at(path: readonly string[]): FieldSet | undefined {
    let node: FieldSet | undefined = this;
    for (const element of path) {
      node = node?.children.get(element);
      if (node === undefined) return undefined;
    }
    return node;
  }

  has(path: readonly string[]): boolean {
    return this.at(path)?.member === true;
  }

  insert(path: readonly string[]): void {
    let node: FieldSet = this;
    for (const element of path) node = node.child(element);
    node.member = true;
  }
}

export function union(left: FieldSet, right: FieldSet): FieldSet {
  const result = new FieldSet();
  result.member = left.member || right.member;
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    result.children.set(element, other === undefined ? child : union(child, other));
  }
  for (const [element, child] of right.children) {
    if (!left.children.has(element)) result.children.set(element, child);
  }
  return result;
}

export function intersection(left: FieldSet, right: FieldSet): FieldSet {
  const result = new FieldSet();
  result.member = left.member && right.member;
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    if (other === undefined) continue;
    const both = intersection(child, other);
    if (!both.empty) result.children.set(element, both);
  }
  return result;
}

export function difference(left: FieldSet, right: FieldSet): FieldSet {
  const result = new FieldSet();
  result.member = left.member && !right.member;
  for (const [element, child] of left.children) {
    const other = right.children.get(element);
    const rest = other === undefined ? child : difference(child, other);
    if (!rest.empty) result.children.set(element, rest);
  }
  return result;
}

/** Drops every path that is in `roots` or below one of them: what an owner of a whole subtree loses with it. */
export function recursiveDifference(left: FieldSet, roots: FieldSet): FieldSet {
  const result = new FieldSet();
  if (roots.member) return result;
  result.member = left.member;
  for (const [element, child] of left.children) {
    const other = roots.children.get(element);
    const rest = other === undefined ? child : recursiveDifference(child, other);
    if (!rest.empty) result.children.set(element, rest);
  }
  return result;
}

export function equalSets(left: FieldSet, right: FieldSet): boolean {
  return difference(left, right).empty && difference(right, left).empty;
}

/** Every member path, in the order of FieldsV1. */
export function* paths(set: FieldSet, prefix: readonly string[] = []): Generator<string[]> {
  if (set.member) yield [...prefix];
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child !== undefined) yield* paths(child, [...prefix, element]);
  }
}

/** Members without members below. */
export function* leaves(set: FieldSet, prefix: readonly string[] = []): Generator<string[]> {
  let below = false;
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child === undefined || child.empty) continue;
    below = true;
    yield* leaves(child, [...prefix, element]);
  }
  if (set.member && !below) yield [...prefix];
}

export function encodeFields(set: FieldSet): JsonObject {
  const fields: JsonObject = {};
  if (set.member) fields['.'] = {};
  for (const element of [...set.children.keys()].sort()) {
    const child = set.children.get(element);
    if (child === undefined || child.empty) continue;
    // A leaf is written as an empty object; the dot marks only nodes that have children too.
    const isLeaf = child.member && child.children.size === 0;
    fields[element] = isLeaf ? {} : encodeFields(child);
  }
  return fields;
}

export function decodeFields(fields: unknown): FieldSet {
  const set = new FieldSet();
  if (!isJsonObject(fields)) return set;
  for (const key of Object.keys(fields)) {
    if (key === '.') set.member = true;
    else {
      const child = decodeFields(fields[key]);
      const value = fields[key];
      if (isJsonObject(value) && Object.keys(value).length === 0) child.member = true;
      set.children.set(key, child);
    }
  }
  return set;
}

/** `.spec.containers[name="web"].image`, as conflicts print it. */
export function showPath(path: readonly string[]): string {
  let text = '';
  for (const element of path) {
    const kind = element.slice(0, 2);
    const rest = element.slice(2);
    if (kind === 'f:') text += `.${rest}`;
    else if (kind === 'i:') text += `[${rest}]`;
    else if (kind === 'v:') text += `[=${rest}]`;
    else text += `[${showKeys(rest)}]`;
  }
  return text;
}

function showKeys(keys: string): string {
  const parsed = JSON.parse(keys) as JsonObject;
  return Object.entries(parsed)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(',');
}
