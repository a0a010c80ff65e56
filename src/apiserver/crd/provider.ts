/**
 * The SchemaProvider of the API server: binds CRDs, built-in schemas, validation, server-side apply and OpenAPI. All
 * schemas load when a kind is first used, so that the server starts at once.
 */
import { checkRules } from '#config/schema/cel/rules.ts';
import { fillDefaults } from '#config/schema/defaults.ts';
import type { Finding } from '#config/schema/finding.ts';
import { dropNulls } from '#config/schema/nulls.ts';
import { unknownMembers } from '#config/schema/prune.ts';
import type { Schema } from '#config/schema/schema.ts';
import { validateValue } from '#config/schema/validate.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import { loadCrds } from '#crds/crd-cache.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import { applyObject } from '../apply/apply.ts';
import { trackUpdate } from '../apply/track.ts';
import { createBuiltinSchemas, OBJECT_META } from '../openapi/builtin-schemas.ts';
import { openApiV2 } from '../openapi/v2.ts';
import { openApiV3Group, openApiV3Index } from '../openapi/v3.ts';
import type { SchemaFinding, SchemaKind, SchemaProvider } from '../schema-provider.ts';
import { CrdRegistry } from './crd-registry.ts';

export function createSchemaProvider(): SchemaProvider {
  const builtins = createBuiltinSchemas();
  const registry = new CrdRegistry(() => builtins.ofDefinition(OBJECT_META));
  const own = new Map<string, string>();
  let crds: CustomResourceDefinition[] | undefined;

  const typedSchema = (kind: SchemaKind): Schema | undefined =>
    registry.find(kind)?.typed ?? builtins.ofKind(kind);
  const documents = {
    schemaOf: typedSchema,
    builtins,
    isCustom: (kind: SchemaKind) => registry.find(kind) !== undefined,
  };

  return {
    builtinCrds() {
      crds ??= loadCrds();
      for (const crd of crds) own.set(crd.metadata.name, JSON.stringify(crd.spec.versions));
      return crds;
    },
    addCrd(crd) {
      const versions = (crd as CustomResourceDefinition).spec.versions;
      return registry.add(crd, own.get(crd.metadata.name) === JSON.stringify(versions));
    },
    removeCrd: (crd) => registry.remove(crd),
    knows: (kind) => typedSchema(kind) !== undefined,
    unknownFields(kind, object, prune) {
      const schema = typedSchema(kind);
      if (schema === undefined) return [];
      const unknown = unknownMembers(schema, object, { prune, root: true });
      const meta = unknownMembers(builtins.ofDefinition(OBJECT_META), object.metadata, { prune });
      return [...meta.map((path) => `metadata.${path}`), ...unknown];
    },
    applyDefaults(kind, object) {
      const custom = registry.find(kind);
      if (custom !== undefined) fillDefaults(custom.schema, object);
      else {
        const schema = builtins.ofKind(kind);
        // Go decodes null as absent.
        if (schema !== undefined) dropNulls(schema, object);
      }
    },
    validate(kind, object, old) {
      const custom = registry.find(kind);
      if (custom !== undefined) return validateCustom(custom.schema, object, old);
      const schema = builtins.ofKind(kind);
      return schema === undefined ? [] : validateBuiltin(schema, object);
    },
    serverSideApply: (request) => applyObject(typedSchema(request.kind) ?? {}, request),
    trackUpdate: (request) => trackUpdate(typedSchema(request.kind) ?? {}, request),
    openApiV2: (kinds) => openApiV2(kinds, documents),
    openApiV3Index: (kinds) => openApiV3Index(kinds),
    openApiV3Group: (path, kinds) => openApiV3Group(path, kinds, documents),
  };
}

const BLOCKING = new Set<Finding['reason']>([
  'FieldValueRequired',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueTypeInvalid',
]);

/**
 * Kubernetes stops before the rules when a required field is missing. We report the rules that say no all the same, so
 * that one attempt shows everything; a rule that merely cannot run on the broken object stays silent.
 */
function validateCustom(
  schema: Schema,
  object: ApiObject,
  old: ApiObject | undefined,
): SchemaFinding[] {
  const findings = validateValue(schema, object);
  const broken = findings.some((finding) => BLOCKING.has(finding.reason));
  return [...findings, ...checkRules(schema, object, old, { onlyRefusals: broken })];
}

/**
 * The OpenAPI of built-in kinds marks as required what Go always writes, also in status and where validation does not
 * ask for it; and an empty string is a zero value there, not a choice.
 */
function validateBuiltin(schema: Schema, object: ApiObject): SchemaFinding[] {
  return validateValue(schema, object).filter((finding) => {
    if (finding.reason === 'FieldValueRequired') {
      return !/^status\b|^metadata$|^(endpoints|involvedObject|reportingController)\b/.test(
        finding.field,
      );
    }
    return !(
      finding.reason === 'FieldValueNotSupported' &&
      finding.message.startsWith('Unsupported value: ""')
    );
  });
}
