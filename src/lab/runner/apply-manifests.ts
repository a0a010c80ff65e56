/** Applies objects through the API by server-side apply. */
import { MeshError, messageOf } from '#base/errors.ts';
import type { KubeClient, KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Manifest } from '#kube/manifests.ts';
import { splitApiVersion } from '#kube/meta/api-version.ts';
import { LAB_ERRORS } from '../errors.ts';

const FIELD_MANAGER = 'tulle-lab';

/** Applies in order; `namespace` is for namespaced objects that name none. */
export async function applyManifests(
  client: KubeClient,
  manifests: readonly Manifest[],
  namespace: string,
): Promise<void> {
  const kinds = new Map<string, ResourceRef>();
  for (const { reference, object } of manifests) {
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
      throw manifestError(reference, `${object.kind} ${object.metadata.name}: ${messageOf(error)}`);
    }
  }
}

function manifestError(reference: string, detail: string): MeshError {
  return new MeshError('LAB_MANIFEST', `${reference}: ${detail}`, {
    side: 'config',
    hint: LAB_ERRORS.LAB_MANIFEST,
  });
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
  const ref: ResourceRef = {
    ...splitApiVersion(object.apiVersion),
    resource: row.name,
    kind: row.kind,
    namespaced: row.namespaced,
  };
  known.set(key, ref);
  return ref;
}
