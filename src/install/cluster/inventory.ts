/** What of a mesh is on a cluster: what was installed, and what the control plane made since. Only reads. */
import { isMeshError } from '#base/errors.ts';
import { ROOT_SECRET } from '#control/ca/root-secret.ts';
import { FIELD_MANAGER as CONTROL_MANAGER } from '#control/controllers/field-manager.ts';
import { ROOT_CERT_NAME } from '#control/controllers/root-cert.ts';
import { LABEL as MESH_LABEL } from '#control/derive/mesh.ts';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import { CRL_NAME } from '#identity/trust/crl-map.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeClient, KubeObject, ResourceRef, Selection } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { REDIRECTION_ANNOTATION } from '#redirect/plan.ts';
import { isOurs } from '../crds/install-crds.ts';
import { LABEL, PART_OF } from '../manifests/object.ts';
import { inBatches } from './batches.ts';
import { LOCK_NAME } from './lock.ts';
import { type InstalledKind, REFS } from './refs.ts';

export interface Inventory {
  /** Installed, of every revision. */
  readonly installed: readonly KubeObject[];
  /** Made by the control plane for Gateways: waypoints and gateways. */
  readonly proxies: readonly KubeObject[];
  /** Made by the control plane for itself: classes, trust bundles, root, leases. */
  readonly own: readonly KubeObject[];
  readonly definitions: readonly CustomResourceDefinition[];
  readonly captured: readonly Pod[];
}

type Managed = KubeObject['metadata'] & {
  managedFields?: { manager?: string; subresource?: string }[];
};

/** It writes statuses of others' objects as well: that does not make them its own. */
const isControls = ({ metadata }: KubeObject) =>
  (metadata as Managed).managedFields?.some(
    ({ manager, subresource }) => manager === CONTROL_MANAGER && subresource === undefined,
  ) === true;

/** What a Gateway is made into (src/control/controllers): in this order it goes. */
const PROXY_REFS: readonly ResourceRef[] = [
  RESOURCES.horizontalPodAutoscalers,
  RESOURCES.podDisruptionBudgets,
  REFS.Deployment,
  REFS.Service,
  REFS.ServiceAccount,
];

const ALL_KINDS = Object.keys(REFS) as InstalledKind[];

/** `kinds`: of what was installed, only these are looked for. */
export async function takeInventory(
  client: KubeClient,
  namespace: string,
  kinds: readonly InstalledKind[] = ALL_KINDS,
): Promise<Inventory> {
  const installedRefs = kinds
    .filter((kind) => !OTHERWISE_FOUND.includes(kind))
    .map((kind) => REFS[kind]);
  const labelSelector = `${LABEL.partOf}=${PART_OF}`;
  const all = <T extends KubeObject>(ref: ResourceRef, selection: Selection) =>
    listed<T>(client, ref, selection);
  const [installed, proxies, own, definitions, captured] = await Promise.all([
    inBatches(installedRefs, (ref) =>
      all(ref, { labelSelector, ...(ref.namespaced && { namespace }) }),
    ),
    inBatches(PROXY_REFS, (ref) => all(ref, { labelSelector: MESH_LABEL.gatewayManaged })),
    madeByControl(client, namespace),
    kinds.includes('CustomResourceDefinition')
      ? all<CustomResourceDefinition>(REFS.CustomResourceDefinition, {})
      : [],
    all<Pod>(RESOURCES.pods, {}),
  ]);
  return {
    installed: installed.flat(),
    proxies: proxies.flat().filter(isControls),
    own,
    definitions: definitions.filter(isOurs),
    captured: captured.filter(isCaptured),
  };
}

const OTHERWISE_FOUND: readonly string[] = [
  'CustomResourceDefinition',
  'GatewayClass',
  'Lease',
  'Secret',
];

async function madeByControl(client: KubeClient, namespace: string): Promise<KubeObject[]> {
  const named = (name: string) => ({ fieldSelector: `metadata.name=${name}` });
  const [classes, bundles, lists, secrets, leases] = await Promise.all([
    listed(client, REFS.GatewayClass, {}),
    listed(client, REFS.ConfigMap, named(ROOT_CERT_NAME)),
    listed(client, REFS.ConfigMap, named(CRL_NAME)),
    listed(client, REFS.Secret, { namespace, ...named(ROOT_SECRET) }),
    listed(client, REFS.Lease, { namespace }),
  ]);
  return [
    ...classes.filter(isControls),
    ...bundles.filter(isControls),
    ...lists.filter(isControls),
    ...leases.filter(({ metadata }) => /^tulle-control(-|$)/.test(metadata.name)),
    ...secrets,
  ];
}

export function isCaptured({ metadata }: Pod): boolean {
  return metadata.annotations?.[REDIRECTION_ANNOTATION] !== undefined;
}

/** Empty where the cluster does not have the kind. */
async function listed<T extends KubeObject>(
  client: KubeClient,
  ref: ResourceRef,
  selection: Selection,
): Promise<T[]> {
  try {
    return (await client.list<T>(ref, selection)).items;
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return [];
    throw error;
  }
}

/** What somebody else has in the namespace of the mesh, policies of the root namespace above all: it goes with the namespace. */
export async function othersIn(client: KubeClient, namespace: string): Promise<string[]> {
  const refs = Object.values(RESOURCES).filter(
    ({ namespaced, resource }) => namespaced && !UNCOUNTED.includes(resource),
  );
  const found = await inBatches(refs, (ref) => listed(client, ref, { namespace }));
  return found
    .flat()
    .filter(
      ({ metadata }) =>
        metadata.labels?.[LABEL.partOf] !== PART_OF &&
        !KUBERNETES_OWN.includes(metadata.name) &&
        metadata.name !== LOCK_NAME,
    )
    .map(({ kind, metadata }) => `${kind} ${metadata.name}`);
}

/** They come and go by themselves, or belong to what is counted. */
const UNCOUNTED: readonly string[] = ['events', 'endpointslices', 'replicasets', 'pods'];
/** In every namespace. */
const KUBERNETES_OWN: readonly string[] = ['default', 'kube-root-ca.crt'];
