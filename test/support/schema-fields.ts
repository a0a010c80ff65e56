/** The fields of the kinds that users write, from the schemas that the lab's API server validates with. */

import type { Schema } from '#config/schema/schema.ts';
import { builtinCrds } from '#crds/builtin-crds.ts';
import { modelNames } from '#crds/models/model-names.ts';
import { createModelSource } from '#crds/models/model-source.ts';

/** What is written as one value although it has parts: a string match, a percentage, a port selector. */
const ATOMS = ['exact prefix regex', 'value', 'number'];

/** `group/Kind` → fields of its spec, the deepest ones, as `http[].match[].uri` and `headers{}` for values of a map. */
export function schemaFields(): Map<string, string[]> {
  const fields = new Map<string, string[]>();
  for (const { spec } of builtinCrds(createModelSource(modelNames))) {
    const stored = spec.versions.find(({ storage }) => storage) ?? spec.versions[0];
    const schema = stored.schema?.openAPIV3Schema?.properties?.spec;
    if (schema !== undefined) fields.set(`${spec.group}/${spec.names.kind}`, leaves(schema, ''));
  }
  return fields;
}

function leaves(schema: Schema, path: string): string[] {
  const { properties, items, additionalProperties } = schema;
  if (properties !== undefined && Object.keys(properties).length > 0) {
    const names = Object.keys(properties);
    if (path !== '' && ATOMS.includes([...names].sort().join(' '))) return [path];
    return names.flatMap((name) =>
      leaves(properties[name], path === '' ? name : `${path}.${name}`),
    );
  }
  if (items !== undefined) return leaves(items as Schema, `${path}[]`);
  return typeof additionalProperties === 'object'
    ? leaves(additionalProperties, `${path}{}`)
    : [path];
}
