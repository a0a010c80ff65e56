/**
 * `tulle uninstall`: first the pods of the mesh go back to plain traffic, then what served them is taken away, then what it left. Each
 * step can be repeated: what is gone already is passed over.
 */
import { sleep } from '#base/clock.ts';
import { isMeshError, MeshError } from '#base/errors.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { INSTALL_ERRORS } from '../errors.ts';
import { READY_POLL_MS } from '../limits.ts';
import { LABEL } from '../manifests/object.ts';
import { find } from './apply.ts';
import { inBatches } from './batches.ts';
import type { InstallDeps } from './install.ts';
import { type Inventory, othersIn, takeInventory } from './inventory.ts';
import { takeLock } from './lock.ts';
import { podsOf } from './readiness.ts';
import { type InstalledKind, nameOf, refOf } from './refs.ts';
import { clearStatuses } from './statuses.ts';

export type UninstallDeps = Omit<InstallDeps, 'crds'>;

export interface UninstallPlan {
  readonly namespace: string;
  readonly revision: string;
  /** Other revisions that stay, with everything that all share. */
  readonly staying: readonly string[];
  readonly inventory: Inventory;
  /** The namespace was made by us. */
  readonly ownNamespace: boolean;
  /** Definitions go as well, and with them every object of their kinds. */
  readonly purge: boolean;
}

/** What runs. All else that Helm installed it takes away itself, as soon as nobody runs who needs it. */
const RUNNING: readonly InstalledKind[] = [
  'ValidatingWebhookConfiguration',
  'DaemonSet',
  'Deployment',
];

/** For Helm, before it removes anything: what it has no order for, and what it does not know of. */
export async function planFarewell(
  client: KubeClient,
  { namespace, revision }: { namespace: string; revision: string },
): Promise<UninstallPlan> {
  const inventory = await takeInventory(client, namespace, RUNNING);
  return planOf(inventory, { namespace, revision, purge: false });
}

export async function planUninstall(
  client: KubeClient,
  { namespace, revision, purge }: { namespace: string; revision: string; purge: boolean },
): Promise<UninstallPlan> {
  const inventory = await takeInventory(client, namespace);
  const helm = inventory.installed.find(
    ({ metadata }) => metadata.labels?.[LABEL.managedBy] === 'Helm',
  );
  if (helm !== undefined) throw refusal('INSTALL_HELM', `${nameOf(helm)} is managed by Helm`);
  const revisions = revisionsIn(inventory);
  const isNothing = isEmpty(inventory) && !(purge && inventory.definitions.length > 0);
  if (!revisions.includes(revision) && (revisions.length > 0 || isNothing)) {
    const known = revisions.length === 0 ? '' : `; these are: ${revisions.join(', ')}`;
    throw refusal(
      'INSTALL_NOT_THERE',
      `revision ${revision} is not installed in ${namespace}${known}`,
    );
  }
  return planOf(inventory, { namespace, revision, purge });
}

function planOf(
  inventory: Inventory,
  { namespace, revision, purge }: { namespace: string; revision: string; purge: boolean },
): UninstallPlan {
  const staying = revisionsIn(inventory).filter((each) => each !== revision);
  const nodes = inventory.installed.find(({ kind }) => kind === 'DaemonSet');
  if (staying.length > 0 && nodes?.metadata.labels?.[LABEL.revision] === revision) {
    throw refusal(
      'INSTALL_NODES_IN_USE',
      `the node proxies belong to revision ${revision}, and ${staying.join(', ')} would be without`,
    );
  }
  return {
    namespace,
    revision,
    staying,
    inventory,
    ownNamespace: inventory.installed.some(({ kind }) => kind === 'Namespace'),
    purge,
  };
}

function isEmpty({ installed, proxies, own }: Inventory): boolean {
  return installed.length + proxies.length + own.length === 0;
}

function revisionsIn({ installed }: Inventory): string[] {
  const control = installed.filter(({ kind }) => kind === 'Deployment');
  return control.map(({ metadata }) => metadata.labels?.[LABEL.revision] ?? '');
}

/** Returns the names of what was removed. */
export async function uninstall(
  deps: UninstallDeps,
  plan: UninstallPlan,
  timeoutMs: number,
): Promise<string[]> {
  const { client, clock, steps, holder } = deps;
  const removed: string[] = [];
  const deadline = clock.now() + timeoutMs;
  const onWait = (other: string) => steps.say(`${other} has the lock; is it alive?`);
  const lock = await takeLock({ client, clock, holder, onWait }, plan.namespace).catch(
    (error: unknown) => {
      // Only definitions are left, and no namespace for a lock.
      if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
    },
  );
  try {
    if (plan.staying.length > 0) await removeRevision(deps, plan, removed);
    else await removeEverything(deps, plan, { removed, deadline });
  } finally {
    await lock?.release();
  }
  if (plan.staying.length === 0) await removeNamespace(deps, plan, { removed, deadline });
  return removed;
}

async function removeRevision(
  { client, steps }: UninstallDeps,
  { inventory, revision }: UninstallPlan,
  removed: string[],
): Promise<void> {
  const its = inventory.installed.filter(
    ({ metadata }) =>
      metadata.labels?.[LABEL.revision] === revision && metadata.labels[LABEL.component] !== 'node',
  );
  const leases = inventory.own.filter(
    ({ metadata }) => metadata.name === `tulle-control-${revision}`,
  );
  removed.push(...(await removeAll(client, [...its, ...leases])));
  steps.say(`control plane of revision ${revision} removed`);
}

interface Run {
  readonly removed: string[];
  readonly deadline: number;
}

async function removeEverything(deps: UninstallDeps, plan: UninstallPlan, run: Run): Promise<void> {
  const { client, steps } = deps;
  const { installed, proxies, own, definitions, captured } = plan.inventory;
  const of = (...kinds: string[]) => installed.filter(({ kind }) => kinds.includes(kind));
  const { removed } = run;
  removed.push(...(await removeAll(client, of('ValidatingWebhookConfiguration'))));
  const nodes = of('DaemonSet');
  if (nodes.length > 0) {
    steps.say(`${captured.length} pods go back to plain traffic`);
    removed.push(...(await removeAndWait(deps, nodes, run.deadline)));
    steps.say('node proxies and CNI plugin removed');
  }
  // Nobody may be left who would make again what is removed next.
  removed.push(...(await removeAndWait(deps, of('Deployment'), run.deadline)));
  removed.push(...(await removeAll(client, proxies)));
  if (proxies.length > 0) steps.say(`${proxies.length} objects of waypoints and gateways removed`);
  const rest = installed.filter(
    ({ kind, metadata }) =>
      kind !== 'Namespace' && !removed.includes(nameOf({ apiVersion: '', kind, metadata })),
  );
  removed.push(...(await removeAll(client, [...own, ...rest])));
  steps.say('control plane and its configuration removed');
  if (plan.purge) {
    const going = new Set(definitions.map(({ metadata }) => metadata.name));
    const { cleared, left } = await clearStatuses(client, ({ resource, group }) =>
      going.has(`${resource}.${group}`),
    );
    steps.say(`${cleared} statuses of objects that stay cleared of what Tulle wrote`);
    for (const each of left) steps.say(`status left: ${each}`);
    removed.push(...(await removeAll(client, definitions)));
    // A definition ends after its objects: a new installation must not meet it.
    await inBatches(definitions, async (definition) => {
      while ((await find(client, definition)) !== undefined && deps.clock.now() < run.deadline) {
        await sleep(deps.clock, READY_POLL_MS);
      }
    });
    steps.say(`${definitions.length} definitions removed, and every object of their kinds`);
  }
}

/** Until it is gone: a new installation could not be made in one that ends. */
async function removeNamespace(
  deps: UninstallDeps,
  { namespace, ownNamespace, purge }: UninstallPlan,
  { removed, deadline }: Run,
): Promise<void> {
  if (!ownNamespace) return;
  const { client, steps } = deps;
  const others = await othersIn(client, namespace);
  if (others.length > 0 && !purge) {
    const shown = others.slice(0, 3).join(', ');
    steps.say(
      `namespace ${namespace} stays: ${shown}${others.length > 3 ? ' and more' : ''} in it`,
    );
    return;
  }
  const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  removed.push(...(await removeAndWait(deps, [object], deadline)));
  steps.say(`namespace ${namespace} removed`);
}

/** Names of those that were there. */
async function removeAll(client: KubeClient, objects: readonly KubeObject[]): Promise<string[]> {
  const done = await inBatches(objects, async (object) =>
    (await remove(client, object, 'Background')) ? [nameOf(object)] : [],
  );
  return done.flat();
}

async function remove(
  client: KubeClient,
  object: KubeObject,
  propagation: 'Background' | 'Foreground',
): Promise<boolean> {
  try {
    await client.delete(refOf(object), object.metadata, { propagation });
    return true;
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return false;
    throw error;
  }
}

type Workload = KubeObject & { spec?: { selector?: { matchLabels?: Record<string, string> } } };

/** With their pods: node proxies see that their DaemonSet goes, and let go of every pod before they end. */
async function removeAndWait(
  deps: UninstallDeps,
  objects: readonly KubeObject[],
  deadline: number,
): Promise<string[]> {
  const { client, clock, steps } = deps;
  for (const object of objects) await remove(client, object, 'Foreground');
  for (const object of objects as Workload[]) {
    const matchLabels = object.spec?.selector?.matchLabels;
    let said = '';
    for (;;) {
      if ((await find(client, object)) === undefined) break;
      const pods =
        matchLabels && (await podsOf(client, object.metadata.namespace ?? '', matchLabels));
      const text = `${nameOf(object)}: ${pods === undefined ? 'ending' : `${pods.length} pods left`}`;
      if (text !== said) steps.say(text);
      said = text;
      if (clock.now() > deadline) {
        const names = (pods ?? []).map(
          ({ metadata, spec }) => `${metadata.name} on ${spec.nodeName}`,
        );
        throw refusal('INSTALL_PODS_LEFT', `${text}:\n  ${names.join('\n  ')}`);
      }
      await sleep(clock, READY_POLL_MS);
    }
  }
  return objects.map(nameOf);
}

function refusal(code: keyof typeof INSTALL_ERRORS, message: string): MeshError {
  return new MeshError(code, message, { side: 'config', hint: INSTALL_ERRORS[code] });
}
