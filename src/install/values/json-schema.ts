/** The rows as JSON schema (draft 7): Helm checks a chart's values with it, and editors complete by it. */
import { VALUE_ROWS, type ValueRow } from './spec.ts';

interface JsonSchema {
  [keyword: string]: unknown;
  properties?: Record<string, JsonSchema>;
}

export function valuesJsonSchema(): JsonSchema {
  const root = group();
  for (const row of VALUE_ROWS) {
    if (row.notInChart === true) continue;
    const path = row.path.split('.');
    let node = root;
    for (const name of path.slice(0, -1)) {
      node.properties ??= {};
      node.properties[name] ??= group();
      node = node.properties[name];
    }
    node.properties ??= {};
    node.properties[path[path.length - 1]] = schemaOf(row);
  }
  // Of a chart that has this one as a part.
  root.properties = { ...root.properties, global: { type: 'object' } };
  return { $schema: 'http://json-schema.org/draft-07/schema#', title: 'Values of Tulle', ...root };
}

function group(): JsonSchema {
  return { type: 'object', additionalProperties: false, properties: {} };
}

function schemaOf(row: ValueRow): JsonSchema {
  return {
    type: row.type === 'intOrString' ? ['integer', 'string'] : row.type,
    description: row.text,
    default: row.default,
    ...(row.oneOf !== undefined && { enum: row.oneOf }),
    // A pattern says nothing about numbers.
    ...(row.pattern !== undefined && { pattern: row.pattern }),
    ...(row.minimum !== undefined && { minimum: row.minimum }),
    ...(row.maximum !== undefined && { maximum: row.maximum }),
  };
}
