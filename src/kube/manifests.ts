/** Reads manifests from files, directories and standard input: YAML (several documents) or JSON. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { clauseOf, MeshError } from '#base/errors.ts';
import type { KubeObject } from './client/kube-client.ts';
import { KUBE_ERRORS } from './errors.ts';

export interface Manifest {
  /** `file:line` of the document. */
  reference: string;
  object: KubeObject;
}

const MANIFEST_FILE = /\.(ya?ml|json)$/;

/** `paths` may hold `-` for standard input; directories are read one level deep in name order, as kubectl does. */
export function readManifests(paths: readonly string[]): Manifest[] {
  return paths.flatMap((path) => {
    if (path === '-') return parseManifests(readText('/dev/stdin'), '<stdin>');
    return filesOf(path).flatMap((file) => parseManifests(readText(file), file));
  });
}

export function parseManifests(text: string, file: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const line = text.slice(0, document.contents?.range?.[0] ?? 0).split('\n').length;
    const reference = `${file}:${line}`;
    const [broken] = document.errors;
    if (broken !== undefined)
      throw bad(`${file}:${broken.linePos?.[0].line ?? line}`, clauseOf(broken));
    const value: unknown = document.toJS();
    if (value === null || value === undefined) return [];
    return flatten(value, reference);
  });
}

function flatten(value: unknown, reference: string): Manifest[] {
  const object = value as Partial<KubeObject> & { items?: unknown[] };
  if (
    typeof object !== 'object' ||
    typeof object.apiVersion !== 'string' ||
    typeof object.kind !== 'string'
  ) {
    throw bad(reference, 'apiVersion and kind are required');
  }
  if (object.kind === 'List' && Array.isArray(object.items))
    return object.items.flatMap((item) => flatten(item, reference));
  if (typeof object.metadata?.name !== 'string') throw bad(reference, 'metadata.name is required');
  return [{ reference, object: object as KubeObject }];
}

function filesOf(path: string): string[] {
  let directory: boolean;
  try {
    directory = statSync(path).isDirectory();
  } catch (error) {
    throw bad(path, clauseOf(error));
  }
  if (!directory) return [path];
  const names = readdirSync(path).filter((name) => MANIFEST_FILE.test(name));
  if (names.length === 0) throw bad(path, 'no file in it ends in .yaml, .yml or .json');
  return names.sort().map((name) => join(path, name));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw bad(path, clauseOf(error));
  }
}

function bad(reference: string, message: string): MeshError {
  return new MeshError('KUBE_BAD_MANIFEST', `${reference}: ${message}`, {
    side: 'config',
    hint: KUBE_ERRORS.KUBE_BAD_MANIFEST,
  });
}
