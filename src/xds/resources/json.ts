/** JSON as a resource's value: our own types travel as the model itself. */

type JsonObject = Record<string, unknown>;

export function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** The object, or the reason why there is none. */
export function decodeJson(bytes: Uint8Array): JsonObject | string {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (error) {
    return `not JSON: ${error instanceof Error ? error.message : String(error)}`;
  }
  return isObject(value) ? value : 'not a JSON object';
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The first of `names` that is missing or no string. */
export function missingText(object: JsonObject, names: readonly string[]): string | undefined {
  return names.find((name) => typeof object[name] !== 'string');
}

/** The first of `names` that is missing or no list of objects. */
export function missingList(object: JsonObject, names: readonly string[]): string | undefined {
  return names.find((name) => {
    const list = object[name];
    return !Array.isArray(list) || !list.every(isObject);
  });
}
