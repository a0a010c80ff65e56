/**
 * Between the stored form and the version asked for. CRD versions differ in name only (strategy None); the one
 * real conversion is events.k8s.io/v1 Event, which is the core Event with other field names.
 */
import { type ApiObject, cloneJson, type JsonObject } from '#kube/meta/object.ts';
import { apiVersionOf, type ServedKind } from './served-kind.ts';

/** events.k8s.io name → core name. */
const EVENT_FIELDS: readonly (readonly [string, string])[] = [
  ['regarding', 'involvedObject'],
  ['note', 'message'],
  ['reportingController', 'reportingComponent'],
  ['deprecatedSource', 'source'],
  ['deprecatedFirstTimestamp', 'firstTimestamp'],
  ['deprecatedLastTimestamp', 'lastTimestamp'],
  ['deprecatedCount', 'count'],
];

export function fromStored(kind: ServedKind, stored: ApiObject): ApiObject {
  const apiVersion = apiVersionOf(kind);
  if (stored.apiVersion === apiVersion) return stored;
  if (kind.group === 'events.k8s.io') return { ...rename(stored, 1, 0), apiVersion };
  return { ...stored, apiVersion };
}

export function toStored(kind: ServedKind, object: ApiObject): ApiObject {
  if (kind.group === 'events.k8s.io') return { ...rename(object, 0, 1), apiVersion: 'v1' };
  return object;
}

function rename(object: ApiObject, from: 0 | 1, to: 0 | 1): ApiObject {
  const copy = cloneJson(object) as ApiObject & JsonObject;
  for (const pair of EVENT_FIELDS) {
    if (copy[pair[from]] === undefined) continue;
    copy[pair[to]] = copy[pair[from]];
    delete copy[pair[from]];
  }
  return copy;
}
