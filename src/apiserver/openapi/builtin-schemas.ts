/** Schemas of the built-in kinds from the kubernetes-models packages, completed with Kubernetes' merge semantics. */
import type { Schema } from '#config/schema/schema.ts';
import { kubernetesModel, modelNames } from '#crds/models/model-names.ts';
import { createModelSource, type ModelId, type ModelSource } from '#crds/models/model-source.ts';
import type { SchemaKind } from '../schema-provider.ts';
import { addMergeSemantics } from './list-semantics.ts';

type KindName = Pick<SchemaKind, 'group' | 'version' | 'kind'>;

export interface BuiltinSchemas {
  /** Undefined for kinds of CRDs. */
  ofKind(kind: KindName): Schema | undefined;
  ofDefinition(name: string): Schema;
}

const EXTENSIONS = 'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.';
const META = 'io.k8s.apimachinery.pkg.apis.meta.v1.';

const KUBERNETES_GROUPS = new Set([
  '',
  'apps',
  'batch',
  'autoscaling',
  'policy',
  'admissionregistration.k8s.io',
  'apiextensions.k8s.io',
  'authentication.k8s.io',
  'authorization.k8s.io',
  'coordination.k8s.io',
  'discovery.k8s.io',
  'events.k8s.io',
  'networking.k8s.io',
  'rbac.authorization.k8s.io',
  'scheduling.k8s.io',
]);

export const OBJECT_META = `${META}ObjectMeta`;
export const LIST_META = `${META}ListMeta`;

/**
 * Types whose JSON is anything at all, or an object of any members; the packages call them all objects. A schema in a
 * CRD is checked as one (structural.ts), not by its own recursive schema.
 */
const FREE_FORM = new Set([
  `${META}FieldsV1`,
  'io.k8s.apimachinery.pkg.runtime.RawExtension',
  ...['JSON', 'JSONSchemaProps', 'CustomResourceSubresourceStatus'].map(
    (name) => `${EXTENSIONS}v1.${name}`,
  ),
]);

function freeForm(schema: Schema): void {
  const { description } = schema;
  for (const key of Object.keys(schema) as (keyof Schema)[]) delete schema[key];
  if (description !== undefined) schema.description = description;
}

/** Kubernetes' OpenAPI name of a built-in kind. */
export function definitionOf(kind: KindName): string | undefined {
  if (!KUBERNETES_GROUPS.has(kind.group)) return undefined;
  if (kind.group === 'apiextensions.k8s.io') return `${EXTENSIONS}${kind.version}.${kind.kind}`;
  const api = kind.group === '' ? 'core' : kind.group.split('.')[0];
  return `io.k8s.api.${api}.${kind.version}.${kind.kind}`;
}

/** `com.example.v1.Widget`: group labels reversed, as Kubernetes names the definitions of CRDs. */
export function crdDefinition(kind: KindName): string {
  return `${kind.group.split('.').reverse().join('.')}.${kind.version}.${kind.kind}`;
}

/** Undefined for API versions that are not Kubernetes' own or that the packages leave out; the model of another may not exist. */
export function modelOf(kind: KindName): ModelId | undefined {
  const definition = definitionOf(kind);
  return definition === undefined ? undefined : kubernetesModel(definition);
}

export function createBuiltinSchemas(): BuiltinSchemas {
  const models: ModelSource = createModelSource({
    ...modelNames,
    onLoad(id, schema) {
      const definition = modelNames.definition(id);
      if (definition === undefined) return;
      if (FREE_FORM.has(definition)) freeForm(schema);
      addMergeSemantics(definition, schema);
    },
  });
  const ofDefinition = (name: string): Schema => {
    const id = kubernetesModel(name);
    return id === undefined ? {} : models.load(id);
  };
  return {
    ofDefinition,
    ofKind(kind) {
      const id = modelOf(kind);
      return id !== undefined && models.has(id) ? models.load(id) : undefined;
    },
  };
}
