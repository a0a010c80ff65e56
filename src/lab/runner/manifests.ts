/** Reads YAML manifests from files and directories, and applies objects through the API by server-side apply. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { clauseOf, MeshError, messageOf } from '#base/errors.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { LAB_ERRORS } from '../errors.ts';

export interface Manifest {
  /** `path, document N` for messages. */
  origin: string;
  object: KubeObject;
}

const FIELD_MANAGER = 'tulle-lab';

/** As kubectl -f: a file, or the YAML and JSON files right in a directory, by name. */
export function readManifests(path: string): Manifest[] {
  try {
    if (!statSync(path).isDirectory()) return parseManifests(readFileSync(path, 'utf8'), path);
    const names = readdirSync(path).filter((name) => /\.(ya?ml|json)$/.test(name));
    if (names.length === 0) throw manifestError(path, 'no file in it ends in .yaml, .yml or .json');
    return names
      .sort()
      .flatMap((name) => parseManifests(readFileSync(join(path, name), 'utf8'), join(path, name)));
  } catch (error) {
    if (error instanceof MeshError) throw error;
    throw manifestError(path, clauseOf(error));
  }
}

export function parseManifests(text: string, path: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document, index) => {
    const origin = `${path}, document ${index + 1}`;
    if (document.errors.length > 0) throw manifestError(origin, clauseOf(document.errors[0]));
    const object = document.toJS() as (KubeObject & { items?: KubeObject[] }) | null;
    if (object === null) return [];
    if (object.kind === 'List')
      return (object.items ?? []).map((item) => ({ origin, object: item }));
    if (
      typeof object.apiVersion !== 'string' ||
      typeof object.kind !== 'string' ||
      typeof object.metadata?.name !== 'string'
    )
      throw manifestError(origin, 'apiVersion, kind and metadata.name are required');
    return [{ origin, object }];
  });
}

function manifestError(origin: string, detail: string): MeshError {
  return new MeshError('LAB_MANIFEST', `${origin}: ${detail}`, {
    side: 'config',
    hint: LAB_ERRORS.LAB_MANIFEST,
  });
}

/** Applies in order; `namespace` is for namespaced objects that name none. */
export async function applyManifests(
  client: KubeClient,
  manifests: readonly Manifest[],
  namespace: string,
): Promise<void> {
  const kinds = new Map<string, ResourceRef>();
  for (const { origin, object } of manifests) {
    try {
      const ref = await resourceOf(client, object, kinds);
      const metadata = ref.namespaced
        ? { ...object.metadata, namespace: object.metadata.namespace ?? namespace }
        : object.metadata;
      const body = { ...object, metadata };
      await client.patch(
        ref,
        metadata,
        { type: 'apply', body },
        { fieldManager: FIELD_MANAGER, force: true },
      );
    } catch (error) {
      throw manifestError(origin, `${object.kind} ${object.metadata.name}: ${messageOf(error)}`);
    }
  }
}

interface ResourceList {
  resources?: { name: string; kind: string; namespaced: boolean }[];
}

async function resourceOf(
  client: KubeClient,
  object: KubeObject,
  known: Map<string, ResourceRef>,
): Promise<ResourceRef> {
  const key = `${object.apiVersion} ${object.kind}`;
  const builtin = Object.values(RESOURCES).find(
    ({ group, version, kind }) =>
      kind === object.kind &&
      (group === '' ? version : `${group}/${version}`) === object.apiVersion,
  );
  const found = builtin ?? known.get(key);
  if (found !== undefined) return found;
  const core = !object.apiVersion.includes('/');
  const list = (await client.request(
    'GET',
    `/${core ? 'api' : 'apis'}/${object.apiVersion}`,
  )) as ResourceList;
  const row = list.resources?.find(({ kind, name }) => kind === object.kind && !name.includes('/'));
  if (row === undefined) throw new Error(`no kind "${object.kind}" in ${object.apiVersion}`);
  const [group, version] = core ? ['', object.apiVersion] : object.apiVersion.split('/');
  const ref: ResourceRef = {
    group,
    version,
    resource: row.name,
    kind: row.kind,
    namespaced: row.namespaced,
  };
  known.set(key, ref);
  return ref;
}
