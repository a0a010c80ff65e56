/**
 * JSON Patch, RFC 6902, on JSON Pointer, RFC 6901. The document is not changed; a patch applies wholly or throws
 * PatchError, which says which operation failed and why.
 */
import { cloneJson, equalJson, isJsonObject, setOwn } from './object.ts';

/** A patch that cannot be applied: malformed (`invalid`) or not fitting the document (`mismatch`). */
export class PatchError extends Error {
  override readonly name = 'PatchError';
  readonly reason: 'invalid' | 'mismatch';

  constructor(reason: 'invalid' | 'mismatch', message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Bounds `copy` chains that double a document with every operation. */
export const PATCH_OPERATIONS_MAX = 10_000;

interface Root {
  value: unknown;
}

export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  if (!Array.isArray(patch))
    throw new PatchError('invalid', 'a JSON patch is an array of operations');
  if (patch.length > PATCH_OPERATIONS_MAX)
    throw new PatchError('invalid', `the patch has more than ${PATCH_OPERATIONS_MAX} operations`);
  const root: Root = { value: cloneJson(document) };
  for (const operation of patch) applyOperation(root, operation);
  return root.value;
}

function applyOperation(root: Root, operation: unknown): void {
  if (!isJsonObject(operation)) throw new PatchError('invalid', 'an operation is an object');
  const path = pointer(operation.path, 'path');
  switch (operation.op) {
    case 'add':
      add(root, path, cloneJson(required(operation.value)));
      return;
    case 'remove':
      remove(root, path);
      return;
    case 'replace':
      replace(root, path, cloneJson(required(operation.value)));
      return;
    case 'move': {
      const from = pointer(operation.from, 'from');
      if (path.length > from.length && from.every((token, index) => token === path[index]))
        throw new PatchError('mismatch', 'cannot move a value into itself'); // RFC 6902 §4.4
      add(root, path, remove(root, from));
      return;
    }
    case 'copy':
      add(root, path, cloneJson(read(root, pointer(operation.from, 'from'))));
      return;
    case 'test':
      if (!equalJson(read(root, path), required(operation.value)))
        throw new PatchError('mismatch', `testing value ${operation.path} failed`);
      return;
    default:
      throw new PatchError('invalid', `unexpected operation kind "${String(operation.op)}"`);
  }
}

function required(value: unknown): unknown {
  if (value === undefined) throw new PatchError('invalid', 'the operation lacks its value');
  return value;
}

/** RFC 6901 §4: `~1` is `/` and `~0` is `~`, in that order. */
function pointer(text: unknown, member: string): string[] {
  if (typeof text !== 'string')
    throw new PatchError('invalid', `the operation lacks its ${member}`);
  if (text === '') return [];
  if (!text.startsWith('/')) throw new PatchError('invalid', `"${text}" is not a JSON pointer`);
  return text
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function missing(path: readonly string[]): PatchError {
  return new PatchError('mismatch', `doc is missing path: "/${path.join('/')}": missing value`);
}

function arrayIndex(token: string, limit: number, path: readonly string[]): number {
  // RFC 6901 §4: no sign, no leading zero.
  const index = /^(0|[1-9]\d*)$/.test(token) ? Number(token) : Number.NaN;
  if (!(index < limit)) throw missing(path);
  return index;
}

function read(root: Root, path: readonly string[]): unknown {
  let current = root.value;
  for (const token of path) {
    if (Array.isArray(current)) current = current[arrayIndex(token, current.length, path)];
    else if (isJsonObject(current) && Object.hasOwn(current, token)) current = current[token];
    else throw missing(path);
  }
  return current;
}

function add(root: Root, path: readonly string[], value: unknown): void {
  if (path.length === 0) {
    root.value = value;
    return;
  }
  const parent = read(root, path.slice(0, -1));
  const token = path[path.length - 1];
  if (Array.isArray(parent)) {
    const index = token === '-' ? parent.length : arrayIndex(token, parent.length + 1, path);
    parent.splice(index, 0, value);
  } else if (isJsonObject(parent)) setOwn(parent, token, value);
  else throw missing(path);
}

function replace(root: Root, path: readonly string[], value: unknown): void {
  if (path.length === 0) {
    root.value = value;
    return;
  }
  const parent = read(root, path.slice(0, -1));
  const token = path[path.length - 1];
  if (Array.isArray(parent)) parent[arrayIndex(token, parent.length, path)] = value;
  else if (isJsonObject(parent) && Object.hasOwn(parent, token)) setOwn(parent, token, value);
  else throw missing(path);
}

function remove(root: Root, path: readonly string[]): unknown {
  const removed = read(root, path);
  if (path.length === 0) {
    root.value = null;
    return removed;
  }
  const parent = read(root, path.slice(0, -1));
  const token = path[path.length - 1];
  if (Array.isArray(parent)) parent.splice(Number(token), 1);
  else if (isJsonObject(parent)) delete parent[token];
  return removed;
}
