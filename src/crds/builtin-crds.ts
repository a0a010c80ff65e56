/**
 * The CustomResourceDefinitions of Istio and Gateway API, built at run time from the kubernetes-models packages and
 * our tables. Nothing of those projects' files is in this repository.
 */
import type { Schema } from '#config/schema/schema.ts';
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';
import { type BuiltinKind, GATEWAY_KINDS, ISTIO_KINDS, type KindVersion } from './builtin-kinds.ts';
import { GATEWAY_REFINEMENTS } from './gateway-kind-refinements.ts';
import { ISTIO_REFINEMENTS } from './istio-refinements.ts';
import { gatewayModel, istioModel } from './models/model-names.ts';
import type { ModelId, ModelSource } from './models/model-source.ts';
import { refine } from './refine.ts';
import { tulleCrds } from './tulle-crds.ts';

export interface CustomResourceDefinition extends ApiObject {
  spec: CrdSpec;
}

export interface CrdSpec {
  group: string;
  scope: 'Namespaced' | 'Cluster';
  names: CrdNames;
  versions: CrdVersion[];
  preserveUnknownFields?: boolean;
  conversion?: { strategy: string };
}

export interface CrdNames {
  kind: string;
  listKind?: string;
  plural: string;
  singular?: string;
  shortNames?: string[];
  categories?: string[];
}

export interface CrdVersion {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  schema?: { openAPIV3Schema?: Schema };
  subresources?: { status?: JsonObject; scale?: JsonObject };
  additionalPrinterColumns?: JsonObject[];
}

export function builtinCrds(models: ModelSource): CustomResourceDefinition[] {
  return [
    ...[...ISTIO_KINDS, ...GATEWAY_KINDS].map((kind) => buildCrd(kind, models)),
    ...tulleCrds(),
  ];
}

function buildCrd(kind: BuiltinKind, models: ModelSource): CustomResourceDefinition {
  const schemas = new Map<string, Schema>();
  const versions = kind.versions.map((version) => {
    const model = version.schemaOf ?? version.name;
    const schema = schemas.get(model) ?? buildSchema(kind, model, models);
    schemas.set(model, schema);
    return buildVersion(kind, version, schema);
  });
  const isGateway = !kind.group.endsWith('istio.io');
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${kind.plural}.${kind.group}`,
      labels: { 'app.kubernetes.io/part-of': isGateway ? 'gateway-api' : 'istio' },
      ...(isGateway ? { annotations: GATEWAY_ANNOTATIONS } : {}),
    },
    spec: {
      group: kind.group,
      scope: kind.clusterScoped === true ? 'Cluster' : 'Namespaced',
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        ...((kind.shortNames?.length ?? 0) > 0 ? { shortNames: [...(kind.shortNames ?? [])] } : {}),
        categories: [...kind.categories],
      },
      versions,
      conversion: { strategy: 'None' },
    },
  };
}

const GATEWAY_ANNOTATIONS = {
  // The policy-approved mark that the API server asks of *.k8s.io groups.
  'api-approved.kubernetes.io': 'https://github.com/kubernetes-sigs/gateway-api/pull/2997',
  'gateway.networking.k8s.io/channel': 'experimental',
  // The release that the kinds, members and rules here are those of.
  'gateway.networking.k8s.io/bundle-version': 'v1.6.0',
};

function buildVersion(kind: BuiltinKind, version: KindVersion, schema: Schema): CrdVersion {
  return {
    name: version.name,
    served: true,
    storage: version.storage === true,
    ...(version.deprecated === true ? { deprecated: true } : {}),
    ...(kind.hasStatus ? { subresources: { status: {} } } : {}),
    ...(kind.columns.length > 0
      ? { additionalPrinterColumns: kind.columns.map((column) => dropUndefined({ ...column })) }
      : {}),
    // Last, as in a table that was read: see `expand` of crd-cache.ts.
    schema: { openAPIV3Schema: schema },
  };
}

function buildSchema(kind: BuiltinKind, version: string, models: ModelSource): Schema {
  const isIstio = kind.group.endsWith('istio.io');
  const schema = inline(models.load(modelOf(kind, version)));
  schema.properties = {
    apiVersion: { type: 'string', description: API_VERSION_TEXT },
    kind: { type: 'string', description: KIND_TEXT },
    metadata: { type: 'object' },
    ...withoutHead(schema.properties ?? {}),
  };
  const needed = (schema.required ?? []).filter((key) => !HEAD.has(key));
  if (needed.length > 0) schema.required = needed;
  else delete schema.required;
  if (!isIstio) defaultGroups(schema);
  const table = isIstio ? ISTIO_REFINEMENTS : GATEWAY_REFINEMENTS;
  refine(schema, table[kind.kind] ?? [], `${version} ${kind.kind}`);
  if (isIstio && schema.properties.status !== undefined) {
    schema.properties.status['x-kubernetes-preserve-unknown-fields'] = true;
  }
  return schema;
}

/**
 * References must name their API group, and the core group's name is empty: Go clients always write it, people do not.
 */
function defaultGroups(schema: Schema): void {
  const group = schema.properties?.group;
  if (group !== undefined && schema.required?.includes('group') === true) group.default ??= '';
  for (const member of Object.values(schema.properties ?? {})) defaultGroups(member);
  if (schema.items !== undefined) defaultGroups(schema.items);
}

const HEAD = new Set(['apiVersion', 'kind', 'metadata']);

const API_VERSION_TEXT =
  'The group and version of the representation. Servers refuse a version they do not know.';
const KIND_TEXT = 'The kind of the object, in CamelCase. It cannot be changed.';

function withoutHead(properties: Record<string, Schema>): Record<string, Schema> {
  return Object.fromEntries(Object.entries(properties).filter(([key]) => !HEAD.has(key)));
}

function modelOf(kind: BuiltinKind, version: string): ModelId {
  if (kind.group.endsWith('istio.io')) return istioModel(kind.group, version, kind.kind);
  if (kind.group === 'gateway.networking.x-k8s.io') {
    return {
      package: '@kubernetes-models/gateway-api',
      name: `IoK8sSigsGatewayApiApisxV1alpha1${kind.kind}`,
    };
  }
  return gatewayModel(version, kind.kind);
}

/** A tree of its own: no shared nodes, no references, as a CRD carries it. */
function inline(schema: Schema): Schema {
  const { $ref: _ref, $target: target, ...own } = schema;
  const node: Schema = target === undefined ? own : { ...inline(target), ...own };
  if (node.description !== undefined) node.description = cleanDescription(node.description);
  if (node.properties !== undefined) {
    node.properties = Object.fromEntries(
      Object.entries(node.properties).map(([key, member]) => [key, inline(member)]),
    );
  }
  if (node.items !== undefined) node.items = inline(node.items);
  if (typeof node.additionalProperties === 'object') {
    node.additionalProperties = inline(node.additionalProperties);
  }
  for (const name of ['oneOf', 'anyOf', 'allOf'] as const) {
    const parts = node[name];
    if (parts !== undefined) node[name] = parts.map((part) => inline(part));
  }
  if (node.not !== undefined) node.not = inline(node.not);
  return node;
}

/** Gateway API's comments carry generator marks such as `<gateway:util:excludeFromCRD>…`. */
function cleanDescription(description: string): string {
  if (!description.includes('<gateway:')) return description;
  return description
    .replace(/<gateway:util:excludeFromCRD>[\s\S]*?<\/gateway:util:excludeFromCRD>/g, '')
    .replace(/<\/?gateway:[^>\n]*>/g, '')
    .replace(/^<gateway:.*$/gm, '')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
}

function dropUndefined(object: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}
