/**
 * As Istio's sidecars would: routes and DestinationRules at the client, selector policies at the destination workload. For comparison and
 * migration; the same compilers and matchers, for another proxy.
 */

import { buildRouteTable } from '#config/compile/route-table.ts';
import { type SidecarScope, sidecarScope } from '#config/compile/sidecar.ts';
import type { RouteProxy } from '#config/compile/source-condition.ts';
import { declaredProtocol } from '#control/derive/app-protocol.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { compileRouteTable } from '#model/route/compile.ts';
import { matchL4 } from '#model/route/l4-routes.ts';
import type { RouteTable, Upstream } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Asked } from './ambient.ts';
import { clientTransport } from './client-tls.ts';
import { clientView } from './client-view.ts';
import type { WhyAnswer } from './contract.ts';
import { type Caller, forwardRequest, forwardTo, type Leg } from './forward.ts';
import { BAD_PATH, headOf, nameOf, normalizedHead, provenanceOf, routeRequest } from './http.ts';
import { isHttp, schemeOf } from './protocol.ts';
import { answerInbound, sidecarAdmission } from './sidecar-inbound.ts';
import type { Target } from './target.ts';
import { serviceNamed } from './target.ts';
import { NOW } from './world.ts';

/** Outbound and inbound capture (Istio: virtualOutbound blackhole). */
const PROXY_PORTS = [15001, 15006];

export function answerSidecar(asked: Asked, target: Target | undefined): WhyAnswer {
  const { world, request, draft, source } = asked;
  const { port, host } = request.destination;
  const scope = sidecarScope({
    client: { namespace: source.namespace, labels: source.labels },
    sidecars: world.sidecars,
    rootNamespace: world.settings.rootNamespace,
    meshOutbound: world.outbound,
  });
  if (PROXY_PORTS.includes(port)) {
    draft.client = 'plaintext';
    return draft.end('reset', `${port} is a port of the sidecar itself: nothing may come in there`);
  }
  if (target?.kind === 'workload') return answerInbound(asked, target.workload, target.address);
  const service = withPort(asked, serviceFor(asked, target, scope));
  draft.step(`${source.description} sends to ${host}:${port} through its sidecar`);
  if (scope.provenance !== undefined)
    draft.step(`${nameOf(scope.provenance)} limits what the sidecar knows`);
  if (service === undefined) return unknownHost(asked, scope);
  const seen = scope.seesService(service, port);
  if (!seen.visible) {
    draft.step(seen.reason);
    return unknownHost(asked, scope);
  }
  return throughSidecar(asked, {
    service,
    scope,
    alias: target?.kind === 'service' ? target.alias : undefined,
  });
}

/** HTTP is told apart by its host field, whatever address was dialled (Envoy's virtual hosts). */
function serviceFor(
  { world, request, source }: Asked,
  target: Target | undefined,
  scope: SidecarScope,
): Service | undefined {
  const dialled = target?.kind === 'service' ? target.service : undefined;
  const { port, host } = request.destination;
  const known = dialled?.ports.find(({ servicePort }) => servicePort === port)?.appProtocol;
  if (!isHttp(request, known ?? 'unknown')) return dialled;
  const head = headOf(request, host, 'http');
  const name = head.authority.replace(/:\d+$/, '').toLowerCase();
  if (name === host.toLowerCase()) return dialled;
  const named = serviceNamed(world, name, source.namespace);
  const serves = named?.ports.some(({ servicePort }) => servicePort === port);
  return named !== undefined && serves && scope.seesService(named, port).visible ? named : dialled;
}

/** Of several ServiceEntries for one host a sidecar knows every port; ambient proxies know the oldest entry's. */
function withPort({ world, request }: Asked, service: Service | undefined): Service | undefined {
  const { port } = request.destination;
  if (service === undefined || service.ports.some(({ servicePort }) => servicePort === port))
    return service;
  for (const [, { spec, metadata }] of world.mesh.sources.serviceEntries.entries()) {
    const found = spec?.ports?.find(({ number }) => number === port);
    if (found === undefined || metadata.namespace !== service.namespace) continue;
    if (!spec?.hosts?.includes(service.hostname)) continue;
    const appProtocol = declaredProtocol(found.protocol);
    const own = { servicePort: port, targetPort: found.targetPort ?? port, appProtocol };
    return { ...service, ports: [...service.ports, own] };
  }
  return service;
}

/** What the registry does not have, or the Sidecar hides. */
function unknownHost(asked: Asked, scope: SidecarScope): WhyAnswer {
  const { world, request, draft, source } = asked;
  const { host, port } = request.destination;
  const ruled = virtualHost(asked, scope);
  if (ruled !== undefined)
    return throughSidecar(asked, { service: ruled, scope, alias: undefined });
  draft.client = 'plaintext';
  draft.server = 'DISABLE';
  if (scope.outbound === 'allow-any') {
    const { egressProxy } = scope;
    if (egressProxy !== undefined) {
      const view = clientView(world, source);
      const proxy = view.resolve(egressProxy.host, source.namespace);
      const upstream = proxy === undefined ? egressProxy.host : serviceKey(proxy);
      const destination = {
        upstream,
        host: egressProxy.host,
        port: egressProxy.port ?? port,
        subset: egressProxy.subset,
        weight: 1,
      };
      return forwardTo(
        legOf(asked, view.upstream),
        { destinations: [{ destination, weightEnd: 1, rewrite: undefined }], weightTotal: 1 },
        {},
      );
    }
    const destinations = [{ host, port, weight: 100, endpoints: [] }];
    return draft.end('forward', `${host} is not in the registry: passed through (ALLOW_ANY)`, {
      destinations,
    });
  }
  const reason = `${host} is not in the registry, and outboundTrafficPolicy is REGISTRY_ONLY`;
  return isHttp(request, 'unknown')
    ? draft.end('respond', reason, { status: 502 })
    : draft.end('reset', reason);
}

/** A VirtualService may be for a host that no service has. */
function virtualHost({ world, request, source }: Asked, scope: SidecarScope): Service | undefined {
  const { host, port } = request.destination;
  const head = headOf(request, host, 'http');
  const name = head.authority.replace(/:\d+$/, '').toLowerCase();
  const claims = [...world.mesh.parts.routes.virtualServices.entries()].some(
    ([, each]) =>
      each.gateways.includes('mesh') &&
      scope.seesVirtualService(each, port).visible &&
      each.hosts.some(
        (pattern) =>
          pattern === name || (pattern.startsWith('*.') && name.endsWith(pattern.slice(1))),
      ),
  );
  if (!claims) return undefined;
  return {
    name,
    namespace: source.namespace,
    hostname: name,
    addresses: [],
    ports: [
      {
        servicePort: port,
        targetPort: port,
        appProtocol: isHttp(request, 'unknown') ? 'http' : 'tcp',
      },
    ],
    subjectAltNames: [],
    waypoint: undefined,
    loadBalancing: undefined,
    canonical: false,
    visibility: 'public',
    ipFamilies: 'automatic',
  };
}

function throughSidecar(
  asked: Asked,
  { service, scope, alias }: { service: Service; scope: SidecarScope; alias: string | undefined },
): WhyAnswer {
  const { world, request, draft, source } = asked;
  const { port } = request.destination;
  const view = clientView(world, source);
  const table = tableOf(asked, service, { scope, alias });
  const compiled = compileRouteTable(table);
  for (const problem of compiled.problems) draft.step(`the client's sidecar: ${problem}`);
  const routes = compiled.ports.get(port);
  if (routes === undefined) {
    const reason = `${service.hostname} has no port ${port}`;
    return isHttp(request, 'unknown')
      ? draft.end('no-route', reason, { status: 404 })
      : draft.end('reset', reason);
  }
  const leg = legOf(asked, (key) => {
    const known = view.upstream(key);
    const isOwn = known !== undefined && key === serviceKey(service);
    if (!isOwn) return known;
    const ports = service.ports.map(({ servicePort, appProtocol }) => ({
      port: servicePort,
      protocol: appProtocol,
    }));
    // An entry's endpoints serve all of its ports.
    const all = Object.fromEntries(
      service.ports.map(({ servicePort, targetPort }) => [servicePort, targetPort]),
    );
    const endpoints =
      ports.length === known.ports.length
        ? known.endpoints
        : known.endpoints.map((each) => ({ ...each, ports: { ...all, ...each.ports } }));
    return { ...known, ports, endpoints };
  });
  const place = `${table.hostname}:${port}`;
  if (isHttp(request, routes.protocol)) {
    const head = normalizedHead(
      world,
      headOf(request, request.destination.host, schemeOf(request)),
    );
    if (head === undefined) return draft.end('respond', BAD_PATH, { status: 400 });
    const routed = routeRequest(draft, routes, { head, place, at: "the client's sidecar" });
    if (routed.answer !== undefined) return routed.answer;
    return forwardRequest(
      { ...leg, isHttp: true, sentPath: request.path },
      routed.entry,
      head,
      routed.parts,
    );
  }
  const itself = { upstream: serviceKey(service), host: service.hostname, port, weight: 1 };
  if (routes.l4 === undefined)
    return forwardTo(
      leg,
      { destinations: [{ destination: itself, weightEnd: 1, rewrite: undefined }], weightTotal: 1 },
      {},
    );
  const found = matchL4(routes.l4, {
    sni: request.sni ?? request.destination.host,
    destination: table.addresses[0],
    source: source.ip,
  });
  if (found === undefined)
    return draft.end('reset', `no rule for bytes of ${place} takes the connection`);
  const { provenance, name } = found.route.route;
  draft.step(
    `the client's sidecar: rule ${name} of ${nameOf(provenance)} takes the connection, because ${found.reason}`,
  );
  return forwardTo(leg, found.route, {
    route: { ...provenanceOf(provenance), reason: found.reason },
  });
}

/** The client's routes for a service; an ExternalName's own rules alone count for its name. */
function tableOf(
  { world, request, source }: Asked,
  service: Service,
  { scope, alias }: { scope: SidecarScope; alias: string | undefined },
): RouteTable {
  const { parts } = world.mesh;
  const { port } = request.destination;
  const proxy: RouteProxy = {
    namespace: source.namespace,
    labels: source.labels,
    gateways: ['mesh'],
  };
  const virtualServices = [...parts.routes.virtualServices.entries()]
    .map(([, each]) => each)
    .filter((each) => scope.seesVirtualService(each, port).visible);
  const attached = parts.gatewayApi.attachedTo(serviceKey(service), NOW);
  const [retries] = [...parts.routes.defaultRetries.entries()];
  const { resolve, subsets } = clientView(world, source);
  const { table } = buildRouteTable({
    service: alias === undefined ? service : { ...service, hostname: alias },
    virtualServices,
    resolve,
    subsets,
    proxy,
    ...(retries && { defaultRetries: retries[1] }),
    ...(alias === undefined && { attached: attached.http, attachedL4: attached.l4 }),
  });
  if (alias === undefined) return table;
  // What no rule of the alias takes goes to the service behind it.
  const toConcrete = <D extends { upstream: string; host: string }>(each: D): D =>
    each.host === alias ? { ...each, upstream: serviceKey(service), host: service.hostname } : each;
  const ports = table.ports.map((each) => ({
    ...each,
    routes: each.routes.map((route) =>
      route.action.kind === 'forward'
        ? {
            ...route,
            action: { ...route.action, destinations: route.action.destinations.map(toConcrete) },
          }
        : route,
    ),
    ...(each.l4Routes && {
      l4Routes: each.l4Routes.map((route) => ({
        ...route,
        destinations: route.destinations.map(toConcrete),
      })),
    }),
  }));
  return { ...table, ports };
}

function legOf(asked: Asked, upstream: (key: string) => Upstream | undefined): Leg {
  const { world, draft, source } = asked;
  const caller: Caller = {
    ip: source.ip,
    principal: source.principal,
    transport: 'istio-mtls',
    name: "the client's sidecar",
  };
  draft.client = source.outside ? 'plaintext' : 'istio-mtls';
  let head: MessageHead | undefined;
  return {
    world,
    draft,
    caller,
    upstream,
    isHttp: false,
    admit: sidecarAdmission(
      asked,
      (endpoint, port) => clientTransport(asked, { endpoint, port, upstream }),
      () => head,
    ),
    onHead: (arriving) => {
      head = arriving;
    },
  };
}
