/**
 * Fills the schema's defaults into a value, in place, top-down: a default object gets the defaults of its members. A
 * null in a member that has a default and is not nullable counts as absent, as Kubernetes does.
 */
import { SCHEMA_DEPTH_MAX } from './limits.ts';
import { resolveSchema, type Schema } from './schema.ts';

type Value = Record<string, unknown>;

export function fillDefaults(schema: Schema, value: unknown, depth = 0): void {
  if (depth > SCHEMA_DEPTH_MAX || typeof value !== 'object' || value === null) return;
  const node = resolveSchema(schema);
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    for (const item of value) fillDefaults(node.items, item, depth + 1);
    return;
  }
  const members = node.properties ?? {};
  for (const key of Object.keys(members)) fillMember(members[key], value as Value, key);
  for (const key of Object.keys(value)) {
    const member = Object.hasOwn(members, key) ? members[key] : node.additionalProperties;
    if (typeof member === 'object') fillDefaults(member, (value as Value)[key], depth + 1);
  }
}

function fillMember(member: Schema, value: Value, key: string): void {
  const fallback = member.default ?? resolveSchema(member).default;
  if (fallback === undefined) return;
  const absent = !Object.hasOwn(value, key);
  const cleared = !absent && value[key] === null && member.nullable !== true;
  if (absent || cleared) value[key] = structuredClone(fallback);
}
