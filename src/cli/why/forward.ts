/** The way from a route to endpoints: destinations with their shares, changes to the request, policy where they arrive. */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { RouteEntry, WeightedDestinations } from '#model/route/compile.ts';
import type { Endpoint, Upstream } from '#model/route/route-table.ts';
import { redirectLocation } from '#model/route/transform.ts';
import type { WhyAnswer, WhyDestination } from './contract.ts';
import type { Place } from './destinations.ts';
import { placeOf, shownEndpoints } from './destinations.ts';
import type { Draft, Parts } from './draft.ts';
import { changesOf, mirrorsOf } from './http.ts';
import { accessAt, serverMode } from './policies.ts';
import type { World } from './world.ts';

/** Who knocks at the endpoint: the last proxy before it. */
export interface Caller {
  readonly ip: string;
  readonly principal: Principal | undefined;
  /** How its connections to endpoints of the mesh are protected. */
  readonly transport: 'hbone' | 'istio-mtls' | 'plaintext';
  /** `waypoint shop/waypoint`. */
  readonly name: string;
}

export interface Leg {
  readonly world: World;
  readonly draft: Draft;
  readonly caller: Caller;
  /** `HTTP`: a failing destination is answered; else the connection is reset. */
  readonly isHttp: boolean;
  /** `namespace/name`: the one endpoint that is asked about, where a destination has it. */
  readonly only?: string;
  /** How destinations look to the proxy that picks; undefined: as to every waypoint. */
  readonly upstream?: (key: string) => Upstream | undefined;
  /** The path as the client wrote it, where normalizing changed it. */
  readonly sentPath?: string;
  /** Told the request as it will arrive at the endpoint. */
  readonly onHead?: (head: MessageHead) => void;
  /** Policy at the endpoint; undefined: it lets everything in. */
  readonly admit: (endpoint: Endpoint, port: number) => Admission;
}

export function forwardRequest(
  leg: Leg,
  entry: RouteEntry,
  head: MessageHead,
  parts: Parts,
): WhyAnswer {
  const { route } = entry.route;
  const own = entry.route.destinations;
  const only = own.length === 1 ? own[0].destination : undefined;
  if (only?.redirect !== undefined) {
    const { redirect } = only;
    const location = redirectLocation(redirect, head, entry.pathMatch);
    return leg.draft.end('redirect', `a filter of the backend redirects to ${location}`, {
      ...parts,
      status: redirect.status,
      redirect: { status: redirect.status, location },
    });
  }
  const changes = own.length === 0 ? {} : changesOf(entry, head, 0);
  const arriving = head.clone();
  arriving.path = changes.request?.path ?? head.path;
  arriving.authority = changes.request?.host ?? head.authority;
  for (const [name, value] of Object.entries(changes.request?.set ?? {}))
    arriving.set(name.toLowerCase(), value);
  leg.onHead?.(arriving);
  // Normalizing changes the path, too.
  const path = head.path === (leg.sentPath ?? head.path) ? {} : { path: head.path };
  const request = { ...path, ...changes.request };
  const response = {
    ...changes.response,
    ...mergedSet(changes.response?.set, parts.response?.set),
  };
  const mirrors = [
    ...(route.mirrors ?? []),
    ...own.flatMap(({ destination }) => destination.mirrors ?? []),
  ];
  return forwardTo(leg, entry.route, {
    ...parts,
    ...(Object.keys(request).length > 0 && { request }),
    ...(Object.keys(response).length > 0 && { response }),
    ...mirrorsOf(mirrors),
  });
}

function mergedSet(
  left: Readonly<Record<string, string>> | undefined,
  right: Readonly<Record<string, string>> | undefined,
): { set?: Readonly<Record<string, string>> } {
  const set = { ...left, ...right };
  return Object.keys(set).length === 0 ? {} : { set };
}

export function forwardTo(leg: Leg, weighted: WeightedDestinations, parts: Parts): WhyAnswer {
  const { world, draft, isHttp } = leg;
  if (weighted.destinations.length === 0)
    return draft.end(isHttp ? 'respond' : 'reset', 'the weights of the route sum to 0', {
      ...parts,
      ...(isHttp && { status: 503 }),
    });
  const places = weighted.destinations.map(({ destination, weightEnd }, at) => {
    const before = at === 0 ? 0 : weighted.destinations[at - 1].weightEnd;
    const weight = ((weightEnd - before) / weighted.weightTotal) * 100;
    return {
      destination,
      weight,
      place: narrowed(placeOf(world, destination, leg.upstream?.(destination.upstream)), leg.only),
    };
  });
  const destinations = places.map(({ destination, weight, place }): WhyDestination => {
    const { host, port, subset } = destination;
    return {
      host,
      port,
      ...(subset !== undefined && { subset }),
      weight,
      endpoints: shownEndpoints(world, place.endpoints, port),
    };
  });
  for (const { destination, weight, place } of places) tell(leg, destination, weight, place);
  const admitted = places.map(({ destination, place }) => admit(leg, destination.port, place));
  const usable = places.filter(({ place }) => place.problem === undefined);
  if (usable.length === 0) {
    const { status, reason } = places[0].place.problem ?? { status: 503, reason: '' };
    const verdict = status === 403 ? 'deny' : isHttp ? 'respond' : 'reset';
    return draft.end(verdict, reason, { ...parts, ...(isHttp && { status }), destinations: [] });
  }
  const denied = admitted.find(({ allow }) => !allow);
  if (denied !== undefined && admitted.every(({ allow }) => !allow))
    return draft.end(denied.reset ? 'reset' : 'deny', denied.reason, {
      ...parts,
      ...(denied.status && { status: denied.status }),
      destinations,
    });
  const names = destinations.map(({ host, subset, port, weight }) => {
    const share = destinations.length === 1 ? '' : `${Math.round(weight * 100) / 100} % to `;
    return `${share}${host}${subset === undefined ? '' : ` subset ${subset}`} port ${port}`;
  });
  return draft.end('forward', names.join(', '), { ...parts, destinations });
}

function narrowed(place: Place, only: string | undefined): Place {
  const endpoints = place.endpoints.filter(
    ({ uid, name }) => `${uid.split('/').at(-2)}/${name}` === only,
  );
  return endpoints.length === 0 ? place : { ...place, endpoints };
}

function tell(
  { draft, world, caller }: Leg,
  destination: { host: string; port: number; subset?: string },
  weight: number,
  place: Place,
): void {
  const { host, port, subset } = destination;
  const what = `${host}${subset === undefined ? '' : ` subset ${subset}`} port ${port}`;
  const share = weight === 100 ? '' : ` (${Math.round(weight * 100) / 100} %)`;
  if (place.problem !== undefined) {
    draft.step(`${what}${share}: ${place.problem.reason}`);
    return;
  }
  const shown = shownEndpoints(world, place.endpoints, port);
  const listed = shown
    .slice(0, 5)
    .map(
      ({ workload, address, port: target }) =>
        `${workload}${address === '' ? '' : ` at ${address}:${target}`}`,
    );
  const more = shown.length > 5 ? ` and ${shown.length - 5} more` : '';
  const note = listed.length === 0 ? 'its endpoints' : `one of ${listed.join(', ')}${more}`;
  draft.step(`${caller.name} picks ${note} for ${what}${share}`);
  const [key] = place.endpoints.map(({ uid }) => uid.split('//Pod/')[1]);
  const assumed = key === undefined ? undefined : world.files?.notes.get(`Pod ${key}`);
  if (assumed !== undefined) draft.step(`assumed: ${assumed}`);
}

export interface Admission {
  readonly allow: boolean;
  readonly reason: string;
  readonly status?: number;
  /** Refused by the transport, before any policy. */
  readonly reset?: boolean;
}

/** True when any endpoint lets the caller in. */
function admit(
  { world, draft, caller, admit: decide }: Leg,
  port: number,
  place: Place,
): Admission {
  if (place.problem !== undefined || place.endpoints.length === 0)
    return { allow: true, reason: '' };
  let refused: Admission | undefined;
  for (const endpoint of place.endpoints) {
    const workload = world.mesh.workloads.get(endpoint.uid);
    const target = endpoint.ports[port] ?? port;
    if (workload !== undefined) {
      const { namespace } = workload.workload;
      draft.server = serverMode(world, { namespace, labels: workload.labels }, target);
    }
    if (endpoint.protocol !== 'hbone' && caller.transport === 'hbone') draft.client = 'plaintext';
    const verdict = decide(endpoint, target);
    if (verdict.allow) return { allow: true, reason: verdict.reason };
    refused = verdict;
  }
  return refused ?? { allow: true, reason: '' };
}

/** The node proxy of the endpoint judges by L4 policy. */
export function nodeAdmission(world: World, draft: Draft, caller: Caller): Leg['admit'] {
  return (endpoint, port) => {
    const local = world.mesh.workloads.get(endpoint.uid)?.workload;
    if (local === undefined) return { allow: true, reason: 'nobody judges there' };
    if (local.protocol !== 'hbone')
      return { allow: true, reason: `${local.name} is not captured: no proxy judges there` };
    const isTunnel = caller.transport === 'hbone';
    const { allow, reason, policies } = accessAt(world, {
      local,
      sourceIp: caller.ip,
      principal: isTunnel ? caller.principal : undefined,
      address: endpoint.address,
      port,
    });
    draft.addPolicies(policies);
    const place = `${local.namespace}/${local.name}`;
    draft.step(`the node proxy of ${place} ${allow ? 'lets it in' : 'refuses it'}: ${reason}`);
    return { allow, reason };
  };
}
