/**
 * The seam between the REST core and the schemas: validation, defaulting, pruning, server-side apply and OpenAPI.
 * The core asks; schemas.ts binds it to crd/, openapi/ and apply/. Tests hand in `plainSchemas` (no schemas).
 * No function here may change its arguments unless it says so.
 */
import type { ApiObject, JsonObject } from '#kube/meta/object.ts';

export type CauseReason =
  | 'FieldValueRequired'
  | 'FieldValueInvalid'
  | 'FieldValueNotSupported'
  | 'FieldValueTypeInvalid'
  | 'FieldValueForbidden'
  | 'FieldValueDuplicate'
  | 'FieldValueTooLong'
  | 'FieldValueTooMany'
  | 'FieldValueNotFound';

/** One cause of a 422 `Invalid`: `message` is Kubernetes' text after the field, e.g. `Required value`. */
export interface SchemaFinding {
  /** `spec.http[0].route`; empty for the whole object. */
  field: string;
  reason: CauseReason;
  message: string;
}

/** A served kind, enough to find its schema. */
export interface SchemaKind {
  /** '' for the core group. */
  group: string;
  version: string;
  kind: string;
  resource: string;
  namespaced: boolean;
}

/** A served kind with what OpenAPI paths need. */
export interface OpenApiKind extends SchemaKind {
  subresources: readonly string[];
  verbs: readonly string[];
}

export interface ApplyRequest {
  kind: SchemaKind;
  /** Undefined when the object does not exist yet. */
  live: ApiObject | undefined;
  patch: ApiObject;
  manager: string;
  force: boolean;
  /** '' or `status`, `scale`. */
  subresource: string;
  /** RFC 3339, whole seconds. */
  time: string;
}

export interface ApplyConflict {
  manager: string;
  /** `.spec.replicas` */
  field: string;
  /** `conflict with "kubectl" using apps/v1` */
  message: string;
}

export type ApplyResult = { object: ApiObject } | { conflicts: ApplyConflict[] };

export interface TrackRequest {
  kind: SchemaKind;
  /** Undefined on create. */
  live: ApiObject | undefined;
  updated: ApiObject;
  manager: string;
  operation: 'Update';
  subresource: string;
  time: string;
}

export interface SchemaProvider {
  /** CRDs that exist from the start, as stored. */
  builtinCrds(): ApiObject[];
  /** The CRD was created or changed. Findings mean it is not served. */
  addCrd(crd: ApiObject): SchemaFinding[];
  removeCrd(crd: ApiObject): void;
  /** False: nothing is known of its members, and the questions below find nothing. */
  knows(kind: SchemaKind): boolean;
  /** Paths that the schema does not know, as `spec.foo`; with `prune` they are removed from `object` in place. */
  unknownFields(kind: SchemaKind, object: ApiObject, prune: boolean): string[];
  /** Fills defaults into `object` in place. */
  applyDefaults(kind: SchemaKind, object: ApiObject): void;
  validate(kind: SchemaKind, object: ApiObject, old: ApiObject | undefined): SchemaFinding[];
  serverSideApply(request: ApplyRequest): ApplyResult;
  /** Returns `updated` with metadata.managedFields brought up to date. */
  trackUpdate(request: TrackRequest): ApiObject;
  openApiV2(kinds: readonly OpenApiKind[]): JsonObject;
  /** Body of GET /openapi/v3. */
  openApiV3Index(kinds: readonly OpenApiKind[]): JsonObject;
  /** Body of GET /openapi/v3/<path>, path `api/v1` or `apis/apps/v1`; undefined when not served. */
  openApiV3Group(path: string, kinds: readonly OpenApiKind[]): JsonObject | undefined;
}

/** Accepts everything, applies by recursive merge, documents nothing. */
export const plainSchemas: SchemaProvider = {
  builtinCrds: () => [],
  addCrd: () => [],
  removeCrd: () => undefined,
  knows: () => true,
  unknownFields: () => [],
  applyDefaults: () => undefined,
  validate: () => [],
  serverSideApply: ({ live, patch }) => ({
    object:
      live === undefined
        ? patch
        : ({ ...live, ...patch, metadata: { ...live.metadata, ...patch.metadata } } as ApiObject),
  }),
  trackUpdate: ({ updated }) => updated,
  openApiV2: () => ({
    swagger: '2.0',
    info: { title: 'Tulle', version: 'v0' },
    paths: {},
    definitions: {},
  }),
  openApiV3Index: () => ({ paths: {} }),
  openApiV3Group: () => undefined,
};
