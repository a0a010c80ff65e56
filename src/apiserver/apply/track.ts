/**
 * Field ownership of plain writes: whoever changes a field owns it from then on. A client may also write
 * managedFields itself; kubectl does so when it moves an object from client-side to server-side apply.
 */
import type { Schema } from '#config/schema/schema.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import type { TrackRequest } from '../schema-provider.ts';
import { compareValues } from './compare.ts';
import { FieldSet, intersection, recursiveDifference, union } from './field-set.ts';
import {
  isSameOwner,
  type Owner,
  readOwners,
  replaceOwner,
  stripServerFields,
  writeOwners,
} from './managers.ts';
import { fieldsOf } from './typed-value.ts';

export function trackUpdate(schema: Schema, request: TrackRequest): ApiObject {
  const { live, updated } = request;
  if (isReset(updated)) return writeOwners(updated, []);
  const given = readOwners(updated);
  const owners = given.length > 0 ? given : readOwners(live);
  const { changed, removed } = compareValues(schema, withoutOwners(live), withoutOwners(updated));
  stripServerFields(changed);
  stripServerFields(removed);
  if (changed.empty && removed.empty) return writeOwners(updated, owners);

  const me = {
    manager: request.manager,
    operation: 'Update' as const,
    apiVersion: updated.apiVersion,
    subresource: request.subresource,
  };
  const present = fieldsOf(schema, updated);
  const mine = owners.find((owner) => isSameOwner(owner, me));
  const fields = intersection(
    union(recursiveDifference(mine?.fields ?? new FieldSet(), removed), changed),
    present,
  );
  const others = owners
    .filter((owner) => owner !== mine)
    .map((owner) => ({ ...owner, fields: withoutTaken(owner, changed, removed) }));
  const own: Owner = { ...me, time: request.time, fields };
  return writeOwners(updated, replaceOwner(mine === undefined ? others : [...others, mine], own));
}

function withoutTaken(owner: Owner, changed: FieldSet, removed: FieldSet): FieldSet {
  const taken = intersection(owner.fields, changed);
  return recursiveDifference(recursiveDifference(owner.fields, taken), removed);
}

/** `managedFields: [{}]` asks to forget all owners. */
function isReset(object: ApiObject): boolean {
  const entries = object.metadata.managedFields;
  return Array.isArray(entries) && entries.length === 1 && Object.keys(entries[0]).length === 0;
}

function withoutOwners(object: ApiObject | undefined): ApiObject | undefined {
  if (object === undefined) return undefined;
  const { managedFields: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
