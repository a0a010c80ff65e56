/** Asks the server what each object would become, before any is changed: all conflicts are known at once, and nothing is half done. */
import { isMeshError, MeshError } from '#base/errors.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { LABEL } from '../manifests/object.ts';
import { applyObject, find, isForeign } from './apply.ts';
import { inBatches } from './batches.ts';
import { nameOf, refOf } from './refs.ts';
import type { ObjectReport } from './report.ts';

/** A namespace may have been made by somebody for us; definitions have a plan of their own (install-crds.ts). */
const JUDGED_ELSEWHERE: readonly string[] = ['Namespace', 'CustomResourceDefinition'];
/** Objects of a namespace that is not there yet are shown to the server in this one. */
const STAND_IN = 'default';

export async function rehearse(
  client: KubeClient,
  objects: readonly KubeObject[],
  { force }: { force: boolean },
): Promise<ObjectReport[]> {
  const conflicts: string[] = [];
  const place = objects.find(({ kind }) => kind === 'Namespace');
  const hasNamespace = place === undefined || (await find(client, place)) !== undefined;
  await refuseForeign(client, objects, force);
  const reports = await inBatches(objects, async (object): Promise<ObjectReport> => {
    const shown = hasNamespace ? object : standIn(object);
    try {
      const { outcome, changes } = await applyObject(client, shown, { dryRun: true, force });
      return { object: nameOf(object), outcome, changes };
    } catch (error) {
      if (!isMeshError(error, 'KUBE_CONFLICT')) throw error;
      conflicts.push(`${nameOf(object)}: ${error.message.replace(/^.*?: 409 /s, '')}`);
      return { object: nameOf(object), outcome: 'unchanged' };
    }
  });
  if (conflicts.length === 0) return reports;
  throw new MeshError(
    'INSTALL_CONFLICT',
    `others manage fields that would change; nothing was changed:\n  ${conflicts.join('\n  ')}`,
    { side: 'config', hint: INSTALL_ERRORS.INSTALL_CONFLICT },
  );
}

function standIn(object: KubeObject): KubeObject {
  return refOf(object).namespaced
    ? { ...object, metadata: { ...object.metadata, namespace: STAND_IN } }
    : object;
}

async function refuseForeign(
  client: KubeClient,
  objects: readonly KubeObject[],
  force: boolean,
): Promise<void> {
  const found = await inBatches(
    objects.filter(({ kind }) => !JUDGED_ELSEWHERE.includes(kind)),
    (object) => find(client, object),
  );
  const present = found.filter((each) => each !== undefined);
  const helm = present.find(
    (each) => !isForeign(each) && each.metadata.labels?.[LABEL.managedBy] === 'Helm',
  );
  if (helm !== undefined) {
    throw new MeshError('INSTALL_HELM', `${nameOf(helm)} is managed by Helm`, {
      side: 'config',
      hint: INSTALL_ERRORS.INSTALL_HELM,
    });
  }
  const foreign = present.filter(isForeign);
  if (force || foreign.length === 0) return;
  throw new MeshError(
    'INSTALL_FOREIGN',
    `these are there and not Tulle’s:\n  ${foreign.map(nameOf).join('\n  ')}`,
    { side: 'config', hint: INSTALL_ERRORS.INSTALL_FOREIGN },
  );
}
