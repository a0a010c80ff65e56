/** CustomResourceDefinitions: names that follow from others, the object's own name, and the status at once. */
import { rfc3339 } from '#base/clock.ts';
import { type ApiObject, isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import type { SchemaFinding } from '../schema-provider.ts';
import { memberOf, objectsIn } from './members.ts';
import type { KindStrategy, StrategyContext } from './strategy.ts';

export const CRD_STRATEGY: KindStrategy = {
  defaults(crd) {
    const spec = memberOf(crd, 'spec');
    const names = memberOf(spec, 'names');
    names.singular ??= String(names.kind ?? '').toLowerCase();
    names.listKind ??= `${names.kind}List`;
    spec.conversion ??= { strategy: 'None' };
  },
  prepareCreate: establish,
  prepareUpdate: establish,
  validate: validateCrd,
};

/** Nothing here is asynchronous: names are accepted and the kind is served with the write itself. */
function establish(
  crd: ApiObject,
  old: ApiObject | StrategyContext,
  context?: StrategyContext,
): void {
  const clock = (context ?? (old as StrategyContext)).clock;
  const previous = context === undefined ? undefined : readPath(old, ['status', 'conditions']);
  if (Array.isArray(previous) && previous.length > 0) {
    crd.status = { ...((old as ApiObject).status as JsonObject), ...accepted(crd) };
    return;
  }
  const lastTransitionTime = rfc3339(clock, 's');
  const condition = (type: string, reason: string, message: string) => ({
    type,
    status: 'True',
    lastTransitionTime,
    reason,
    message,
  });
  crd.status = {
    conditions: [
      condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
      condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
    ],
    ...accepted(crd),
  };
}

function accepted(crd: ApiObject): JsonObject {
  const spec = crd.spec as JsonObject;
  const stored = objectsIn(spec.versions).filter((version) => version.storage === true);
  return { acceptedNames: spec.names, storedVersions: stored.map((version) => version.name) };
}

function validateCrd(crd: ApiObject): SchemaFinding[] {
  const spec = crd.spec as JsonObject;
  const findings: SchemaFinding[] = [];
  for (const path of [['group'], ['scope'], ['names', 'plural'], ['names', 'kind']]) {
    const value = readPath(spec, path);
    if (typeof value !== 'string' || value === '')
      findings.push({
        field: `spec.${path.join('.')}`,
        reason: 'FieldValueRequired',
        message: 'Required value',
      });
  }
  const expected = `${readPath(spec, ['names', 'plural'])}.${spec.group}`;
  if (crd.metadata.name !== expected)
    findings.push({
      field: 'metadata.name',
      reason: 'FieldValueInvalid',
      message: `Invalid value: "${crd.metadata.name}": must be spec.names.plural+"."+spec.group`,
    });
  const versions = objectsIn(spec.versions);
  if (versions.filter((version) => version.storage === true).length !== 1)
    findings.push({
      field: 'spec.versions',
      reason: 'FieldValueInvalid',
      message: 'Invalid value: must have exactly one version marked as storage version',
    });
  versions.forEach((version, index) => {
    if (isJsonObject(version.schema) && isJsonObject(version.schema.openAPIV3Schema)) return;
    findings.push({
      field: `spec.versions[${index}].schema.openAPIV3Schema`,
      reason: 'FieldValueRequired',
      message: 'Required value: schemas are required',
    });
  });
  if (readPath(spec, ['conversion', 'strategy']) === 'Webhook')
    findings.push({
      field: 'spec.conversion.strategy',
      reason: 'FieldValueNotSupported',
      message: 'Unsupported value: "Webhook": supported values: "None"',
    });
  return findings;
}
