/** A request that enters at a gateway: its listeners, servers and virtual hosts, then on to the mesh. */
import { compileIstioGateways } from '#config/compile/istio-gateway.ts';
import { mergeGatewayConfigs } from '#config/compile/merge-gateway-configs.ts';
import { type Judging, judgingBy, policiesAtGateway } from '#control/ingest/policy-graph.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import { matchL4 } from '#model/route/l4-routes.ts';
import type { PolicyDenial } from '#model/route/route-table.ts';
import type { CompiledGateways, CompiledListener, Place } from '#waypoint/config/gateway.ts';
import { compileGateways } from '#waypoint/config/gateway.ts';
import { answerWithHttps } from '#waypoint/phases/answer.ts';
import { findAtGateway } from '#waypoint/phases/find-route.ts';
import type { Asked } from './ambient.ts';
import { assumedAddress } from './assumed-objects.ts';
import { clientView } from './client-view.ts';
import type { WhyAnswer } from './contract.ts';
import type { Draft } from './draft.ts';
import { type Caller, forwardRequest, forwardTo, type Leg, nodeAdmission } from './forward.ts';
import { type GatewayProxy, gatewayProxy, targetPortsOf } from './gateway-proxy.ts';
import { BAD_PATH, headOf, nameOf, normalizedHead, provenanceOf, routeEntry } from './http.ts';
import { authenticationBy, httpFacts, judgeBy, policiesOf, withClaims } from './http-policies.ts';
import { tellLimits } from './limits.ts';
import { NOW, type World } from './world.ts';

export function answerAtGateway(asked: Asked): WhyAnswer {
  const { world, request, draft } = asked;
  const key = request.gateway ?? '';
  const proxy = gatewayProxy(world, key);
  const { config, isKnown } = configOf(world, key, proxy);
  if (!isKnown)
    draft.step(`assumed: gateway ${key} runs with the labels ${JSON.stringify(proxy.labels)}`);
  const compiled = compileGateways([config]);
  for (const problem of compiled.problems) draft.step(`gateway ${key}: ${problem}`);
  const { port } = request.destination;
  const listener = listenerAt(world, compiled, proxy, port);
  draft.client = 'plaintext';
  if (listener === undefined && holdsNoGateway(world)) return atAssumed(asked, proxy);
  if (listener === undefined)
    return draft.end('reset', `gateway ${key} does not listen on port ${port}`);
  draft.step(`gateway ${key} takes the connection to port ${port}`);
  if (listener.plain !== undefined) return atPlace(asked, proxy, compiled, listener.plain);
  return atTls(asked, proxy, compiled, listener);
}

function holdsNoGateway({ files, mesh, istioGateways }: World): boolean {
  return files !== undefined && istioGateways.length === 0 && mesh.sources.gateways.size === 0;
}

/** Files with policies alone: what they let in goes where its host says. */
function atAssumed(asked: Asked, proxy: GatewayProxy): WhyAnswer {
  const { request, draft, world } = asked;
  const { host, port } = request.destination;
  draft.step(
    `assumed: gateway ${request.gateway} serves ${host} on port ${port}: no file holds a Gateway`,
  );
  const isBytes = request.protocol === 'tcp' || request.protocol === 'tls';
  const head = isBytes ? undefined : normalizedHead(world, headOf(request, host, 'http'));
  const refused = judgedAt(asked, proxy, { head, sni: request.sni, port });
  if (refused !== undefined) return refused;
  const destinations = [{ host, port, weight: 100, endpoints: [] }];
  return draft.end('forward', `${host} port ${port}`, { destinations });
}

function configOf(
  world: World,
  key: string,
  proxy: GatewayProxy,
): { config: GatewayConfig; isKnown: boolean } {
  const own = world.mesh.gatewayConfigs.get(key)?.config;
  const view = clientView(world, proxy);
  const [retries] = [...world.mesh.parts.routes.defaultRetries.entries()];
  const { config: istio } = compileIstioGateways({
    proxy,
    gateways: world.istioGateways,
    virtualServices: [...world.mesh.parts.routes.virtualServices.entries()].map(([, each]) => each),
    resolve: view.resolve,
    subsets: view.subsets,
    ...(retries && { defaultRetries: retries[1] }),
    targetPorts: targetPortsOf(world, proxy),
  });
  if (own === undefined) return { config: istio, isKnown: proxy.isKnown };
  return { config: mergeGatewayConfigs(own, istio).config, isKnown: true };
}

/** By the port that is bound, else by the port of a Service in front that leads there. */
function listenerAt(
  world: World,
  { listeners }: CompiledGateways,
  proxy: GatewayProxy,
  port: number,
): CompiledListener | undefined {
  const bound = listeners.find((each) => each.port === port);
  if (bound !== undefined) return bound;
  const targets = targetPortsOf(world, proxy)(port, undefined);
  return listeners.find((each) => targets.includes(each.port));
}

function atTls(
  asked: Asked,
  proxy: GatewayProxy,
  compiled: CompiledGateways,
  listener: CompiledListener,
): WhyAnswer {
  const { request, draft } = asked;
  const { protocol, destination } = request;
  if (protocol === 'http' || protocol === 'http2' || protocol === 'tcp' || protocol === 'grpc')
    return draft.end(
      'reset',
      `port ${destination.port} speaks TLS, and the connection is plaintext`,
    );
  const head = headOf(request, destination.host, 'https');
  const sni = request.sni ?? head.authority.replace(/:\d+$/, '');
  const server = listener.bySni?.find(sni);
  if (server === undefined)
    return draft.end('reset', `no server of port ${listener.port} is for server name ${sni}`);
  const { provenance, name } = server.server;
  const what = server.tls === undefined ? 'passes TLS through' : 'ends TLS';
  draft.step(`server ${name} of ${nameOf(provenance)} takes server name ${sni} and ${what}`);
  draft.client = 'simple';
  const isHttp = server.server.protocol === 'https' || server.server.protocol === 'http';
  return atPlace(asked, proxy, compiled, {
    place: server.place,
    protocol: isHttp ? 'http' : 'tcp',
    sni,
    isTls: true,
  });
}

function atPlace(
  asked: Asked,
  proxy: GatewayProxy,
  compiled: CompiledGateways,
  at: { place: Place; protocol: 'http' | 'tcp'; sni?: string; isTls?: boolean },
): WhyAnswer {
  const { request, draft, source } = asked;
  const { place, protocol, sni } = at;
  if (place.denied !== undefined) return deniedBy(draft, place.denied, protocol === 'http');
  const leg = legOf(asked, proxy, protocol === 'http');
  const plain =
    protocol === 'http'
      ? headOf(request, request.destination.host, at.isTls ? 'https' : 'http')
      : undefined;
  const normalized = plain && normalizedHead(asked.world, plain);
  if (plain !== undefined && normalized === undefined)
    return draft.end('respond', BAD_PATH, { status: 400 });
  const refused = judgedAt(asked, proxy, { head: normalized, sni, port: place.port });
  if (refused !== undefined) return refused;
  if (normalized === undefined) {
    const found = matchL4(place.l4, { sni, source: source.ip });
    if (found === undefined)
      return draft.end('reset', `no route of port ${place.port} takes the connection`);
    const { provenance, name } = found.route.route;
    draft.step(
      `rule ${name} of ${nameOf(provenance)} takes the connection, because ${found.reason}`,
    );
    tellWaypoints(asked, proxy, found.route.destinations);
    return forwardTo(leg, found.route, {
      route: { ...provenanceOf(provenance), reason: found.reason },
    });
  }
  const head = normalized;
  const found = findAtGateway({ gateways: compiled }, { place: place.key }, head);
  if (found.entry === undefined) {
    if (found.fault === 'https-redirect') {
      const answer = answerWithHttps(head).head;
      const redirect = { status: answer.status, location: answer.get('location') ?? '' };
      return draft.end('redirect', found.reason, { status: answer.status, redirect });
    }
    if (found.fault === 'misdirected') return draft.end('respond', found.reason, { status: 421 });
    return draft.end('no-route', found.reason, { status: 404 });
  }
  tellLimits(draft, `gateway ${request.gateway}`, found.limits);
  const routed = routeEntry(draft, found.entry, { head, at: `gateway ${request.gateway}` });
  if (routed.answer !== undefined) return routed.answer;
  tellWaypoints(asked, proxy, routed.entry.route.destinations);
  return forwardRequest({ ...leg, sentPath: request.path }, routed.entry, head, routed.parts);
}

/** A gateway hands what is for a service with a waypoint to that: what is told of endpoints here is not the last word. */
function tellWaypoints(
  { world, request, draft }: Asked,
  { namespace, serviceAccount }: GatewayProxy,
  destinations: readonly {
    readonly destination: { upstream: string; host: string; port: number };
  }[],
): void {
  if (request.mode === 'sidecar') return;
  const told = new Map(destinations.map(({ destination }) => [destination.upstream, destination]));
  for (const [upstream, { host, port }] of told) {
    const waypoint = world.mesh.upstreams.get(upstream)?.waypoint;
    if (waypoint === undefined) continue;
    const next = `tulle why --from ${namespace}/${serviceAccount} --to ${host}:${port}`;
    draft.step(
      `${host} is reached through waypoint ${waypoint.key}, whose routes and policies decide after the gateway's: ${next}`,
    );
  }
}

/** Policies of the gateway's proxies; undefined: they let the request through. */
function judgedAt(
  asked: Asked,
  proxy: GatewayProxy,
  at: { head: MessageHead | undefined; sni: string | undefined; port: number },
): WhyAnswer | undefined {
  const { world, request, draft, source } = asked;
  const { head, sni, port } = at;
  const { denied, policies: own } = judgingAt(asked, proxy);
  if (denied !== undefined) return deniedBy(draft, denied, head !== undefined);
  if (own === undefined) return undefined;
  const authentication = head && authenticationBy(own, head);
  if (head !== undefined && authentication !== undefined) withClaims(head, authentication);
  const facts = {
    principal: request.source?.mtls === false ? undefined : source.principal,
    sourceIp: source.ip,
    remoteIp: remoteIpOf(world, head, source.ip),
    destinationIp: proxy.address ?? '',
    destinationPort: port,
    ...(sni !== undefined && { sni }),
    ...(head && { http: httpFacts(head) }),
  };
  const judgement = judgeBy(own, facts, authentication ?? { kind: 'none' });
  const { allow, reason, status, policies } = judgement;
  draft.addPolicies(policies);
  if (policies.length > 0)
    draft.step(`gateway ${request.gateway} ${allow ? 'lets it in' : 'refuses it'}: ${reason}`);
  if (allow) return undefined;
  return draft.end('deny', reason, head === undefined ? {} : { status });
}

/** In sidecar mode as Istio's gateways are told, which ask providers and fetch keys. */
function judgingAt({ world, request }: Asked, proxy: GatewayProxy): Judging {
  if (request.mode === 'sidecar') return { policies: policiesOf(world, proxy) };
  const { rootNamespace } = world.settings;
  const bound = policiesAtGateway(proxy, world.mesh.parts.policies, rootNamespace, NOW);
  return judgingBy(bound, 'gateway', world.trustDomains);
}

function deniedBy(draft: Draft, { policy, reason }: PolicyDenial, isHttp: boolean): WhyAnswer {
  const [kind, key] = policy.split(' ');
  const [namespace, name] = key.split('/');
  draft.addPolicies([{ kind, namespace, name, action: 'DENY', matched: true, reason }]);
  return draft.end('deny', reason, isHttp ? { status: 403 } : {});
}

/** Of the proxies in front as many are believed as the mesh says (gatewayTopology.numTrustedProxies). */
function remoteIpOf(
  { trustedProxies }: World,
  head: MessageHead | undefined,
  sourceIp: string,
): string {
  const hops = head?.getAll('x-forwarded-for')?.split(',') ?? [];
  return hops.at(-trustedProxies)?.trim() && trustedProxies > 0
    ? (hops.at(-trustedProxies)?.trim() ?? sourceIp)
    : sourceIp;
}

function legOf(asked: Asked, proxy: GatewayProxy, isHttp: boolean): Leg {
  const { world, draft, request } = asked;
  const { namespace, name, serviceAccount } = proxy;
  const principal = formatPrincipal({
    trustDomain: world.settings.trustDomain,
    namespace,
    serviceAccount,
  });
  const transport = request.mode === 'sidecar' ? 'istio-mtls' : 'hbone';
  draft.client = transport;
  const caller: Caller = {
    ip: proxy.address ?? assumedAddress(),
    principal,
    transport,
    name: `gateway ${namespace}/${name}`,
  };
  const upstream = clientView(world, proxy).upstream;
  return { world, draft, caller, upstream, isHttp, admit: nodeAdmission(world, draft, caller) };
}
