/** `--set`, `--values`, `--namespace` and `--revision` as layers of values. */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { MeshError, messageOf } from '#base/errors.ts';
import { INSTALL_ERRORS } from '#install/errors.ts';
import { parseSet } from '#install/values/set-flag.ts';
import { isTree, type Tree } from '#install/values/values.ts';

export interface ValueFlags {
  readonly set: readonly string[];
  readonly values: readonly string[];
  readonly namespace?: string;
  readonly revision?: string;
}

/** Files first, then --set, as Helm does. */
export function layersOf({ set, values, namespace, revision }: ValueFlags): Tree[] {
  return [
    ...values.map(readValues),
    ...set.map(parseSet),
    ...(namespace === undefined ? [] : [{ namespace }]),
    ...(revision === undefined ? [] : [{ revision }]),
  ];
}

function readValues(path: string): Tree {
  let tree: unknown;
  try {
    tree = parse(readFileSync(path === '-' ? '/dev/stdin' : path, 'utf8')) ?? {};
  } catch (error) {
    throw unreadable(path, messageOf(error), error);
  }
  if (isTree(tree)) return tree;
  throw unreadable(path, 'it holds no mapping');
}

function unreadable(path: string, reason: string, cause?: unknown): MeshError {
  return new MeshError('INSTALL_VALUES_FILE', `cannot use ${path}: ${reason}`, {
    side: 'config',
    hint: INSTALL_ERRORS.INSTALL_VALUES_FILE,
    cause,
  });
}
