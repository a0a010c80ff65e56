/**
 * metadata.managedFields as a list of owners with field sets. An applier is one owner whatever version it applies
 * with; an updater is one per version, as in Kubernetes.
 */
import type { ApiObject, ManagedFieldsEntry } from '#kube/meta/object.ts';
import { decodeFields, encodeFields, equalSets, type FieldSet } from './field-set.ts';

export interface Owner {
  manager: string;
  operation: 'Apply' | 'Update';
  apiVersion: string;
  subresource: string;
  time: string | undefined;
  fields: FieldSet;
}

export function readOwners(object: ApiObject | undefined): Owner[] {
  const entries = object?.metadata.managedFields;
  if (!Array.isArray(entries)) return [];
  return entries
    .filter((entry) => entry.manager !== undefined || entry.operation !== undefined)
    .map(readOwner);
}

function readOwner(entry: ManagedFieldsEntry): Owner {
  return {
    manager: entry.manager ?? '',
    operation: entry.operation === 'Apply' ? 'Apply' : 'Update',
    apiVersion: entry.apiVersion ?? '',
    subresource: entry.subresource ?? '',
    time: entry.time,
    fields: decodeFields(entry.fieldsV1),
  };
}

/** Owners of nothing are dropped. Appliers come first, then by time and name, as Kubernetes sorts them. */
export function writeOwners(object: ApiObject, owners: readonly Owner[]): ApiObject {
  const kept = owners.filter((owner) => !owner.fields.empty);
  const { managedFields: _, ...metadata } = object.metadata;
  if (kept.length === 0) return { ...object, metadata };
  const sorted = [...kept].sort(
    (left, right) =>
      compare(left.operation, right.operation) ||
      compare(left.time ?? '', right.time ?? '') ||
      compare(left.manager, right.manager),
  );
  return { ...object, metadata: { ...metadata, managedFields: sorted.map(writeOwner) } };
}

function writeOwner(owner: Owner): ManagedFieldsEntry {
  return {
    manager: owner.manager,
    operation: owner.operation,
    apiVersion: owner.apiVersion,
    ...(owner.time === undefined ? {} : { time: owner.time }),
    fieldsType: 'FieldsV1',
    fieldsV1: encodeFields(owner.fields),
    ...(owner.subresource === '' ? {} : { subresource: owner.subresource }),
  };
}

export function isSameOwner(left: Owner, right: Omit<Owner, 'fields' | 'time'>): boolean {
  if (left.manager !== right.manager || left.operation !== right.operation) return false;
  if (left.subresource !== right.subresource) return false;
  return left.operation === 'Apply' || left.apiVersion === right.apiVersion;
}

/** The owner's entry with new fields; its time moves only when they differ. */
export function replaceOwner(owners: readonly Owner[], owner: Owner): Owner[] {
  const previous = owners.find((other) => isSameOwner(other, owner));
  const rest = owners.filter((other) => other !== previous);
  const same =
    previous !== undefined &&
    previous.apiVersion === owner.apiVersion &&
    equalSets(previous.fields, owner.fields);
  return [...rest, same ? { ...owner, time: previous.time } : owner];
}

const SERVER_FIELDS: readonly (readonly string[])[] = [
  ['f:apiVersion'],
  ['f:kind'],
  ...[
    'name',
    'namespace',
    'uid',
    'resourceVersion',
    'generation',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'selfLink',
    'managedFields',
  ].map((name) => ['f:metadata', `f:${name}`]),
];

/** Nobody owns identity and what only the server writes. Changes the set. */
export function stripServerFields(set: FieldSet): FieldSet {
  for (const path of SERVER_FIELDS) {
    const parent = set.at(path.slice(0, -1));
    parent?.children.delete(path[path.length - 1]);
  }
  const metadata = set.children.get('f:metadata');
  if (metadata !== undefined) {
    metadata.member = false;
    if (metadata.children.size === 0) set.children.delete('f:metadata');
  }
  return set;
}

function compare(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
