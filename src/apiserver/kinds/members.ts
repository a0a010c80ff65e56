/** Members of untyped objects, for code that fills in what clients leave out. */
import { isJsonObject, type JsonObject } from '#kube/meta/object.ts';

/** The member as an object, made when it is absent. */
export function memberOf(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  if (isJsonObject(value)) return value;
  const created: JsonObject = {};
  object[key] = created;
  return created;
}

/** The objects of a list; whatever else stands there is for the schema to complain about. */
export function objectsIn(list: unknown): JsonObject[] {
  return Array.isArray(list) ? list.filter(isJsonObject) : [];
}
