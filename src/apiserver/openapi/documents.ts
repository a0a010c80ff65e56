/** What both OpenAPI versions share: which schemas a document needs, their names, and one operation's outline. */
import type { Schema } from '#config/schema/schema.ts';
import type { JsonObject } from '#kube/meta/object.ts';
import type { OpenApiKind, SchemaKind } from '../schema-provider.ts';
import { type BuiltinSchemas, crdDefinition, definitionOf, LIST_META } from './builtin-schemas.ts';

export interface DocumentSource {
  schemaOf(kind: SchemaKind): Schema | undefined;
  isCustom(kind: SchemaKind): boolean;
  builtins: BuiltinSchemas;
}

/** How a version of OpenAPI writes references and leaves. */
export interface Dialect {
  reference(definition: string, description: string | undefined): JsonObject;
  intOrString: JsonObject;
  /** Keywords that this version cannot say. */
  omitted: ReadonlySet<string>;
}

export function definitionName(kind: SchemaKind, source: DocumentSource): string {
  const builtin = source.isCustom(kind) ? undefined : definitionOf(kind);
  return builtin ?? crdDefinition(kind);
}

export function kindExtension(kind: SchemaKind): JsonObject {
  return { group: kind.group, kind: kind.kind, version: kind.version };
}

/** Emits the kinds and everything they refer to. */
export function emitDefinitions(
  kinds: readonly OpenApiKind[],
  source: DocumentSource,
  dialect: Dialect,
): Record<string, JsonObject> {
  const definitions: Record<string, JsonObject> = {};
  const queue: { name: string; schema: Schema; kinds: SchemaKind[] }[] = [];
  const seen = new Set<string>();
  const need = (name: string, schema: Schema, kind?: SchemaKind) => {
    const waiting = queue.find((item) => item.name === name);
    if (waiting !== undefined && kind !== undefined) waiting.kinds.push(kind);
    if (seen.has(name)) return;
    seen.add(name);
    queue.push({ name, schema, kinds: kind === undefined ? [] : [kind] });
  };
  for (const kind of kinds) {
    const schema = source.schemaOf(kind);
    if (schema === undefined) continue;
    const name = definitionName(kind, source);
    need(name, schema, kind);
    definitions[`${name}List`] = listDefinition(kind, name, dialect);
  }
  if (kinds.length > 0) need(LIST_META, source.builtins.ofDefinition(LIST_META));
  for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
    const emitted = emitSchema(item.schema, dialect, need);
    if (item.kinds.length > 0)
      emitted['x-kubernetes-group-version-kind'] = item.kinds.map(kindExtension);
    definitions[item.name] = emitted;
  }
  return Object.fromEntries(
    Object.entries(definitions).sort(([left], [right]) => (left < right ? -1 : 1)),
  );
}

function listDefinition(kind: SchemaKind, item: string, dialect: Dialect): JsonObject {
  return {
    description: `${kind.kind}List is a list of ${kind.kind}`,
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: { type: 'string', description: 'The group and version of the representation.' },
      kind: { type: 'string', description: 'The kind of the list.' },
      items: {
        type: 'array',
        items: dialect.reference(item, undefined),
        description: 'The objects.',
      },
      metadata: dialect.reference(LIST_META, 'Standard list metadata.'),
    },
    'x-kubernetes-group-version-kind': [{ ...kindExtension(kind), kind: `${kind.kind}List` }],
  };
}

type Need = (name: string, schema: Schema) => void;

function emitSchema(schema: Schema, dialect: Dialect, need: Need): JsonObject {
  if (schema.$ref !== undefined && schema.$target !== undefined) {
    need(schema.$ref, schema.$target);
    return dialect.reference(schema.$ref, schema.description);
  }
  const emitted: JsonObject = {};
  for (const key of Object.keys(schema) as (keyof Schema)[]) {
    if (!dialect.omitted.has(key)) emitKeyword(schema, key, emitted, { dialect, need });
  }
  if (schema['x-kubernetes-int-or-string'] === true) Object.assign(emitted, dialect.intOrString);
  return emitted;
}

function emitKeyword(
  schema: Schema,
  key: keyof Schema,
  emitted: JsonObject,
  { dialect, need }: { dialect: Dialect; need: Need },
): void {
  const emit = (child: Schema) => emitSchema(child, dialect, need);
  if (key === 'properties') {
    const members = Object.entries(schema.properties ?? {});
    emitted.properties = Object.fromEntries(members.map(([name, member]) => [name, emit(member)]));
  } else if (key === 'items' && schema.items !== undefined) emitted.items = emit(schema.items);
  else if (key === 'not' && schema.not !== undefined) emitted.not = emit(schema.not);
  else if (key === 'additionalProperties' && typeof schema.additionalProperties === 'object') {
    emitted.additionalProperties = emit(schema.additionalProperties);
  } else if (key === 'oneOf' || key === 'anyOf' || key === 'allOf') {
    emitted[key] = schema[key]?.map(emit);
  } else if (key !== '$ref' && key !== '$target') emitted[key] = schema[key];
}

export interface Operation {
  method: 'get' | 'post' | 'put' | 'patch' | 'delete';
  action: string;
  /** The body and the answer are the kind itself, a list of it, or only a status. */
  body: boolean;
  answer: 'object' | 'list';
}

export interface Endpoint {
  path: string;
  kind: OpenApiKind;
  operations: Operation[];
  pathParameters: string[];
}

const OBJECT_OPERATIONS: Record<string, Operation> = {
  get: { method: 'get', action: 'get', body: false, answer: 'object' },
  update: { method: 'put', action: 'put', body: true, answer: 'object' },
  patch: { method: 'patch', action: 'patch', body: true, answer: 'object' },
  delete: { method: 'delete', action: 'delete', body: false, answer: 'object' },
};
const COLLECTION_OPERATIONS: Record<string, Operation> = {
  list: { method: 'get', action: 'list', body: false, answer: 'list' },
  create: { method: 'post', action: 'post', body: true, answer: 'object' },
  deletecollection: { method: 'delete', action: 'deletecollection', body: false, answer: 'object' },
};

export function groupPath(kind: { group: string; version: string }): string {
  return kind.group === '' ? `api/${kind.version}` : `apis/${kind.group}/${kind.version}`;
}

export function endpointsOf(kind: OpenApiKind): Endpoint[] {
  const root = `/${groupPath(kind)}`;
  const base = kind.namespaced
    ? `${root}/namespaces/{namespace}/${kind.resource}`
    : `${root}/${kind.resource}`;
  const parameters = kind.namespaced ? ['namespace'] : [];
  const endpoints: Endpoint[] = [
    {
      path: base,
      kind,
      operations: pick(COLLECTION_OPERATIONS, kind.verbs),
      pathParameters: parameters,
    },
    {
      path: `${base}/{name}`,
      kind,
      operations: pick(OBJECT_OPERATIONS, kind.verbs),
      pathParameters: ['name', ...parameters],
    },
  ];
  if (kind.namespaced && kind.verbs.includes('list')) {
    const operations = pick(COLLECTION_OPERATIONS, ['list']);
    endpoints.push({ path: `${root}/${kind.resource}`, kind, operations, pathParameters: [] });
  }
  if (kind.subresources.includes('status')) {
    endpoints.push({
      path: `${base}/{name}/status`,
      kind,
      operations: pick(OBJECT_OPERATIONS, ['get', 'update', 'patch']),
      pathParameters: ['name', ...parameters],
    });
  }
  return endpoints.filter((endpoint) => endpoint.operations.length > 0);
}

function pick(operations: Record<string, Operation>, verbs: readonly string[]): Operation[] {
  return verbs.flatMap((verb) => (Object.hasOwn(operations, verb) ? [operations[verb]] : []));
}

/** kubectl looks for fieldValidation and dryRun before it trusts the server with them. */
export function queryParameters(operation: Operation): string[] {
  if (!operation.body)
    return operation.action === 'list' ? ['labelSelector', 'fieldSelector', 'limit', 'watch'] : [];
  const parameters = ['dryRun', 'fieldManager', 'fieldValidation'];
  return operation.method === 'patch' ? [...parameters, 'force'] : parameters;
}

export function operationId(endpoint: Endpoint, operation: Operation): string {
  const { kind, path } = endpoint;
  const group = kind.group === '' ? 'Core' : capital(kind.group.split('.')[0]);
  const scope = endpoint.pathParameters.includes('namespace') ? 'Namespaced' : '';
  const suffix = path.endsWith('/status') ? 'Status' : '';
  return `${operation.action}${group}${capital(kind.version)}${scope}${kind.kind}${suffix}${kind.namespaced && scope === '' ? 'ForAllNamespaces' : ''}`;
}

function capital(text: string): string {
  return text === '' ? '' : text[0].toUpperCase() + text.slice(1);
}
