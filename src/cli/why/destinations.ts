/** Where destinations lead: the endpoints that the proxy would pick among, or why there are none. */
import { buildUpstream } from '#config/compile/upstream.ts';
import { NO_MATERIAL } from '#model/route/no-material.ts';
import type {
  Endpoint,
  RouteDestination,
  TrafficPolicy,
  Upstream,
} from '#model/route/route-table.ts';
import { groupConfig } from '#upstream/group/upstream-store.ts';
import { isAssumedAddress } from './assumed-objects.ts';
import type { WhyEndpoint } from './contract.ts';
import { formatLocality } from './format.ts';
import type { World } from './world.ts';

export interface Place {
  readonly endpoints: readonly Endpoint[];
  readonly policy: TrafficPolicy | undefined;
  /** Nobody can be reached: what the client is answered, and why. */
  readonly problem: { readonly status: number; readonly reason: string } | undefined;
}

/** `named` lacks a subset for what is no route. */
export function placeOf(
  world: World,
  named: Pick<RouteDestination, 'upstream' | 'host' | 'port' | 'subset' | 'broken'>,
  upstream: Upstream | undefined = upstreamOf(world, named.upstream),
): Place {
  const { host, port, subset, broken } = named;
  const fail = (status: number, reason: string): Place => ({
    endpoints: [],
    policy: undefined,
    problem: { status, reason },
  });
  if (broken !== undefined) return fail(broken.status, broken.reason);
  if (upstream === undefined) return fail(503, `host ${host} is not known to the mesh`);
  if (upstream.denied !== undefined) return fail(403, upstream.denied.reason);
  const config = groupConfig(upstream, { subset, port });
  if (config === undefined)
    return fail(
      503,
      subset === undefined
        ? `${host} has no port ${port}`
        : `subset ${subset} of ${host} is not defined`,
    );
  const { policy } = config;
  if (policy.tls?.material === NO_MATERIAL)
    return { ...fail(503, `TLS to ${host} names no usable certificate authorities`), policy };
  const usable = config.endpoints.filter(
    (endpoint) => endpoint.healthy && endpoint.ports[port] !== undefined,
  );
  const elsewhere =
    (upstream.resolution ?? 'static') !== 'static' || policy.loadBalancer === 'passthrough';
  const unknown =
    world.files !== undefined && upstream.endpoints.every((each) => isInvented(world, each));
  if (usable.length > 0 || elsewhere || unknown)
    return { endpoints: usable, policy, problem: undefined };
  const what = subset === undefined ? host : `subset ${subset} of ${host}`;
  const reason = `no healthy upstream: ${what} has ${config.endpoints.length} endpoints at port ${port}, none usable`;
  return { ...fail(503, reason), policy };
}

/** A pod that stands for those that no file holds. */
export function isInvented(world: World, { uid }: { uid: string }): boolean {
  const [, key] = uid.split('//Pod/');
  return world.files?.notes.get(`Pod ${key}`)?.includes('no file holds') === true;
}

export function upstreamOf(world: World, key: string): Upstream | undefined {
  const known = world.mesh.upstreams.get(key);
  if (known !== undefined) return known;
  const { mesh } = world;
  const service = mesh.services.get(key)?.service;
  const policies = mesh.parts.destinations.policies.get(key);
  if (service === undefined || policies === undefined) return undefined;
  const workloads = [...mesh.workloads.entries()].map(([, each]) => each);
  const members = workloads.filter(({ workload }) => workload.services.has(key));
  const capturedAt = (address: string) =>
    workloads.filter(
      ({ workload }) =>
        workload.protocol === 'hbone' &&
        !workload.hostNetwork &&
        workload.addresses.includes(address),
    );
  return buildUpstream(service, policies, members, { capturedAt });
}

export function shownEndpoints(
  world: World,
  endpoints: readonly Endpoint[],
  port: number,
): WhyEndpoint[] {
  return endpoints
    .filter((endpoint) => !isInvented(world, endpoint))
    .map((endpoint) => {
      const locality = formatLocality(endpoint.locality);
      const namespace = endpoint.uid.split('/').at(-2) ?? '';
      return {
        address: isAssumedAddress(endpoint.address) ? '' : endpoint.address,
        port: endpoint.ports[port] ?? port,
        workload: `${namespace}/${endpoint.name}`,
        ...(locality !== '' && { locality }),
      };
    });
}
