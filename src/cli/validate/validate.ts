/**
 * Judges manifests without a cluster, as two would: the API server that has Tulle's CRDs (layer `schema`), and the mesh's webhook
 * (layer `semantic`). Both ask the functions that those ask. What one document says about another is not looked at: `analyze` does.
 */
import { createSchemaProvider } from '#apiserver/crd/provider.ts';
import { KindRegistry } from '#apiserver/kinds/registry.ts';
import { strategyOf } from '#apiserver/kinds/strategy.ts';
import { modelOf } from '#apiserver/openapi/builtin-schemas.ts';
import { objectFindings } from '#apiserver/rest/object-findings.ts';
import type { NamedKind } from '#apiserver/rest/object-meta.ts';
import type { SchemaFinding, SchemaKind, SchemaProvider } from '#apiserver/schema-provider.ts';
import { DEFAULT_MESH } from '#control/derive/mesh.ts';
import { judgeObject } from '#control/webhook/judge.ts';
import type { Manifest } from '#kube/manifests.ts';
import { splitApiVersion } from '#kube/meta/api-version.ts';
import { type ApiObject, cloneJson } from '#kube/meta/object.ts';

export const LEVELS = ['error', 'warning', 'info'] as const;
export type Level = (typeof LEVELS)[number];

export interface ValidationFinding {
  readonly layer: 'schema' | 'semantic';
  readonly level: Level;
  /** `spec.http[0].route`; empty for the whole object. */
  readonly path: string;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

export interface ValidatedDocument {
  /** Of the document among all that were read, from 0. */
  readonly index: number;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  /** No finding is an error. */
  readonly valid: boolean;
  readonly findings: readonly ValidationFinding[];
  /** `file:line`. */
  readonly reference: string;
}

export interface ValidateOptions {
  /** Of documents that name none. */
  readonly namespace?: string;
}

const CRD = 'CustomResourceDefinition';
const NAMESPACE_DEFAULT = 'default';

/** CRDs among the documents count for all of them, wherever they stand. */
export function validateManifests(
  manifests: readonly Manifest[],
  { namespace }: ValidateOptions = {},
): ValidatedDocument[] {
  const schemas = createSchemaProvider();
  const registry = new KindRegistry();
  const known: Known = { schemas, registry, unserved: new Map() };
  for (const crd of schemas.builtinCrds()) serve(crd, known);
  const objects = manifests.map(({ object }) => cloneJson(object as unknown as ApiObject));
  for (const object of objects) if (object.kind === CRD) serve(object, known);
  return objects.map((object, index) => {
    const { apiVersion, kind, metadata } = object;
    const isNamespaced = registry.findKind(apiVersion, kind)?.namespaced ?? true;
    if (isNamespaced && namespace !== undefined) metadata.namespace ??= namespace;
    const { namespace: own, name } = metadata;
    const findings = findingsOf(object, known);
    return {
      index,
      kind,
      ...(own !== undefined && { namespace: own }),
      name,
      valid: findings.every(({ level }) => level !== 'error'),
      findings,
      reference: manifests[index].reference,
    };
  });
}

interface Known {
  readonly schemas: SchemaProvider;
  readonly registry: KindRegistry;
  /** What keeps a CRD from being served. */
  readonly unserved: Map<ApiObject, readonly SchemaFinding[]>;
}

function serve(crd: ApiObject, { schemas, registry, unserved }: Known): void {
  const findings = schemas.addCrd(crd);
  if (findings.length === 0) registry.setCrd(crd);
  else unserved.set(crd, findings);
}

function findingsOf(object: ApiObject, known: Known): ValidationFinding[] {
  const { schemas, registry, unserved } = known;
  const { apiVersion } = object;
  const kind = registry.findKind(apiVersion, object.kind) ?? unservedKind(object);
  if (!schemas.knows(kind)) return [unknownKind(object, kind, registry)];
  const unknown = schemas.unknownFields(kind, object, true);
  const strategy = strategyOf(kind.table);
  strategy.defaults?.(object);
  schemas.applyDefaults(kind, object);
  const refused = objectFindings(schemas, { kind, object });
  return [
    ...unknown.map(unknownField),
    ...[...refused, ...(unserved.get(object) ?? [])].map(schemaFinding),
    ...(refused.some(breaksShape) ? [] : semanticFindings(object)),
  ];
}

/** A kind that the lab's API server does not serve, such as StatefulSet. */
function unservedKind({ apiVersion, kind }: ApiObject): SchemaKind & NamedKind {
  const { group, version } = splitApiVersion(apiVersion);
  return { group, version, kind, resource: '', namespaced: true, table: `${group}/${kind}` };
}

function unknownKind(
  { apiVersion, kind: name }: ApiObject,
  kind: SchemaKind,
  registry: KindRegistry,
): ValidationFinding {
  const layer = 'schema';
  const versions = registry.groups().find((group) => group.name === kind.group)?.versions ?? [];
  const served = versions.filter(({ kinds }) => kinds.some((each) => each.kind === name));
  if (served.length > 0)
    return {
      layer,
      level: 'error',
      path: 'apiVersion',
      message: `there is no ${name} in ${apiVersion}`,
      hint: `use ${served.map(({ version }) => `${kind.group}/${version}`).join(' or ')}`,
    };
  if (versions.length > 0 || modelOf(kind) !== undefined)
    return {
      layer,
      level: 'error',
      path: 'kind',
      message: `there is no kind ${name} in ${apiVersion}`,
      hint: 'kubectl api-resources lists the kinds that a cluster serves',
    };
  return {
    layer,
    level: 'warning',
    path: 'kind',
    message: `nothing is known of ${name} in ${apiVersion}: it was not checked`,
    hint: 'hand in its CustomResourceDefinition too, with another -f',
  };
}

const unknownField = (path: string): ValidationFinding => ({
  layer: 'schema',
  level: 'error',
  path,
  message: 'unknown field',
  hint: 'correct its name, or take it out',
});

const schemaFinding = ({ field, message }: SchemaFinding): ValidationFinding => ({
  layer: 'schema',
  level: 'error',
  path: field,
  message,
});

/** The functions of the semantic layer read members that the schema vouches for. */
function breaksShape({ reason }: SchemaFinding): boolean {
  return reason === 'FieldValueTypeInvalid' || reason === 'FieldValueRequired';
}

function semanticFindings(object: ApiObject): ValidationFinding[] {
  const metadata = { namespace: NAMESPACE_DEFAULT, ...object.metadata };
  const findings = judgeObject({ ...object, metadata }, { domain: DEFAULT_MESH.domain }) ?? [];
  return findings.map(({ level, path, message, hint }) => ({
    layer: 'semantic',
    level,
    path,
    message,
    hint,
  }));
}
