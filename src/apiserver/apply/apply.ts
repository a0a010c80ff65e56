/**
 * Server-side apply: the applied fields become the manager's, what it applied before and dropped goes unless somebody
 * else owns it, and a change to a field that another manager owns is a conflict unless forced.
 */
import type { Schema } from '#config/schema/schema.ts';
import {
  type ApiObject,
  cloneJson,
  equalJson,
  isJsonObject,
  type JsonObject,
} from '#kube/meta/object.ts';
import type { ApplyConflict, ApplyRequest, ApplyResult } from '../schema-provider.ts';
import { compareValues } from './compare.ts';
import {
  FieldSet,
  intersection,
  leaves,
  recursiveDifference,
  showPath,
  union,
} from './field-set.ts';
import {
  isSameOwner,
  type Owner,
  readOwners,
  replaceOwner,
  stripServerFields,
  writeOwners,
} from './managers.ts';
import { mergeValue, removeDropped } from './merge.ts';
import { fieldsOf } from './typed-value.ts';

export function applyObject(schema: Schema, request: ApplyRequest): ApplyResult {
  const applied = configuration(request);
  const fields = stripServerFields(fieldsOf(schema, applied));
  const me: Owner = {
    manager: request.manager,
    operation: 'Apply',
    apiVersion: request.patch.apiVersion,
    subresource: request.subresource,
    time: request.time,
    fields,
  };
  const { live } = request;
  if (live === undefined) return { object: writeOwners(applied, [me]) };

  const owners = readOwners(live);
  const others = owners.filter((owner) => !isSameOwner(owner, me));
  const last = owners.find((owner) => isSameOwner(owner, me))?.fields ?? new FieldSet();
  const body = withoutManagedFields(live);
  const keep = others.reduce((all, owner) => union(all, owner.fields), fields);
  const merged = removeDropped(schema, mergeValue(schema, body, applied), last, keep) as ApiObject;
  const { changed, removed } = compareValues(schema, body, merged);

  const conflicts = request.force ? [] : findConflicts(others, changed);
  if (conflicts.length > 0) return { conflicts };

  const reduced = others.map((owner) => ({
    ...owner,
    fields: recursiveDifference(
      recursiveDifference(owner.fields, membersOf(owner.fields, changed)),
      removed,
    ),
  }));
  const next = writeOwners(
    merged,
    replaceOwner([...reduced, ...owners.filter((owner) => isSameOwner(owner, me))], me),
  );
  const untouched = equalJson(withoutManagedFields(next), body);
  return { object: untouched && equalJson(next, live) ? live : next };
}

/** The patch without nulls at members, server-owned fields and parts that the endpoint does not write. */
function configuration(request: ApplyRequest): ApiObject {
  const applied = withoutNulls(cloneJson(request.patch)) as ApiObject;
  const {
    managedFields: _fields,
    creationTimestamp: _created,
    ...metadata
  } = applied.metadata ?? {};
  applied.metadata = metadata as ApiObject['metadata'];
  const subresources = (request.kind as { subresources?: readonly string[] }).subresources ?? [];
  if (request.subresource === '' && subresources.includes('status')) delete applied.status;
  if (request.subresource !== '') {
    for (const key of Object.keys(applied)) {
      if (!['apiVersion', 'kind', 'metadata', request.subresource].includes(key))
        delete applied[key];
    }
  }
  return applied;
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isJsonObject(value)) return value;
  const kept: JsonObject = {};
  for (const key of Object.keys(value)) {
    if (value[key] !== null) kept[key] = withoutNulls(value[key]);
  }
  return kept;
}

function withoutManagedFields(object: ApiObject): ApiObject {
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}

/** Fields that the change touches and the owner holds, the field itself or a part of it. */
function membersOf(owned: FieldSet, changed: FieldSet): FieldSet {
  return intersection(owned, changed);
}

function findConflicts(others: readonly Owner[], changed: FieldSet): ApplyConflict[] {
  const conflicts: ApplyConflict[] = [];
  const sorted = [...others].sort((left, right) => (left.manager < right.manager ? -1 : 1));
  for (const owner of sorted) {
    for (const path of leaves(membersOf(owner.fields, changed))) {
      conflicts.push({
        manager: owner.manager,
        field: showPath(path),
        message: `conflict with ${showOwner(owner)}`,
      });
    }
  }
  return conflicts;
}

function showOwner(owner: Owner): string {
  const name = JSON.stringify(owner.manager);
  const where =
    owner.subresource === ''
      ? name
      : `${name} with subresource ${JSON.stringify(owner.subresource)}`;
  return owner.operation === 'Update' ? `${where} using ${owner.apiVersion}` : where;
}
