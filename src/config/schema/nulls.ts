/** Removes members that are null, in place, as Go's JSON decoder does for typed objects. Free-form values keep theirs. */
import { SCHEMA_DEPTH_MAX } from './limits.ts';
import { memberSchema, resolveSchema, type Schema } from './schema.ts';

export function dropNulls(schema: Schema, value: unknown, depth = 0): void {
  if (depth > SCHEMA_DEPTH_MAX || typeof value !== 'object' || value === null) return;
  const node = resolveSchema(schema);
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    for (const item of value) dropNulls(node.items, item, depth + 1);
    return;
  }
  for (const key of Object.keys(value)) {
    const member = memberSchema(node, key);
    if (member === undefined) continue;
    const item = (value as Record<string, unknown>)[key];
    const free =
      resolveSchema(member).type === undefined && resolveSchema(member).properties === undefined;
    if (item === null && !free) delete (value as Record<string, unknown>)[key];
    else dropNulls(member, item, depth + 1);
  }
}
