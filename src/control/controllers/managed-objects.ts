/**
 * The objects that were made for Gateways, as the API has them: applied where they differ from what is wanted, deleted where they are
 * wanted no more, left alone where somebody else made them. Applied is by server-side apply with a field manager of our own, so that
 * fields of others (replicas of an autoscaler, annotations of a cloud) stay theirs.
 */
import type { Disposer } from '#base/disposer.ts';
import { Scope } from '#base/disposer.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type * as Kinds from '#kube/client/kinds.ts';
import type { KubeObject, ResourceRef } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import type { Informer } from '#kube/informer/informer.ts';
import type { InformerDeps } from '#kube/informer/list-watch.ts';
import { startInformer } from '#kube/informer/list-watch.ts';
import { compileLabelSelector, matchLabels } from '#kube/meta/label-selector.ts';
import { keyOf, LABEL, namespaceOf } from '../derive/mesh.ts';
import { FIELD_MANAGER } from './field-manager.ts';
import type { PodDisruptionBudget, ProxyObjects } from './proxy-objects.ts';
import type { OverlaidObjects } from './proxy-overlay.ts';

type Key = keyof ProxyObjects;

const REFS: Readonly<Record<Key, ResourceRef>> = {
  serviceAccount: RESOURCES.serviceAccounts,
  service: RESOURCES.services,
  deployment: RESOURCES.deployments,
  horizontalPodAutoscaler: RESOURCES.horizontalPodAutoscalers,
  podDisruptionBudget: RESOURCES.podDisruptionBudgets,
};
const KEYS = Object.keys(REFS) as Key[];
/** Made by an autoscaler's and an operator's choice: a cluster without the kind has neither. */
const OPTIONAL: ReadonlySet<Key> = new Set(['horizontalPodAutoscaler', 'podDisruptionBudget']);

export interface ManagedObjects {
  /** Undefined: all of it stands. Else what the API does not take, or whose object is in the way. */
  apply(gateway: KubeObject, wanted: OverlaidObjects): Promise<string | undefined>;
  deployment(key: { namespace: string; name: string }): Kinds.Deployment | undefined;
  service(key: { namespace: string; name: string }): Kinds.Service | undefined;
  /** Whether a budget that somebody else made is for these pods: of two the API knows none to obey. */
  hasOtherBudget(namespace: string, labels: Readonly<Record<string, string>>): boolean;
  whenSynced(): Promise<void>;
  stop: Disposer;
}

/** `onChange`: `namespace/name` of the Gateway whose object changed; `onBudget`: the namespace of a budget of somebody else. */
export function startManagedObjects(
  deps: InformerDeps,
  {
    onChange,
    onBudget,
  }: { onChange: (gateway: string) => void; onBudget: (namespace: string) => void },
): ManagedObjects {
  const scope = new Scope();
  const { client } = deps;
  const log = deps.log.child('gateway');
  /** What was applied last, and what the API made of it. */
  const applied = new Map<string, { wanted: string; found: string }>();
  const unserved = new Set<Key>();

  const informers = Object.fromEntries(
    KEYS.map((key) => {
      // Budgets of others count as well.
      const selection =
        key === 'podDisruptionBudget' ? {} : { labelSelector: LABEL.gatewayManaged };
      const informer = startInformer<KubeObject>(deps, REFS[key], selection, {
        isOptional: OPTIONAL.has(key),
      });
      const tell = (object: KubeObject) => {
        const gateway = gatewayOf(object);
        if (gateway !== undefined) onChange(gateway);
        else if (key === 'podDisruptionBudget') onBudget(namespaceOf(object));
      };
      scope.add(informer.subscribe({ onAdd: tell, onUpdate: tell, onDelete: tell }));
      scope.add(() => informer.stop());
      return [key, informer];
    }),
  ) as Record<Key, Informer<KubeObject>>;

  /** The object as it is; one that we did not make is asked for, as it is in no cache. */
  async function present(key: Key, wanted: KubeObject): Promise<KubeObject | undefined> {
    const { name } = wanted.metadata;
    const namespace = namespaceOf(wanted);
    const known = informers[key].get({ namespace, name });
    if (known !== undefined) return known;
    try {
      return await client.get<KubeObject>(REFS[key], { namespace, name });
    } catch (error) {
      if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  async function applyOne(key: Key, wanted: KubeObject): Promise<string | undefined> {
    const ref = REFS[key];
    const before = await present(key, wanted);
    if (before !== undefined && before.metadata.labels?.[LABEL.gatewayManaged] === undefined)
      return `${ref.kind} ${keyOf(wanted)} exists already and was not made for a Gateway: rename or delete it`;
    const id = `${key}/${keyOf(wanted)}`;
    const text = JSON.stringify(wanted);
    const last = applied.get(id);
    const stands = before !== undefined && last?.found === fingerprint(before);
    if (stands && last.wanted === text) return undefined;
    if (key === 'deployment') await keepReplicas(deps, before, wanted);
    try {
      const after = await client.patch<KubeObject>(
        ref,
        wanted.metadata,
        { type: 'apply', body: wanted },
        { fieldManager: FIELD_MANAGER, force: true },
      );
      applied.set(id, { wanted: text, found: fingerprint(after) });
    } catch (error) {
      applied.delete(id);
      if (isMeshError(error, 'KUBE_INVALID')) return messageOf(error);
      if (!OPTIONAL.has(key) || !isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
      if (!unserved.has(key)) log.info('not made: the API has no such kind', { kind: ref.kind });
      unserved.add(key);
    }
    return undefined;
  }

  async function remove(key: Key, gateway: KubeObject): Promise<void> {
    const { uid } = gateway.metadata;
    const isWanted = (object: KubeObject) =>
      gatewayOf(object) === keyOf(gateway) &&
      object.metadata.ownerReferences?.some((owner) => owner.uid === uid) === true;
    for (const object of informers[key].list(namespaceOf(gateway))) {
      if (!isWanted(object)) continue;
      const { namespace, name } = object.metadata;
      applied.delete(`${key}/${keyOf(object)}`);
      try {
        await client.delete(REFS[key], { namespace, name });
      } catch (error) {
        if (!isMeshError(error, 'KUBE_NOT_FOUND')) throw error;
      }
    }
  }

  return {
    async apply(gateway, wanted) {
      for (const key of KEYS) {
        const object = wanted[key];
        if (object === undefined) {
          if (OPTIONAL.has(key)) await remove(key, gateway);
          continue;
        }
        const fault = await applyOne(key, object);
        if (fault !== undefined) return fault;
      }
      return undefined;
    },
    deployment: (key) => informers.deployment.get(key) as Kinds.Deployment | undefined,
    service: (key) => informers.service.get(key) as Kinds.Service | undefined,
    hasOtherBudget(namespace, labels) {
      const budgets = informers.podDisruptionBudget.list(namespace) as PodDisruptionBudget[];
      return budgets.some(({ metadata, spec }) => {
        if (metadata.labels?.[LABEL.gatewayManaged] !== undefined) return false;
        return (
          spec.selector !== undefined && matchLabels(compileLabelSelector(spec.selector), labels)
        );
      });
    },
    async whenSynced() {
      await Promise.all(KEYS.map((key) => informers[key].whenSynced()));
    },
    stop: () => scope.dispose(),
  };
}

function gatewayOf(object: KubeObject): string | undefined {
  const { [LABEL.gatewayManaged]: managed, [LABEL.gatewayName]: name } =
    object.metadata.labels ?? {};
  return managed === undefined || name === undefined ? undefined : `${namespaceOf(object)}/${name}`;
}

/** All of it but its status and what the server counts: what a drift would be in. */
function fingerprint(object: KubeObject): string {
  const {
    status: _status,
    apiVersion: _version,
    kind: _kind,
    metadata,
    ...rest
  } = object as KubeObject & { status?: unknown };
  const { labels, annotations, ownerReferences } = metadata;
  return String(Bun.hash(JSON.stringify([rest, labels, annotations, ownerReferences])));
}

/**
 * Server-side apply removes what its manager named before and names no more: a Deployment whose number of pods we gave up would fall
 * to one. Whoever takes over finds the number that was there: another manager is made its owner first.
 */
async function keepReplicas(
  { client }: InformerDeps,
  before: KubeObject | undefined,
  wanted: KubeObject,
): Promise<void> {
  const replicas = (before as Kinds.Deployment | undefined)?.spec.replicas;
  const gives = (wanted as Kinds.Deployment).spec.replicas !== undefined;
  if (before === undefined || replicas === undefined || gives || !ownsReplicas(before)) return;
  await client.patch(
    RESOURCES.deployments,
    wanted.metadata,
    {
      type: 'apply',
      body: {
        apiVersion: wanted.apiVersion,
        kind: wanted.kind,
        metadata: { name: wanted.metadata.name, namespace: namespaceOf(wanted) },
        spec: { replicas },
      },
    },
    { fieldManager: `${FIELD_MANAGER}-replicas`, force: true },
  );
}

function ownsReplicas(deployment: KubeObject): boolean {
  const { managedFields = [] } = deployment.metadata as KubeObject['metadata'] & {
    managedFields?: { manager?: string; fieldsV1?: { 'f:spec'?: Record<string, unknown> } }[];
  };
  return managedFields.some(
    ({ manager, fieldsV1 }) =>
      manager === FIELD_MANAGER && fieldsV1?.['f:spec']?.['f:replicas'] !== undefined,
  );
}
