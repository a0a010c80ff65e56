/** OpenAPI v3: an index of group versions and one document each. `kubectl explain` and apply read these. */
import type { JsonObject } from '#kube/meta/object.ts';
import type { OpenApiKind } from '../schema-provider.ts';
import {
  type Dialect,
  type DocumentSource,
  definitionName,
  type Endpoint,
  emitDefinitions,
  endpointsOf,
  groupPath,
  kindExtension,
  type Operation,
  operationId,
  queryParameters,
} from './documents.ts';

const PREFIX = '#/components/schemas/';

const V3: Dialect = {
  reference: (definition, description) => ({
    allOf: [{ $ref: `${PREFIX}${definition}` }],
    ...(description === undefined ? {} : { description }),
  }),
  intOrString: { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] },
  omitted: new Set(),
};

/** The hash names the content, so that clients may cache a document for ever. */
export function openApiV3Index(kinds: readonly OpenApiKind[]): JsonObject {
  const groups = new Map<string, OpenApiKind[]>();
  for (const kind of kinds) {
    const path = groupPath(kind);
    groups.set(path, [...(groups.get(path) ?? []), kind]);
  }
  const paths: JsonObject = {};
  for (const path of [...groups.keys()].sort()) {
    const names = groups
      .get(path)
      ?.map((kind) => `${kind.resource}:${kind.verbs.join()}:${kind.subresources.join()}`);
    const hash = Bun.hash(`${path} ${names?.sort().join(' ')}`)
      .toString(16)
      .toUpperCase();
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { paths };
}

export function openApiV3Group(
  path: string,
  kinds: readonly OpenApiKind[],
  source: DocumentSource,
): JsonObject | undefined {
  const served = kinds.filter((kind) => groupPath(kind) === path);
  if (served.length === 0) return undefined;
  const paths: JsonObject = {};
  for (const endpoint of served.flatMap((kind) => endpointsOf(kind)))
    paths[endpoint.path] = pathItem(endpoint, source);
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1.32.0' },
    paths,
    components: { schemas: emitDefinitions(served, source, V3) },
  };
}

function pathItem(endpoint: Endpoint, source: DocumentSource): JsonObject {
  const item: JsonObject = {};
  for (const operation of endpoint.operations)
    item[operation.method] = operationOf(endpoint, operation, source);
  item.parameters = endpoint.pathParameters.map((name) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string', uniqueItems: true },
  }));
  return item;
}

const PATCH_TYPES = [
  'application/apply-patch+yaml',
  'application/json-patch+json',
  'application/merge-patch+json',
];
/** Not for custom resources: kubectl reads here which kind of patch to send. */
const STRATEGIC = 'application/strategic-merge-patch+json';

function operationOf(endpoint: Endpoint, operation: Operation, source: DocumentSource): JsonObject {
  const name = definitionName(endpoint.kind, source);
  const schema = { $ref: `${PREFIX}${name}` };
  const answer = { $ref: `${PREFIX}${operation.answer === 'list' ? `${name}List` : name}` };
  const patchTypes = source.isCustom(endpoint.kind) ? PATCH_TYPES : [...PATCH_TYPES, STRATEGIC];
  const types = operation.method === 'patch' ? patchTypes : ['*/*'];
  const bodySchema = operation.method === 'patch' ? { type: 'object' } : schema;
  return {
    operationId: operationId(endpoint, operation),
    parameters: queryParameters(operation).map((query) => ({
      name: query,
      in: 'query',
      schema: { type: 'string', uniqueItems: true },
    })),
    ...(operation.body
      ? {
          requestBody: {
            content: Object.fromEntries(types.map((type) => [type, { schema: bodySchema }])),
          },
        }
      : {}),
    responses: {
      '200': { description: 'OK', content: { 'application/json': { schema: answer } } },
    },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': kindExtension(endpoint.kind),
  };
}
