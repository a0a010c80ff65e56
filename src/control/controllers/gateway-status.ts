/**
 * The parts of a Gateway's status that follow from what was made of it: its addresses and whether it is programmed; of a waypoint all of
 * it. Whether listeners of gateways are accepted, and what is attached to them, others write (route-status.ts). Pure.
 */
import type * as Kinds from '#kube/client/kinds.ts';
import { namespaceOf } from '../derive/mesh.ts';
import { HBONE_PORT } from '../derive/waypoint.ts';
import {
  fixedAddresses,
  type GatewayObject,
  gatewayServiceKey,
  isManaged,
} from './gateway-objects.ts';

export type GatewayStatus = NonNullable<Kinds.Gateway['status']>;
type Address = NonNullable<GatewayStatus['addresses']>[number];

export interface StatusInput {
  readonly service: Kinds.Service | undefined;
  readonly deployment: Kinds.Deployment | undefined;
  /** Why nothing can be made of it: what is wrong and what to do. */
  readonly fault: string | undefined;
  readonly domain: string;
  readonly now: string;
}

interface Programmed {
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
}

export function gatewayStatus(gateway: GatewayObject, from: StatusInput): GatewayStatus {
  const addresses = addressesOf(gateway, from.service, from.domain);
  return {
    addresses,
    conditions: withConditions(gateway, from.now, {
      Programmed: programmed(gateway, addresses, from),
    }),
  };
}

function programmed(
  gateway: GatewayObject,
  addresses: readonly Address[],
  { service, deployment, fault, domain }: StatusInput,
): Programmed {
  const { namespace, name } = gatewayServiceKey(gateway, domain);
  const not = (reason: string, message: string): Programmed => ({
    status: 'False',
    reason,
    message,
  });
  if (fault !== undefined) return not('Invalid', fault);
  if (service === undefined) return not('Invalid', `Service ${namespace}/${name} does not exist`);
  const given = new Set(addresses.map(({ value }) => value));
  const missing = fixedAddresses(gateway).filter((each) => !given.has(each));
  if (isManaged(gateway) && missing.length > 0)
    return not('AddressNotUsable', `no load balancer has taken ${missing.join(', ')} for it`);
  if (addresses.length === 0)
    return not(
      'AddressNotAssigned',
      `Service ${name} has no address yet: type LoadBalancer waits for the cluster's load balancer`,
    );
  if (isManaged(gateway) && !isReady(deployment))
    return not('Pending', `Deployment ${name} has no ready pod yet`);
  const served = addresses.map(({ value }) => value).join(', ');
  return {
    status: 'True',
    reason: 'Programmed',
    message: `Resource programmed, served at ${served}`,
  };
}

/** The address appears when a proxy can serve, and stays: traffic must not go around the waypoint while its pod restarts. */
export function waypointStatus(gateway: GatewayObject, from: StatusInput): GatewayStatus {
  const { deployment, fault, service, now } = from;
  const name = service?.metadata.name ?? gateway.metadata.name;
  const hostname = `${name}.${namespaceOf(gateway)}.svc.${from.domain}`;
  const isServed = fault === undefined && isReady(deployment);
  const known = gateway.status?.addresses?.some(({ value }) => value === hostname) === true;
  const ready: Programmed = {
    status: 'True',
    reason: 'Programmed',
    message: `Resource programmed, assigned to service ${hostname}:${HBONE_PORT}`,
  };
  const notReady: Programmed =
    fault === undefined
      ? {
          status: 'False',
          reason: 'Pending',
          message: `Deployment ${name} has no ready pod yet`,
        }
      : { status: 'False', reason: 'Invalid', message: fault };
  return {
    addresses: isServed || known ? [{ type: 'Hostname', value: hostname }] : [],
    conditions: withConditions(gateway, now, {
      Accepted: { status: 'True', reason: 'Accepted', message: 'Resource accepted' },
      Programmed: isServed ? ready : notReady,
    }),
    listeners: (gateway.spec.listeners ?? []).map((listener) =>
      waypointListener(gateway, listener, now),
    ),
  };
}

function waypointListener(
  gateway: GatewayObject,
  { name, protocol }: Kinds.Gateway['spec']['listeners'][number],
  now: string,
): object {
  const known = (gateway.status?.listeners ?? []) as {
    name?: string;
    conditions?: Kinds.Condition[];
  }[];
  const before = known.find((each) => each.name === name)?.conditions ?? [];
  const isHbone = protocol === 'HBONE';
  const message = `a waypoint listens for HBONE, not ${protocol}`;
  const good = (reason: string): Programmed => ({
    status: 'True',
    reason,
    message: 'No errors found',
  });
  const conditions: Record<string, Programmed> = {
    Accepted: isHbone
      ? good('Accepted')
      : { status: 'False', reason: 'UnsupportedProtocol', message },
    Conflicted: { status: 'False', reason: 'NoConflicts', message: 'No errors found' },
    Programmed: isHbone ? good('Programmed') : { status: 'False', reason: 'Invalid', message },
    ResolvedRefs: good('ResolvedRefs'),
  };
  // Routes are attached to the services that it serves, never to itself.
  return {
    name,
    attachedRoutes: 0,
    supportedKinds: [],
    conditions: stamped(conditions, before, { now, generation: gateway.metadata.generation }),
  };
}

/** Those of others stay as they are. */
function withConditions(
  { metadata, status }: GatewayObject,
  now: string,
  ours: Record<string, Programmed>,
): Kinds.Condition[] {
  const before = status?.conditions ?? [];
  return [
    ...before.filter(({ type }) => !Object.hasOwn(ours, type)),
    ...stamped(ours, before, { now, generation: metadata.generation }),
  ];
}

/** A condition keeps its time while its status does. */
function stamped(
  conditions: Record<string, Programmed>,
  before: readonly Kinds.Condition[],
  { now, generation }: { now: string; generation: number | undefined },
): Kinds.Condition[] {
  return Object.entries(conditions).map(([type, { status, reason, message }]) => {
    const previous = before.find((each) => each.type === type && each.status === status);
    return {
      type,
      status,
      reason,
      message,
      lastTransitionTime: previous?.lastTransitionTime ?? now,
      ...(generation !== undefined && { observedGeneration: generation }),
    };
  });
}

function isReady(deployment: Kinds.Deployment | undefined): boolean {
  return (deployment?.status?.readyReplicas ?? 0) > 0;
}

type Ingress = { ip?: string; hostname?: string };

function addressesOf(
  gateway: GatewayObject,
  service: Kinds.Service | undefined,
  domain: string,
): Address[] {
  if (service === undefined) return [];
  const { type, externalIPs = [] } = service.spec as Kinds.Service['spec'] & {
    externalIPs?: string[];
  };
  if (type !== 'LoadBalancer') {
    const { namespace, name } = gatewayServiceKey(gateway, domain);
    const external = externalIPs.map((value) => ({ type: 'IPAddress', value }));
    const own = { type: 'Hostname', value: `${name}.${namespace}.svc.${domain}` };
    return external.length > 0 ? external : [own];
  }
  const { ingress = [] } = (service.status?.loadBalancer ?? {}) as { ingress?: Ingress[] };
  return ingress.flatMap(({ ip, hostname }) => {
    if (ip !== undefined) return [{ type: 'IPAddress', value: ip }];
    return hostname === undefined ? [] : [{ type: 'Hostname', value: hostname }];
  });
}
