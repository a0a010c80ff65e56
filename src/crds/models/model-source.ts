/**
 * Loads schemas from the kubernetes-models packages by their file name and ties references together. Everything is
 * read on first use and kept: the API server asks for a few kinds in most runs.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { COMPILED } from '#base/compiled.ts';
import { isMeshError, MeshError } from '#base/errors.ts';
import type { Schema } from '#config/schema/schema.ts';
import { embeddedModelFiles } from '../embedded.ts';
import { CRD_ERRORS } from '../errors.ts';
import { readDeclarations } from './declaration-reader.ts';
import { readValidators } from './validator-reader.ts';

export type ModelPackage =
  | 'kubernetes-models'
  | '@kubernetes-models/apimachinery'
  | '@kubernetes-models/istio'
  | '@kubernetes-models/gateway-api';

export interface ModelId {
  package: ModelPackage;
  /** File under `_schemas`, no suffix: `IoK8sApiCoreV1Pod`. */
  name: string;
}

export interface ModelSource {
  /** The node is shared and must not be changed. `name` is kept as `$ref` of the nodes that refer to it. */
  load(id: ModelId): Schema;
  has(id: ModelId): boolean;
}

/** `names` maps a file name to its declaration file and its OpenAPI name; undefined means inline it. */
export interface ModelNames {
  declaration(id: ModelId): string | undefined;
  definition(id: ModelId): string | undefined;
  /** Called once for each schema, before anyone else sees it; may change it. */
  onLoad?(id: ModelId, schema: Schema): void;
}

/** A text file by package and its path there. */
export type ReadModelFile = (name: ModelPackage, path: string) => string;

export function createModelSource(
  names: ModelNames,
  readFile: ReadModelFile = COMPILED ? readEmbedded : readInstalled,
): ModelSource {
  const loaded = new Map<string, Schema>();
  const load = (id: ModelId): Schema => {
    const key = `${id.package}/${id.name}`;
    const known = loaded.get(key);
    if (known !== undefined) return known;
    const root: Schema = {};
    // Before the references are followed: JSONSchemaProps refers to itself.
    loaded.set(key, root);
    const file = readValidators(readFile(id.package, schemaPath(id)));
    for (const { node, file: target } of file.references) {
      refer(node, resolveImport(id, target), names, load);
    }
    flatten(file.root, new Set());
    Object.assign(root, file.root);
    const declaration = names.declaration(id);
    if (declaration !== undefined) describe(root, readFile(id.package, declaration));
    names.onLoad?.(id, root);
    return root;
  };
  const has = (id: ModelId): boolean => {
    try {
      readFile(id.package, schemaPath(id));
      return true;
    } catch (error) {
      if (isMeshError(error, 'CRD_MODELS_MISSING')) return false;
      throw error;
    }
  };
  return { load, has };
}

function schemaPath({ name }: ModelId): string {
  return `_schemas/${name}.js`;
}

function refer(node: Schema, id: ModelId, names: ModelNames, load: (id: ModelId) => Schema): void {
  const target = load(id);
  const definition = names.definition(id);
  if (definition !== undefined) node.$ref = definition;
  node.$target = target;
}

function resolveImport(from: ModelId, file: string): ModelId {
  const name = file.slice(file.lastIndexOf('/') + 1).replace(/\.js$/, '');
  if (file.startsWith('.')) return { package: from.package, name };
  return { package: file.slice(0, file.indexOf('/_schemas/')) as ModelPackage, name };
}

/**
 * A member that is only a reference becomes one node with `$target`; a reference beside own keywords (`type: string`
 * and the bounds of the named type) merges into one node.
 */
function flatten(schema: Schema, seen: Set<Schema>): void {
  if (seen.has(schema) || schema.$target !== undefined) return;
  seen.add(schema);
  for (const part of schema.allOf ?? []) {
    flatten(part, seen);
    const target = part.$target;
    if (target !== undefined && part.$ref !== undefined && schema.type === undefined) {
      schema.$ref = part.$ref;
      schema.$target = target;
    } else merge(schema, target ?? part);
  }
  delete schema.allOf;
  collapseIntOrString(schema);
  for (const child of childrenOf(schema)) flatten(child, seen);
}

/** Own keywords win; the members of an embedded struct join the own ones. */
function merge(schema: Schema, base: Schema): void {
  const properties = { ...base.properties, ...schema.properties };
  const required = [...new Set([...(base.required ?? []), ...(schema.required ?? [])])];
  for (const [key, value] of Object.entries(base)) {
    if (!Object.hasOwn(schema, key)) Object.assign(schema, { [key]: value });
  }
  if (Object.keys(properties).length > 0) schema.properties = properties;
  if (required.length > 0) schema.required = required;
}

/** `oneOf: [string, integer]` is how the packages say int-or-string, and quantity. */
function collapseIntOrString(schema: Schema): void {
  for (const name of ['oneOf', 'anyOf'] as const) {
    const parts = schema[name];
    if (parts === undefined || parts.length !== 2 || schema.properties !== undefined) continue;
    const types = parts
      .map((part) => part.type)
      .sort()
      .join();
    if (types !== 'integer,string' && types !== 'number,string') continue;
    if (types === 'integer,string' || parts.some((part) => part.format === 'quantity')) {
      delete schema[name];
      delete schema.type;
      schema['x-kubernetes-int-or-string'] = true;
    }
  }
}

function childrenOf(schema: Schema): Schema[] {
  const children = Object.values(schema.properties ?? {});
  if (schema.items !== undefined) children.push(schema.items);
  if (typeof schema.additionalProperties === 'object') children.push(schema.additionalProperties);
  for (const name of ['allOf', 'anyOf', 'oneOf'] as const) children.push(...(schema[name] ?? []));
  if (schema.not !== undefined) children.push(schema.not);
  return children;
}

/** Nodes are shared between members in the packages, so a described member becomes a node of its own. */
function describe(root: Schema, source: string): void {
  const { type, members } = readDeclarations(source);
  if (type !== undefined) root.description = type;
  describeMembers(root, '', members);
}

function describeMembers(schema: Schema, path: string, members: Map<string, string>): void {
  if (schema.items !== undefined) {
    schema.items = own(schema.items);
    if (schema.items.$target === undefined) describeMembers(schema.items, path, members);
  }
  if (typeof schema.additionalProperties === 'object') {
    const values = own(schema.additionalProperties);
    schema.additionalProperties = values;
    if (values.$target === undefined) describeMembers(values, path, members);
  }
  if (schema.properties === undefined) return;
  const described: Record<string, Schema> = {};
  for (const key of Object.keys(schema.properties)) {
    const member = own(schema.properties[key]);
    const memberPath = path === '' ? key : `${path} ${key}`;
    const description = members.get(memberPath);
    if (description !== undefined) member.description = description;
    if (member.$target === undefined) describeMembers(member, memberPath, members);
    described[key] = member;
  }
  schema.properties = described;
}

function own(schema: Schema): Schema {
  return { ...schema };
}

/** The `node_modules` folder that holds the packages. */
export function modulesFolder(): string {
  return join(packageFolder('kubernetes-models'), '..');
}

const folders = new Map<ModelPackage, string>();

function packageFolder(name: ModelPackage): string {
  const known = folders.get(name);
  if (known !== undefined) return known;
  let folder = import.meta.dir;
  while (!existsSync(join(folder, 'node_modules', name, '_schemas'))) {
    const parent = dirname(folder);
    if (parent === folder) {
      throw new MeshError('CRD_MODELS_MISSING', `the package ${name} is not installed`, {
        side: 'self',
        hint: CRD_ERRORS.CRD_MODELS_MISSING,
      });
    }
    folder = parent;
  }
  const found = join(folder, 'node_modules', name);
  folders.set(name, found);
  return found;
}

function readEmbedded(name: ModelPackage, path: string): string {
  const text = embeddedModelFiles().get(`${name}/${path}`);
  if (text !== undefined) return text;
  throw new MeshError('CRD_MODELS_MISSING', `${name}/${path} is not in this program`, {
    side: 'self',
    hint: CRD_ERRORS.CRD_MODELS_MISSING,
  });
}

export function readInstalled(name: ModelPackage, path: string): string {
  const file = join(packageFolder(name), path);
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new MeshError('CRD_MODELS_MISSING', `cannot read ${file}`, {
      side: 'self',
      hint: CRD_ERRORS.CRD_MODELS_MISSING,
      cause: error,
    });
  }
}
