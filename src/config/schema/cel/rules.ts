/**
 * Runs the CEL rules of a schema over a value and its old state. Transition rules see the old value of the same
 * member; in lists only map-type lists correlate, by their keys. One read budget covers the whole object.
 */
import {
  childPath,
  type Finding,
  type FindingReason,
  indexPath,
  keyPath,
  typeName,
} from '../finding.ts';
import { CEL_READS_MAX, SCHEMA_DEPTH_MAX } from '../limits.ts';
import { resolveSchema, type Schema, type ValidationRule } from '../schema.ts';
import { celEngine } from './engine.ts';
import type { ReadBudget } from './values.ts';

type Value = Record<string, unknown>;

export interface RuleOptions {
  /** Leave out rules that failed to evaluate: the object is known to be malformed. */
  onlyRefusals: boolean;
}

export function checkRules(
  schema: Schema,
  value: unknown,
  old: unknown,
  options: RuleOptions = { onlyRefusals: false },
): Finding[] {
  const findings: Finding[] = [];
  if (!hasRules(schema)) return findings;
  const { ReadBudget } = celEngine();
  const budget = new ReadBudget(CEL_READS_MAX);
  visit({ schema, value, old, path: '', depth: 0, ...options }, budget, findings);
  return findings;
}

interface Place extends RuleOptions {
  schema: Schema;
  value: unknown;
  /** Undefined where the old object has no such value. */
  old: unknown;
  path: string;
  depth: number;
}

const ruled = new WeakMap<Schema, boolean>();

/** Whether any rule stands in or under the node; recursion counts as no until proven. */
function hasRules(schema: Schema): boolean {
  const node = resolveSchema(schema);
  const known = ruled.get(node);
  if (known !== undefined) return known;
  ruled.set(node, false);
  const found =
    (node['x-kubernetes-validations']?.length ?? 0) > 0 ||
    (node.items !== undefined && hasRules(node.items)) ||
    (typeof node.additionalProperties === 'object' && hasRules(node.additionalProperties)) ||
    Object.values(node.properties ?? {}).some((member) => hasRules(member));
  ruled.set(node, found);
  return found;
}

function visit(place: Place, budget: ReadBudget, findings: Finding[]): void {
  const { value, path, depth, onlyRefusals } = place;
  if (value === null || value === undefined || depth > SCHEMA_DEPTH_MAX || !hasRules(place.schema))
    return;
  const node = resolveSchema(place.schema);
  runRules(node, place, budget, findings);
  if (Array.isArray(value)) {
    if (node.items === undefined) return;
    for (let index = 0; index < value.length; index++) {
      const old = correlate(node, place.old, value[index]);
      const item = { schema: node.items, value: value[index], old, path: indexPath(path, index) };
      visit({ ...item, depth: depth + 1, onlyRefusals }, budget, findings);
    }
    return;
  }
  if (typeof value !== 'object') return;
  for (const key of Object.keys(value)) {
    const declared = node.properties !== undefined && Object.hasOwn(node.properties, key);
    const schema = declared ? node.properties?.[key] : node.additionalProperties;
    if (typeof schema !== 'object') continue;
    const memberPath = declared ? childPath(path, key) : keyPath(path, key);
    const old = memberOf(place.old, key);
    visit(
      {
        schema,
        value: (value as Value)[key],
        old,
        path: memberPath,
        depth: depth + 1,
        onlyRefusals,
      },
      budget,
      findings,
    );
  }
}

function memberOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, key) ? (value as Value)[key] : undefined;
}

function correlate(node: Schema, old: unknown, item: unknown): unknown {
  if (node['x-kubernetes-list-type'] !== 'map' || !Array.isArray(old)) return undefined;
  const keys = node['x-kubernetes-list-map-keys'] ?? [];
  return old.find((other) => keys.every((key) => memberOf(other, key) === memberOf(item, key)));
}

function runRules(node: Schema, place: Place, budget: ReadBudget, findings: Finding[]): void {
  const rules = node['x-kubernetes-validations'];
  if (rules === undefined || rules.length === 0) return;
  const { compileRule, toCelValue } = celEngine();
  const self = toCelValue(node, place.value, budget);
  const oldSelf = place.old === undefined ? undefined : toCelValue(node, place.old, budget);
  for (const rule of rules) {
    const program = compileRule(rule);
    if ('error' in program) {
      findings.push(report(rule, place, `rule compile error: ${program.error}`));
      continue;
    }
    if (program.usesOldSelf && oldSelf === undefined && rule.optionalOldSelf !== true) continue;
    const old = program.usesOldSelf ? oldSelf : undefined;
    const verdict = program.holds(self, old);
    if (verdict === true) continue;
    if (verdict !== false && place.onlyRefusals) continue;
    const text = verdict === false ? program.message(self, old) : verdict.error;
    findings.push(report(rule, place, text));
  }
}

function report(rule: ValidationRule, place: Place, text: string): Finding {
  const field = rule.fieldPath === undefined ? place.path : `${place.path}${rule.fieldPath}`;
  const reason: FindingReason = rule.reason ?? 'FieldValueInvalid';
  if (reason === 'FieldValueRequired') return { field, reason, message: `Required value: ${text}` };
  if (reason === 'FieldValueForbidden') return { field, reason, message: `Forbidden: ${text}` };
  const shown = shownType(place);
  if (reason === 'FieldValueDuplicate') {
    return { field, reason, message: `Duplicate value: "${shown}": ${text}` };
  }
  return { field, reason, message: `Invalid value: "${shown}": ${text}` };
}

/** Kubernetes prints the declared type, not the value. */
function shownType(place: Place): string {
  const { type } = resolveSchema(place.schema);
  return type ?? typeName(place.value);
}
