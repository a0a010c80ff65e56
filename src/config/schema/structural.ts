/**
 * Refuses CRD schemas that are not structural, with the paths and words of Kubernetes' apiextensions validation:
 * every node typed, combinators without structure, list keys present, patterns and rules that compile.
 */
import { messageOf } from '#base/errors.ts';
import { celEngine } from './cel/engine.ts';
import {
  childPath,
  type Finding,
  forbidden,
  indexPath,
  invalid,
  keyPath,
  required,
} from './finding.ts';
import { SCHEMA_DEPTH_MAX } from './limits.ts';
import { compilePattern } from './pattern.ts';
import type { Schema } from './schema.ts';

const TYPES = new Set(['object', 'array', 'string', 'integer', 'number', 'boolean']);
const COMBINATORS = ['allOf', 'anyOf', 'oneOf'] as const;

export function checkStructural(schema: unknown, path: string): Finding[] {
  const findings: Finding[] = [];
  if (!isSchema(schema)) return [required(path, 'schemas are required')];
  if (schema.type !== 'object') {
    findings.push(
      invalid(childPath(path, 'type'), schema.type ?? '', 'must be object at the root'),
    );
  }
  checkNode(schema, path, 0, findings);
  return findings;
}

function checkNode(schema: Schema, path: string, depth: number, findings: Finding[]): void {
  if (depth > SCHEMA_DEPTH_MAX) {
    findings.push(forbidden(path, `nested deeper than ${SCHEMA_DEPTH_MAX} levels`));
    return;
  }
  checkTyped(schema, path, findings);
  checkListKeys(schema, path, findings);
  checkPattern(schema, path, findings);
  checkRules(schema, path, findings);
  if (schema.properties !== undefined && schema.additionalProperties !== undefined) {
    findings.push(
      forbidden(
        childPath(path, 'additionalProperties'),
        'additionalProperties and properties are mutual exclusive',
      ),
    );
  }
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const memberPath = keyPath(childPath(path, 'properties'), key);
    if (isSchema(member)) checkNode(member, memberPath, depth + 1, findings);
    else findings.push(required(memberPath));
  }
  if (isSchema(schema.items))
    checkNode(schema.items, childPath(path, 'items'), depth + 1, findings);
  else if (schema.type === 'array')
    findings.push(required(childPath(path, 'items'), 'must be specified'));
  if (isSchema(schema.additionalProperties)) {
    checkNode(
      schema.additionalProperties,
      childPath(path, 'additionalProperties'),
      depth + 1,
      findings,
    );
  }
  for (const name of COMBINATORS) {
    for (const [index, part] of (schema[name] ?? []).entries()) {
      checkValueOnly(part, indexPath(childPath(path, name), index), findings);
    }
  }
}

function checkTyped(schema: Schema, path: string, findings: Finding[]): void {
  const { type } = schema;
  const free =
    schema['x-kubernetes-int-or-string'] === true ||
    schema['x-kubernetes-preserve-unknown-fields'] === true;
  if (type === undefined) {
    if (!free)
      findings.push(
        required(childPath(path, 'type'), 'must not be empty for specified object fields'),
      );
  } else if (!TYPES.has(type)) {
    findings.push({
      field: childPath(path, 'type'),
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(type)}: supported values: "array", "boolean", "integer", "number", "object", "string"`,
    });
  }
}

function checkListKeys(schema: Schema, path: string, findings: Finding[]): void {
  const listType = schema['x-kubernetes-list-type'];
  if (listType === undefined) return;
  if (schema.type !== 'array') {
    findings.push(
      invalid(
        childPath(path, 'type'),
        schema.type ?? '',
        'must be array if x-kubernetes-list-type is specified',
      ),
    );
  }
  if (listType !== 'map') return;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const keysPath = childPath(path, 'x-kubernetes-list-map-keys');
  if (keys.length === 0)
    findings.push(required(keysPath, 'must not be empty if x-kubernetes-list-type is map'));
  for (const key of keys) {
    if (schema.items?.properties?.[key] === undefined) {
      findings.push(invalid(keysPath, key, 'entries must all be names of item properties'));
    }
  }
}

function checkPattern(schema: Schema, path: string, findings: Finding[]): void {
  if (schema.pattern === undefined) return;
  try {
    compilePattern(schema.pattern);
  } catch (error) {
    findings.push(
      invalid(
        childPath(path, 'pattern'),
        schema.pattern,
        `must be a valid regular expression, but isn't: ${messageOf(error)}`,
      ),
    );
  }
}

function checkRules(schema: Schema, path: string, findings: Finding[]): void {
  for (const [index, rule] of (schema['x-kubernetes-validations'] ?? []).entries()) {
    const rulePath = indexPath(childPath(path, 'x-kubernetes-validations'), index);
    if (typeof rule.rule !== 'string' || rule.rule.trim() === '') {
      findings.push(required(childPath(rulePath, 'rule'), 'rule is not specified'));
      continue;
    }
    const compiled = celEngine().compileRule(rule);
    if ('error' in compiled) {
      const at = childPath(rulePath, compiled.in);
      findings.push(invalid(at, rule[compiled.in] ?? '', `compilation failed: ${compiled.error}`));
    }
  }
}

/** Inside allOf, anyOf, oneOf and not only value constraints may stand. */
function checkValueOnly(part: Schema, path: string, findings: Finding[]): void {
  if (!isSchema(part)) return;
  const banned = ['description', 'default', 'additionalProperties', 'nullable'] as const;
  for (const name of banned) {
    if (part[name] !== undefined && !(name === 'nullable' && part.nullable === false)) {
      findings.push(forbidden(childPath(path, name), 'must be empty to be structural'));
    }
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
