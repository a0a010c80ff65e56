/** Takes away what the version before made and this one no longer has. */
import { isMeshError } from '#base/errors.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { find, isForeign } from './apply.ts';
import type { InstalledObject, InstallRecord } from './record.ts';
import { nameOf, REFS, refOf } from './refs.ts';
import type { ObjectReport } from './report.ts';

/** Never these: pods of the mesh depend on them, and only `tulle uninstall` lets those go first. */
const KEPT_KINDS: readonly string[] = ['Namespace', 'CustomResourceDefinition', 'DaemonSet'];

export async function prune(
  client: KubeClient,
  record: InstallRecord | undefined,
  objects: readonly KubeObject[],
): Promise<ObjectReport[]> {
  const still = new Set(objects.map(nameOf));
  const reports: ObjectReport[] = [];
  for (const known of record?.objects ?? []) {
    const object = objectOf(known);
    if (!(known.kind in REFS) || KEPT_KINDS.includes(known.kind) || still.has(nameOf(object))) {
      continue;
    }
    const found = await find(client, object);
    if (found === undefined || isForeign(found)) continue;
    await remove(client, object);
    reports.push({ object: nameOf(object), outcome: 'deleted' });
  }
  return reports;
}

export function objectOf({ kind, namespace, name }: InstalledObject): KubeObject {
  return {
    apiVersion: '',
    kind,
    metadata: { name, ...(namespace !== undefined && { namespace }) },
  };
}

/** False when it was gone already. */
export async function remove(client: KubeClient, object: KubeObject): Promise<boolean> {
  try {
    await client.delete(refOf(object), object.metadata, { propagation: 'Background' });
    return true;
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return false;
    throw error;
  }
}
