/** The scale subresource: autoscaling/v1 Scale as a view on the replica fields that the kind names. */

import { applyJsonPatch } from '#kube/meta/json-patch.ts';
import { formatLabelSelector } from '#kube/meta/label-selector.ts';
import { applyMergePatch } from '#kube/meta/merge-patch.ts';
import { type ApiObject, isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import type { ScalePaths } from '../kinds/served-kind.ts';
import type { ObjectKey, ObjectStore } from './object-store.ts';
import { patchLanguage, runPatch } from './patch.ts';
import { mediaTypeOf, type ResourceRequest, readBody, readObject } from './request.ts';
import { jsonResponse } from './resource-handler.ts';
import * as status from './status-error.ts';
import { type WriteContext, writeContext } from './write-options.ts';

export async function handleScale(
  { kind, path, http, method, query }: ResourceRequest,
  store: ObjectStore,
): Promise<Response> {
  const paths = kind.scale;
  if (paths === undefined || path.name === undefined) throw status.pathNotFound();
  const key = { namespace: path.namespace, name: path.name };
  if (method === 'GET') return jsonResponse(200, scaleOf(store.get(kind, key), paths));
  const context = writeContext(query, http.headers.get('user-agent'));
  if (method === 'PUT') {
    const scale = await readObject(http);
    return setScale(store, { kind, key, paths, context, change: () => scale });
  }
  if (method !== 'PATCH') throw status.methodNotAllowed();
  const language = patchLanguage(mediaTypeOf(http), kind);
  const body = await readBody(http);
  const change = (scale: JsonObject) =>
    runPatch(kind, key.name, () =>
      language === 'json' ? applyJsonPatch(scale, body) : applyMergePatch(scale, body),
    );
  return setScale(store, { kind, key, paths, context, change });
}

function setScale(
  store: ObjectStore,
  request: {
    kind: ResourceRequest['kind'];
    key: ObjectKey;
    paths: ScalePaths;
    context: WriteContext;
    change(scale: JsonObject): unknown;
  },
): Response {
  const { kind, key, paths, context, change } = request;
  const object = store.update({
    kind,
    key,
    subresource: 'scale',
    context,
    change(live) {
      const scale = change(scaleOf(live, paths));
      const replicas = readPath(scale, ['spec', 'replicas']) ?? 0;
      if (typeof replicas !== 'number' || !Number.isInteger(replicas) || replicas < 0)
        throw status.invalid(
          { group: 'autoscaling', resource: 'scales', kind: 'Scale' },
          key.name,
          [
            {
              field: 'spec.replicas',
              reason: 'FieldValueInvalid',
              message: `Invalid value: ${JSON.stringify(replicas)}: must be greater than or equal to 0`,
            },
          ],
        );
      const version = readPath(scale, ['metadata', 'resourceVersion']);
      if (typeof version === 'string' && version !== '') live.metadata.resourceVersion = version;
      writeReplicas(live, paths.specReplicasPath, replicas);
      return live;
    },
  });
  return jsonResponse(200, scaleOf(object, paths));
}

function scaleOf(object: ApiObject, paths: ScalePaths): JsonObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = object.metadata;
  const read = (path: string | undefined) =>
    path === undefined ? undefined : readPath(object, path.split('.').slice(1));
  const selector = read(paths.labelSelectorPath);
  return {
    kind: 'Scale',
    apiVersion: 'autoscaling/v1',
    metadata: { name, namespace, uid, resourceVersion, creationTimestamp },
    spec: { replicas: read(paths.specReplicasPath) ?? 0 },
    status: {
      replicas: read(paths.statusReplicasPath) ?? 0,
      selector: isJsonObject(selector) ? formatLabelSelector(selector) : selector,
    },
  };
}

function writeReplicas(object: ApiObject, path: string, replicas: number): void {
  const members = path.split('.').slice(1);
  const last = members.pop()!;
  let parent: JsonObject = object;
  for (const member of members) {
    if (!isJsonObject(parent[member])) parent[member] = {};
    parent = parent[member] as JsonObject;
  }
  parent[last] = replicas;
}
