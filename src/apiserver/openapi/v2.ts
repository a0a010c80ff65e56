/** OpenAPI v2, one document for all kinds, for older clients and generators. JSON only. */
import type { JsonObject } from '#kube/meta/object.ts';
import type { OpenApiKind } from '../schema-provider.ts';
import {
  type Dialect,
  type DocumentSource,
  definitionName,
  type Endpoint,
  emitDefinitions,
  endpointsOf,
  kindExtension,
  type Operation,
  operationId,
  queryParameters,
} from './documents.ts';

const PREFIX = '#/definitions/';

/** Swagger 2.0 has no alternatives and no null; Kubernetes leaves them out as well. */
const V2: Dialect = {
  reference: (definition, description) => ({
    $ref: `${PREFIX}${definition}`,
    ...(description === undefined ? {} : { description }),
  }),
  intOrString: { type: 'string', format: 'int-or-string' },
  omitted: new Set(['oneOf', 'anyOf', 'not', 'nullable', 'x-kubernetes-validations']),
};

export function openApiV2(kinds: readonly OpenApiKind[], source: DocumentSource): JsonObject {
  const paths: JsonObject = {};
  for (const endpoint of kinds.flatMap((kind) => endpointsOf(kind)))
    paths[endpoint.path] = pathItem(endpoint, source);
  return {
    swagger: '2.0',
    info: { title: 'Kubernetes', version: 'v1.32.0' },
    paths,
    definitions: emitDefinitions(kinds, source, V2),
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
    type: 'string',
    uniqueItems: true,
  }));
  return item;
}

function operationOf(endpoint: Endpoint, operation: Operation, source: DocumentSource): JsonObject {
  const name = definitionName(endpoint.kind, source);
  const answer = operation.answer === 'list' ? `${name}List` : name;
  const body = operation.method === 'patch' ? { type: 'object' } : { $ref: `${PREFIX}${name}` };
  return {
    operationId: operationId(endpoint, operation),
    produces: ['application/json'],
    parameters: [
      ...(operation.body ? [{ name: 'body', in: 'body', required: true, schema: body }] : []),
      ...queryParameters(operation).map((query) => ({
        name: query,
        in: 'query',
        type: 'string',
        uniqueItems: true,
      })),
    ],
    responses: { '200': { description: 'OK', schema: { $ref: `${PREFIX}${answer}` } } },
    'x-kubernetes-action': operation.action,
    'x-kubernetes-group-version-kind': kindExtension(endpoint.kind),
  };
}
