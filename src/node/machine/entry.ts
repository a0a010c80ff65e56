/**
 * The WorkloadEntry of a machine, made of its WorkloadGroup and of what was said on the command line, which wins. As istiod registers
 * machines (pilot/pkg/autoregistration/controller.go). Pure.
 */
import { MeshError } from '#base/errors.ts';
import type {
  ProbeSpec,
  WorkloadEntrySpec,
  WorkloadGroupSpec,
} from '#config/compile/service-entry-kinds.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { MACHINE_ERRORS } from './errors.ts';

export type WorkloadGroup = KubeObject & { spec?: WorkloadGroupSpec };

export type WorkloadEntry = KubeObject & {
  spec?: WorkloadEntrySpec;
  status?: { conditions?: { type: string; status: string }[] };
};

/** What was said about the machine. */
export interface MachineWords {
  readonly namespace: string;
  readonly name: string;
  readonly address: string;
  readonly serviceAccount?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: Readonly<Record<string, number>>;
  readonly network?: string;
  readonly locality?: string;
  readonly clusterId: string;
  /** Tells machines of one name apart. */
  readonly machineId: string;
}

/** What is learned on the way. */
export interface MachineState {
  /** Everything is in place: peers may come by HBONE. */
  readonly captured: boolean;
  readonly trustDomain?: string;
}

export const ANNOTATIONS = {
  redirection: 'ambient.istio.io/redirection',
  /** Without a condition Healthy the entry counts as unhealthy: nobody calls a machine that is not there yet. */
  healthChecks: 'proxy.istio.io/health-checks-enabled',
  group: 'istio.io/autoRegistrationGroup',
  machine: 'tulle.dev/machine',
  trustDomain: 'tulle.dev/trust-domain',
} as const;
const CLUSTER_LABEL = 'topology.istio.io/cluster';
const NETWORK_LABEL = 'topology.istio.io/network';

/** Throws when nobody says which account the machine runs as: the mesh must know for whom it speaks. */
export function entrySpec(words: MachineWords, group: WorkloadGroup | undefined) {
  const template = group?.spec?.template ?? {};
  const serviceAccount = words.serviceAccount ?? template.serviceAccount;
  if (serviceAccount === undefined || serviceAccount === '') {
    const says = group === undefined ? 'there is no --group' : `${group.metadata.name} names none`;
    throw new MeshError('JOIN_OPTIONS', `no service account: ${says}, and no --service-account`, {
      side: 'config',
      hint: MACHINE_ERRORS.JOIN_OPTIONS,
    });
  }
  const network = words.network ?? template.network;
  const locality = words.locality ?? template.locality;
  return {
    address: words.address,
    ports: { ...template.ports, ...words.ports },
    labels: {
      ...group?.spec?.metadata?.labels,
      ...template.labels,
      ...words.labels,
      [CLUSTER_LABEL]: words.clusterId,
      ...(network && { [NETWORK_LABEL]: network }),
    },
    serviceAccount,
    ...(network && { network }),
    ...(locality && { locality }),
    ...(template.weight && { weight: template.weight }),
  } satisfies WorkloadEntrySpec;
}

export function entryObject(
  words: MachineWords,
  group: WorkloadGroup | undefined,
  { captured, trustDomain }: MachineState,
): WorkloadEntry {
  const spec = entrySpec(words, group);
  const annotations = {
    ...group?.spec?.metadata?.annotations,
    ...(group && { [ANNOTATIONS.group]: group.metadata.name }),
    [ANNOTATIONS.healthChecks]: 'true',
    [ANNOTATIONS.machine]: words.machineId,
    ...(trustDomain && { [ANNOTATIONS.trustDomain]: trustDomain }),
    ...(captured && { [ANNOTATIONS.redirection]: 'enabled' }),
  };
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: RESOURCES.workloadEntries.kind,
    metadata: {
      name: words.name,
      namespace: words.namespace,
      labels: spec.labels,
      annotations,
      ...(group?.metadata.uid && { ownerReferences: [ownerOf(group, group.metadata.uid)] }),
    },
    spec,
  };
}

/** Who deletes the group is done with its machines. */
function ownerOf(group: WorkloadGroup, uid: string) {
  const { apiVersion, kind } = group;
  return { apiVersion, kind, name: group.metadata.name, uid, controller: true };
}

/** Why the name cannot be ours; undefined when it can. */
export function nameConflict(found: WorkloadEntry, words: MachineWords): string | undefined {
  const other = found.metadata.annotations?.[ANNOTATIONS.machine];
  const address = found.spec?.address;
  const taken = `WorkloadEntry ${words.namespace}/${words.name}`;
  if (other !== undefined && other !== words.machineId) {
    return `${taken} is that of another machine (${address})`;
  }
  if (other === undefined && address !== words.address) {
    return `${taken} was made by somebody for ${address}, and this machine is ${words.address}`;
  }
  return undefined;
}

/** As discovery names it. */
export function entryUid({ clusterId, namespace, name }: MachineWords): string {
  return `${clusterId}/networking.istio.io/WorkloadEntry/${namespace}/${name}`;
}

export function probeOf(group: WorkloadGroup | undefined): ProbeSpec | undefined {
  return group?.spec?.probe;
}

/** A host name as an object's name (RFC 1123 subdomain). */
export function nameFrom(hostname: string): string {
  return hostname
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
    .slice(0, 253);
}
