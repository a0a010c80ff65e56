/**
 * Completes a schema from the packages with what they leave out: defaults, list types and CEL rules. A refinement
 * names its nodes by a path pattern: `spec.rules[].filters[]`, `{}` for map values, `**` for any members between.
 */
import { assert } from '#base/assert.ts';
import type { Schema, ValidationRule } from '#config/schema/schema.ts';

export interface Refinement {
  at: string | readonly string[];
  set?: Partial<Schema>;
  rules?: readonly ValidationRule[];
  /** Members that are not required although the package says so. */
  optional?: readonly string[];
  /** Members that the package lacks. */
  add?: Record<string, Schema>;
}

/** Changes the schema in place. A pattern that names nothing is a bug of the tables. */
export function refine(schema: Schema, refinements: readonly Refinement[], kind: string): void {
  for (const refinement of refinements) {
    const patterns = typeof refinement.at === 'string' ? [refinement.at] : refinement.at;
    for (const pattern of patterns) {
      const nodes = select(schema, splitPattern(pattern));
      assert(nodes.length > 0, `no schema node at ${pattern} of ${kind}`);
      for (const node of nodes) applyTo(node, refinement);
    }
  }
}

function applyTo(node: Schema, refinement: Refinement): void {
  Object.assign(node, structuredClone(refinement.set ?? {}));
  if (refinement.add !== undefined) {
    node.properties = { ...node.properties, ...structuredClone(refinement.add) };
  }
  if (refinement.optional !== undefined) {
    node.required = node.required?.filter((key) => refinement.optional?.includes(key) !== true);
    if (node.required?.length === 0) delete node.required;
  }
  if (refinement.rules !== undefined) {
    const before = node['x-kubernetes-validations'] ?? [];
    node['x-kubernetes-validations'] = [
      ...before,
      ...refinement.rules.map((rule) => ({ ...rule })),
    ];
  }
}

function splitPattern(pattern: string): string[] {
  return pattern
    .replaceAll('[]', '.[]')
    .replaceAll('{}', '.{}')
    .split('.')
    .filter((part) => part !== '');
}

function select(schema: Schema, parts: readonly string[]): Schema[] {
  if (parts.length === 0) return [schema];
  const [part, ...rest] = parts;
  if (part === '**') return [...new Set(everyMember(schema).flatMap((node) => select(node, rest)))];
  const next = step(schema, part);
  return next === undefined ? [] : select(next, rest);
}

function step(schema: Schema, part: string): Schema | undefined {
  if (part === '[]') return schema.items;
  if (part === '{}')
    return typeof schema.additionalProperties === 'object'
      ? schema.additionalProperties
      : undefined;
  return schema.properties !== undefined && Object.hasOwn(schema.properties, part)
    ? schema.properties[part]
    : undefined;
}

function everyMember(schema: Schema): Schema[] {
  const nodes = [schema];
  for (const child of Object.values(schema.properties ?? {})) nodes.push(...everyMember(child));
  if (schema.items !== undefined) nodes.push(...everyMember(schema.items));
  if (typeof schema.additionalProperties === 'object')
    nodes.push(...everyMember(schema.additionalProperties));
  return nodes;
}

/** A CEL rule with its message. */
export function rule(message: string, expression: string): ValidationRule {
  return { message, rule: expression };
}

/**
 * At most one of the members is set: each pair is looked at. Without lists, as Kubernetes estimates what a rule costs for as many
 * items as a request may hold, and refuses definitions above its budget.
 */
export function atMostOne(message: string, ...members: string[]): ValidationRule {
  const pairs = members.flatMap((left, index) =>
    members.slice(index + 1).map((right) => `!(has(self.${left}) && has(self.${right}))`),
  );
  return rule(message, pairs.join(' && '));
}
