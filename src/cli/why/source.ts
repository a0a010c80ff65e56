/** Who asks: the request's source as a workload of the mesh, found or assumed. */
import type { Principal } from '#model/identity/spiffe.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { assumedAddress, isAssumedAddress, type Labels } from './assumed-objects.ts';
import type { WhyRequest } from './contract.ts';
import type { World } from './world.ts';

export interface Source {
  readonly workload: Workload;
  readonly namespace: string;
  readonly labels: Labels;
  readonly ip: string;
  /** What TLS proves of it; undefined: nothing. */
  readonly principal: Principal | undefined;
  /** Its connections do not pass a proxy of the mesh. */
  readonly outside: boolean;
  /** It was named, and the running mesh has nothing of the name. */
  readonly isUnheardOf: boolean;
  /** `default/web at 10.0.0.7`. */
  readonly description: string;
}

export function sourceOf(world: World, request: WhyRequest): Source {
  const { settings, mesh } = world;
  const { source = {} } = request;
  const meant = meantBy(world, source);
  const found =
    meant.one ??
    (source.ip === undefined
      ? undefined
      : world.snapshot().workloadAt(settings.network, source.ip));
  const isNamed = meant.one !== undefined;
  const namespace = (isNamed ? undefined : source.namespace) ?? found?.namespace ?? 'default';
  const serviceAccount =
    (isNamed ? undefined : source.serviceAccount) ?? found?.serviceAccount ?? 'default';
  const trustDomain = source.trustDomain ?? settings.trustDomain;
  const outside =
    source.mtls === undefined ? isPlain(world, request, meant.all) : source.mtls === false;
  const mtls = source.mtls ?? (source.serviceAccount !== undefined && !outside);
  const ip = source.ip ?? meant.one?.addresses[0] ?? assumedAddress();
  const identity = { trustDomain, namespace, serviceAccount };
  const workload = { ...(found ?? unknownWorkload(world, ip)), ...identity };
  const labels = source.labels ?? (found && mesh.workloads.get(found.uid)?.labels) ?? {};
  const principal = mtls ? formatPrincipal(identity) : undefined;
  const who = `${namespace}/${serviceAccount}${isAssumedAddress(ip) ? '' : ` at ${ip}`}`;
  return {
    workload,
    namespace,
    labels,
    ip,
    principal,
    outside,
    isUnheardOf:
      world.files === undefined && source.workload !== undefined && meant.all.length === 0,
    description:
      principal === undefined ? `${who}, without a proven identity` : `${who} (${principal})`,
  };
}

interface Meant {
  /** Of these the request is one's; `one` is known as more than an account. */
  readonly all: readonly Workload[];
  readonly one: Workload | undefined;
}

/**
 * Who a name from the command line is: a pod, else all that run as a service account, else the pods of a Deployment or its like. A
 * request that names an account alone is about whoever may run as it.
 */
function meantBy(world: World, source: NonNullable<WhyRequest['source']>): Meant {
  const { workload: name, namespace, serviceAccount } = source;
  const pod = name === undefined ? undefined : workloadNamed(world, name);
  if (pod !== undefined) return { all: [pod], one: pod };
  // Files rarely hold all that runs as an account.
  if (name === undefined && world.files !== undefined) return { all: [], one: undefined };
  const inNamespace = [...world.mesh.workloads.entries()]
    .map(([, { workload }]) => workload)
    .filter((workload) => workload.namespace === namespace);
  const all = inNamespace.filter((workload) => workload.serviceAccount === serviceAccount);
  if (all.length > 0 || name === undefined) return { all, one: undefined };
  const ofName = inNamespace.filter((workload) => `${namespace}/${workload.workloadName}` === name);
  return { all: ofName, one: ofName[0] };
}

/** Whoever of them it is, no proxy speaks for it. Sidecars are Istio's; waypoints and gateways speak for themselves. */
function isPlain({ mesh }: World, request: WhyRequest, all: readonly Workload[]): boolean {
  if (request.mode === 'sidecar' || all.length === 0) return false;
  return all.every(
    ({ uid, protocol }) =>
      protocol !== 'hbone' && mesh.workloads.get(uid)?.labels[SIDECAR_LABEL] !== 'istio',
  );
}

/** Istio puts it on pods that have a sidecar. */
const SIDECAR_LABEL = 'security.istio.io/tlsMode';

/** By `namespace/name`. */
export function workloadNamed({ mesh }: World, key: string): Workload | undefined {
  for (const [, { workload }] of mesh.workloads.entries())
    if (`${workload.namespace}/${workload.name}` === key) return workload;
  return undefined;
}

function unknownWorkload({ settings }: World, ip: string): Workload {
  return {
    uid: `${settings.clusterId}//Pod//why`,
    name: 'client',
    namespace: '',
    serviceAccount: '',
    trustDomain: settings.trustDomain,
    addresses: [ip],
    network: settings.network,
    protocol: 'hbone',
    node: '',
    workloadName: 'client',
    workloadType: 'pod',
    canonicalName: 'client',
    canonicalRevision: 'latest',
    clusterId: settings.clusterId,
    locality: { region: '', zone: '', subzone: '' },
    healthy: true,
    hostNetwork: false,
    nativeTunnel: false,
    hostname: '',
    capacity: 1,
    waypoint: undefined,
    services: new Map(),
    authorizationPolicies: [],
  };
}
