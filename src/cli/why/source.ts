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
  /** `default/web at 10.0.0.7`. */
  readonly description: string;
}

export function sourceOf(world: World, request: WhyRequest): Source {
  const { settings, mesh } = world;
  const { source = {} } = request;
  const found =
    (source.workload && workloadNamed(world, source.workload)) ||
    (source.ip === undefined
      ? undefined
      : world.snapshot().workloadAt(settings.network, source.ip));
  const isNamed = source.workload !== undefined && found !== undefined;
  const namespace = (isNamed ? undefined : source.namespace) ?? found?.namespace ?? 'default';
  const serviceAccount =
    (isNamed ? undefined : source.serviceAccount) ?? found?.serviceAccount ?? 'default';
  const trustDomain = source.trustDomain ?? settings.trustDomain;
  const mtls = source.mtls ?? source.serviceAccount !== undefined;
  const ip = source.ip ?? (isNamed ? found.addresses[0] : undefined) ?? assumedAddress();
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
    outside: source.mtls === false,
    description:
      principal === undefined ? `${who}, without a proven identity` : `${who} (${principal})`,
  };
}

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
