/**
 * Checks a value against a structural schema with the wording of Kubernetes' API server. Reports everything it finds
 * up to a bound and never throws on a value; CEL rules run apart (cel/rules.ts), after this found nothing blocking.
 */
import {
  childPath,
  duplicate,
  type Finding,
  indexPath,
  required,
  tooMany,
  unsupported,
} from './finding.ts';
import { INTEGER_RANGES, matchesFormat } from './formats.ts';
import { FINDINGS_MAX, SCHEMA_DEPTH_MAX } from './limits.ts';
import { compilePattern } from './pattern.ts';
import { memberSchema, preservesUnknown, resolveSchema, type Schema } from './schema.ts';

type Value = Record<string, unknown>;

export function validateValue(schema: Schema, value: unknown, path = ''): Finding[] {
  const findings: Finding[] = [];
  walk({ schema, value, path, depth: 0 }, findings);
  return findings.length > FINDINGS_MAX ? findings.slice(0, FINDINGS_MAX) : findings;
}

interface Visit {
  schema: Schema;
  value: unknown;
  path: string;
  depth: number;
}

function walk(visit: Visit, findings: Finding[]): void {
  const { schema, value, path, depth } = visit;
  if (findings.length > FINDINGS_MAX) return;
  if (depth > SCHEMA_DEPTH_MAX) {
    findings.push(bodyError(path, value, `nested deeper than ${SCHEMA_DEPTH_MAX} levels`));
    return;
  }
  const node = resolveSchema(schema);
  if (value === null) {
    if (schema.nullable !== true && node.nullable !== true) checkNull(node, path, findings);
    return;
  }
  if (!checkType(node, value, path, findings)) return;
  checkEnum(node, value, path, findings);
  if (typeof value === 'string') checkString(node, value, path, findings);
  else if (typeof value === 'number') checkNumber(node, value, path, findings);
  else if (Array.isArray(value)) checkArray({ ...visit, schema: node }, value, findings);
  else if (typeof value === 'object')
    checkObject({ ...visit, schema: node }, value as Value, findings);
  checkCombinators({ ...visit, schema: node }, findings);
}

function checkNull(node: Schema, path: string, findings: Finding[]): void {
  if (node['x-kubernetes-int-or-string'] === true) {
    findings.push(typeError(path, 'null', 'integer,string'));
  } else if (node.type !== undefined) findings.push(typeError(path, 'null', node.type));
}

function checkType(node: Schema, value: unknown, path: string, findings: Finding[]): boolean {
  const actual = jsonType(value);
  if (node['x-kubernetes-int-or-string'] === true) {
    if (actual === 'integer' || actual === 'string') return true;
    findings.push(typeError(path, actual, 'integer,string'));
    return false;
  }
  const wanted = node.type;
  if (wanted === undefined || wanted === actual) return true;
  if (wanted === 'number' && actual === 'integer') return true;
  findings.push(typeError(path, actual, wanted));
  return false;
}

function checkEnum(node: Schema, value: unknown, path: string, findings: Finding[]): void {
  if (node.enum === undefined) return;
  const text = typeof value === 'object' ? JSON.stringify(value) : undefined;
  const known = node.enum.some(
    (item) => item === value || (text !== undefined && JSON.stringify(item) === text),
  );
  if (!known) findings.push(unsupported(path, value, node.enum));
}

function checkString(node: Schema, value: string, path: string, findings: Finding[]): void {
  // Kubernetes counts runes.
  const length =
    node.minLength === undefined && node.maxLength === undefined ? 0 : [...value].length;
  if (node.maxLength !== undefined && length > node.maxLength) {
    findings.push({
      field: path,
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${node.maxLength} bytes`,
    });
  }
  if (node.minLength !== undefined && length < node.minLength) {
    findings.push(bodyError(path, value, `should be at least ${node.minLength} chars long`));
  }
  if (node.pattern !== undefined && !compilePattern(node.pattern).test(value)) {
    findings.push(bodyError(path, value, `should match '${node.pattern}'`));
  }
  if (node.format !== undefined && !matchesFormat(node.format, value)) {
    findings.push(
      bodyError(path, value, `must be of type ${node.format}: ${JSON.stringify(value)}`),
    );
  }
}

function checkNumber(node: Schema, value: number, path: string, findings: Finding[]): void {
  const { minimum, maximum, multipleOf } = node;
  const range = node.format === undefined ? undefined : INTEGER_RANGES[node.format];
  if (range !== undefined && (value < range[0] || value > range[1])) {
    findings.push(bodyError(path, value, `must be of type ${node.format}: "${value}"`));
  }
  if (
    maximum !== undefined &&
    (node.exclusiveMaximum === true ? value >= maximum : value > maximum)
  ) {
    const word = node.exclusiveMaximum === true ? 'less than' : 'less than or equal to';
    findings.push(bodyError(path, value, `should be ${word} ${maximum}`));
  }
  if (
    minimum !== undefined &&
    (node.exclusiveMinimum === true ? value <= minimum : value < minimum)
  ) {
    const word = node.exclusiveMinimum === true ? 'greater than' : 'greater than or equal to';
    findings.push(bodyError(path, value, `should be ${word} ${minimum}`));
  }
  if (multipleOf !== undefined && multipleOf > 0 && !isMultiple(value, multipleOf)) {
    findings.push(bodyError(path, value, `should be a multiple of ${multipleOf}`));
  }
}

function isMultiple(value: number, divisor: number): boolean {
  const quotient = value / divisor;
  return Math.abs(quotient - Math.round(quotient)) < 1e-9;
}

function checkArray(visit: Visit, value: unknown[], findings: Finding[]): void {
  const { schema: node, path, depth } = visit;
  if (node.maxItems !== undefined && value.length > node.maxItems) {
    findings.push(tooMany(path, value.length, node.maxItems));
    return;
  }
  if (node.minItems !== undefined && value.length < node.minItems) {
    findings.push(bodyError(path, value, `should have at least ${node.minItems} items`));
  }
  if (
    node.uniqueItems === true &&
    new Set(value.map((item) => JSON.stringify(item))).size < value.length
  ) {
    findings.push(bodyError(path, value, "shouldn't contain duplicates"));
  }
  if (node.items !== undefined) {
    for (let index = 0; index < value.length; index++) {
      const item = { schema: node.items, value: value[index], path: indexPath(path, index) };
      walk({ ...item, depth: depth + 1 }, findings);
    }
  }
  checkListType(node, value, path, findings);
}

function checkListType(node: Schema, value: unknown[], path: string, findings: Finding[]): void {
  const listType = node['x-kubernetes-list-type'];
  if (listType !== 'set' && listType !== 'map') return;
  const keys = listType === 'map' ? (node['x-kubernetes-list-map-keys'] ?? []) : undefined;
  const seen = new Set<string>();
  for (let index = 0; index < value.length; index++) {
    const item = value[index];
    const identity = keys === undefined ? item : pickKeys(item, keys);
    const text = JSON.stringify(identity) ?? 'null';
    if (seen.has(text)) findings.push(duplicate(indexPath(path, index), identity));
    seen.add(text);
  }
}

function pickKeys(item: unknown, keys: readonly string[]): Value {
  const picked: Value = {};
  if (typeof item !== 'object' || item === null) return picked;
  for (const key of keys) {
    if (Object.hasOwn(item, key)) picked[key] = (item as Value)[key];
  }
  return picked;
}

function checkObject(visit: Visit, value: Value, findings: Finding[]): void {
  const { schema: node, path, depth } = visit;
  const keys = Object.keys(value);
  if (node.maxProperties !== undefined && keys.length > node.maxProperties) {
    findings.push(tooMany(path, keys.length, node.maxProperties));
    return;
  }
  if (node.minProperties !== undefined && keys.length < node.minProperties) {
    findings.push(bodyError(path, value, `should have at least ${node.minProperties} properties`));
  }
  for (const key of node.required ?? []) {
    if (!Object.hasOwn(value, key)) findings.push(required(childPath(path, key)));
  }
  for (const key of keys) {
    const member = memberSchema(node, key);
    if (member !== undefined) {
      walk(
        { schema: member, value: value[key], path: childPath(path, key), depth: depth + 1 },
        findings,
      );
    } else if (node.additionalProperties === false && !preservesUnknown(node)) {
      findings.push(bodyError(path, value, `is a forbidden property`));
    }
  }
}

function checkCombinators(visit: Visit, findings: Finding[]): void {
  const { schema: node, path } = visit;
  for (const part of node.allOf ?? [])
    walk({ ...visit, schema: part, depth: visit.depth + 1 }, findings);
  if (node.anyOf !== undefined && !node.anyOf.some((part) => accepts(visit, part))) {
    findings.push(combinatorError(path, 'must validate at least one schema (anyOf)'));
  }
  if (node.oneOf !== undefined) {
    const count = node.oneOf.filter((part) => accepts(visit, part)).length;
    const found = count === 0 ? 'none valid' : `${count} valid alternatives`;
    if (count !== 1) {
      findings.push(
        combinatorError(path, `must validate one and only one schema (oneOf). Found ${found}`),
      );
    }
  }
  if (node.not !== undefined && accepts(visit, node.not)) {
    findings.push(combinatorError(path, 'must not validate the schema (not)'));
  }
}

function accepts(visit: Visit, schema: Schema): boolean {
  const findings: Finding[] = [];
  walk({ ...visit, schema, depth: visit.depth + 1 }, findings);
  return findings.length === 0;
}

function jsonType(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function typeError(path: string, actual: string, wanted: string): Finding {
  const message = `Invalid value: "${actual}": ${path} in body must be of type ${wanted}: "${actual}"`;
  return { field: path, reason: 'FieldValueTypeInvalid', message };
}

function bodyError(path: string, value: unknown, detail: string): Finding {
  const shown = typeof value === 'number' ? String(value) : JSON.stringify(value);
  return {
    field: path,
    reason: 'FieldValueInvalid',
    message: `Invalid value: ${shown}: ${path} in body ${detail}`,
  };
}

function combinatorError(path: string, detail: string): Finding {
  const message = `Invalid value: "": "${path}" ${detail}`;
  return { field: path, reason: 'FieldValueInvalid', message };
}
