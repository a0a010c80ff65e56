/**
 * Finds the members of an object that its schema does not know, and removes them when asked. The paths serve
 * fieldValidation Strict and Warn. Metadata of the root and of embedded resources is left to the meta code.
 */
import { childPath, indexPath } from './finding.ts';
import { SCHEMA_DEPTH_MAX } from './limits.ts';
import { resolveSchema, type Schema } from './schema.ts';

type Value = Record<string, unknown>;

export interface PruneOptions {
  /** Delete what is unknown, in place. */
  prune: boolean;
  /** The value is a whole object: apiVersion, kind and metadata are always known. */
  root?: boolean;
}

const OBJECT_HEAD = new Set(['apiVersion', 'kind', 'metadata']);

export function unknownMembers(schema: Schema, value: unknown, options: PruneOptions): string[] {
  const unknown: string[] = [];
  visit(
    schema,
    value,
    { path: '', depth: 0, head: options.root === true, prune: options.prune },
    unknown,
  );
  return unknown;
}

interface Place {
  path: string;
  depth: number;
  head: boolean;
  prune: boolean;
}

function visit(schema: Schema, value: unknown, place: Place, unknown: string[]): void {
  if (place.depth > SCHEMA_DEPTH_MAX || typeof value !== 'object' || value === null) return;
  const node = resolveSchema(schema);
  const depth = place.depth + 1;
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    for (let index = 0; index < value.length; index++) {
      const path = indexPath(place.path, index);
      visit(node.items, value[index], { path, depth, head: false, prune: place.prune }, unknown);
    }
    return;
  }
  const head = place.head || node['x-kubernetes-embedded-resource'] === true;
  const open = node['x-kubernetes-preserve-unknown-fields'] === true || isOpen(node);
  for (const key of Object.keys(value)) {
    if (head && OBJECT_HEAD.has(key)) continue;
    const path = childPath(place.path, key);
    const member = memberOf(node, key);
    if (member !== undefined) {
      visit(
        member,
        (value as Value)[key],
        { path, depth, head: false, prune: place.prune },
        unknown,
      );
    } else if (!open) {
      unknown.push(path);
      if (place.prune) delete (value as Value)[key];
    }
  }
}

/** A node that says nothing about its members (a free-form JSON value) keeps them all. */
function isOpen(node: Schema): boolean {
  if (node.additionalProperties === true) return true;
  return node.type === undefined && node.properties === undefined;
}

function memberOf(node: Schema, key: string): Schema | undefined {
  if (node.properties !== undefined && Object.hasOwn(node.properties, key))
    return node.properties[key];
  return typeof node.additionalProperties === 'object' ? node.additionalProperties : undefined;
}
