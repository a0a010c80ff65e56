/** From what was asked for, and what the cluster is and has, to the values and objects of this installation. */
import { MeshError } from '#base/errors.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import type { Node } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type CrdAction, crdsToInstall, planCrds } from '../crds/install-crds.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { manifests } from '../manifests/manifests.ts';
import { LABEL } from '../manifests/object.ts';
import { MANAGED_BY_TULLE, suffixOf } from '../manifests/parameters.ts';
import {
  defaultValues,
  memberAt,
  mergeTrees,
  type Tree,
  type Values,
  valuesOf,
} from '../values/values.ts';
import { find } from './apply.ts';
import { platformOf } from './platform.ts';
import { checkRights, checkVersion, otherMeshes, rightsFor } from './preflight.ts';
import { type InstallRecord, readRecord } from './record.ts';

export interface Asked {
  /** What was given on the command line; later layers win. */
  readonly layers: readonly Tree[];
  /** An upgrade: what was chosen before still holds. */
  readonly keepChosen: boolean;
}

export interface Settled {
  readonly kubernetes: string;
  readonly platform?: string;
  readonly record: InstallRecord | undefined;
  /** What somebody chose; the rest are defaults. */
  readonly chosen: Tree;
  readonly values: Values;
  readonly objects: readonly KubeObject[];
  readonly crds: readonly CrdAction[];
  readonly warnings: readonly string[];
}

export async function settle(
  client: KubeClient,
  { layers, keepChosen }: Asked,
  allCrds: readonly CustomResourceDefinition[],
): Promise<Settled> {
  const given = valuesOf(layers);
  const named = manifests(given).map(({ object }) => object);
  await checkRights(client, rightsFor(named, given.namespace));
  const place = { namespace: given.namespace, suffix: suffixOf(given.revision) };
  const [kubernetes, record, nodes] = await Promise.all([
    checkVersion(client),
    readRecord(client, place),
    client.list<Node>(RESOURCES.nodes),
  ]);
  if (keepChosen && record === undefined) throw notThere(place.namespace, given.revision);
  const platform = platformOf(nodes.items);
  const chosen = mergeTrees([keepChosen ? (record?.chosen ?? {}) : {}, ...layers]);
  const wanted = [platform?.values ?? {}, chosen];
  const otherNodes = await nodesOfOtherRevision(client, valuesOf(wanted), chosen);
  const values = valuesOf([...wanted, ...(otherNodes === undefined ? [] : [WITHOUT_NODES])]);
  const objects = manifests(values).map(({ object }) => object);
  const warnings = [...(await warnOfOthers(client)), ...droppedChoices(record, chosen, keepChosen)];
  if (otherNodes !== undefined) {
    warnings.push(
      `node proxies stay with revision ${otherNodes}; tulle upgrade --revision ${values.revision} --set node.enabled=true moves them`,
    );
  }
  const existing = await client.list<CustomResourceDefinition>(RESOURCES.customResourceDefinitions);
  const crds = planCrds(crdsToInstall(allCrds, MANAGED_BY_TULLE), existing.items);
  const lost = crds.flatMap((action) =>
    action.do === 'leave' && action.lost !== undefined
      ? [`${action.lost} is not served: ${action.why}`]
      : [],
  );
  return {
    kubernetes,
    ...(platform && { platform: platform.name }),
    record,
    chosen,
    values,
    objects,
    crds,
    warnings: [...warnings, ...lost],
  };
}

const WITHOUT_NODES: Tree = { node: { enabled: false } };

/** One node has one proxy: a second control plane does not take those of the first unasked. */
async function nodesOfOtherRevision(
  client: KubeClient,
  { namespace, revision }: Values,
  chosen: Tree,
): Promise<string | undefined> {
  if (memberAt(chosen, ['node', 'enabled']) !== undefined) return undefined;
  const found = await find(client, {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { namespace, name: 'ztunnel' },
  });
  const theirs = found?.metadata.labels?.[LABEL.revision];
  return theirs === undefined || theirs === revision ? undefined : theirs;
}

async function warnOfOthers(client: KubeClient): Promise<string[]> {
  const others = await otherMeshes(client);
  return others.map(({ name, object, collides }) =>
    collides
      ? `${name} is here (${object}): both would capture the same pods; enrol a namespace in one of them only`
      : `${name} is here (${object})`,
  );
}

/** `install` says all of it again: what it does not say any more goes back to its default. */
function droppedChoices(
  record: InstallRecord | undefined,
  chosen: Tree,
  keepChosen: boolean,
): string[] {
  if (record === undefined || keepChosen) return [];
  const defaults = defaultValues();
  return leaves(record.chosen).flatMap((path) => {
    if (memberAt(chosen, path) !== undefined) return [];
    const before = JSON.stringify(memberAt(record.chosen, path));
    const after = JSON.stringify(memberAt(defaults, path));
    return [
      `${path.join('.')} goes back from ${before} to ${after}; tulle upgrade keeps what was chosen`,
    ];
  });
}

function leaves(tree: Tree, at: readonly string[] = []): string[][] {
  return Object.entries(tree).flatMap(([name, value]) => {
    const path = [...at, name];
    const isBranch = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isBranch ? leaves(value as Tree, path) : [path];
  });
}

function notThere(namespace: string, revision: string): MeshError {
  return new MeshError(
    'INSTALL_NOT_THERE',
    `no installation of revision ${revision} by this program is in namespace ${namespace}`,
    { side: 'config', hint: INSTALL_ERRORS.INSTALL_NOT_THERE },
  );
}
