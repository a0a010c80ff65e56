/** An ambient mesh: the client's node proxy, a waypoint where one is bound, the destination's node proxy. */
import { seededRandom } from '#base/random.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import { compileRouteTable } from '#model/route/compile.ts';
import { matchL4 } from '#model/route/l4-routes.ts';
import type { RouteTable } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { OutboundVerdict } from '#node/outbound/decide.ts';
import { decideOutbound } from '#node/outbound/decide.ts';
import { isAssumedAddress } from './assumed-objects.ts';
import type { WhyAnswer, WhyRequest } from './contract.ts';
import { placeOf } from './destinations.ts';
import type { Draft } from './draft.ts';
import { type Caller, forwardRequest, forwardTo, type Leg, nodeAdmission } from './forward.ts';
import { BAD_PATH, headOf, nameOf, normalizedHead, provenanceOf, routeRequest } from './http.ts';
import { authenticationBy, httpFacts, judgeBy, withClaims } from './http-policies.ts';
import { tellLimits } from './limits.ts';
import { accessAt, serverMode } from './policies.ts';
import { isHttp, schemeOf } from './protocol.ts';
import type { Source } from './source.ts';
import type { Target } from './target.ts';
import type { World } from './world.ts';

export interface Asked {
  readonly world: World;
  readonly request: WhyRequest;
  readonly draft: Draft;
  readonly source: Source;
}

/** Chance decides nothing here that the answer shows. */
const ONE_DRAW = seededRandom(1);

export function answerAmbient(asked: Asked, target: Target): WhyAnswer {
  const { world, request, draft, source } = asked;
  const { port } = request.destination;
  if (target.kind === 'outside') return answerOutside(asked, target.host);
  const service = target.kind === 'service' ? target.service : undefined;
  if (source.outside) {
    draft.step(
      'the client is not in the mesh: its connection passes neither node proxy nor waypoint',
    );
    const caller = {
      ip: source.ip,
      principal: undefined,
      transport: 'plaintext',
      name: 'Kubernetes',
    } as const;
    return service === undefined
      ? toWorkload(asked, target, caller)
      : toService(asked, service, caller);
  }
  const original = { address: target.address, port };
  const shown = isAssumedAddress(target.address) ? (service?.hostname ?? '') : target.address;
  draft.step(`the client's node proxy captures the connection to ${shown}:${port}`);
  const verdict = decideOutbound(world.snapshot(), { source: source.workload, original }, ONE_DRAW);
  if (verdict.kind === 'refuse') return refused(asked, verdict);
  draft.client = verdict.kind === 'hbone' ? 'hbone' : 'plaintext';
  if (
    verdict.kind === 'hbone' &&
    verdict.via === 'waypoint' &&
    service !== undefined &&
    verdict.workload !== undefined
  )
    return throughWaypoint(asked, service, verdict.workload);
  const principal = source.principal;
  const caller: Caller = {
    ip: source.ip,
    principal,
    transport: verdict.kind === 'hbone' ? 'hbone' : 'plaintext',
    name: "the client's node proxy",
  };
  if (service === undefined) return toWorkload(asked, target, caller);
  draft.step(
    `no waypoint serves ${service.hostname}: bytes go to an endpoint as they are, HTTP is not looked at`,
  );
  return toService(asked, service, caller);
}

function answerOutside({ request, draft }: Asked, host: string): WhyAnswer {
  const { port } = request.destination;
  draft.client = 'plaintext';
  draft.server = 'DISABLE';
  const reason = `${host} is not in the mesh: the connection goes there as it is`;
  const destinations = [{ host, port, weight: 100, endpoints: [] }];
  return draft.end('forward', reason, { destinations });
}

function refused(
  { draft }: Asked,
  verdict: Extract<OutboundVerdict, { kind: 'refuse' }>,
): WhyAnswer {
  draft.client = 'hbone';
  const needed = /^(\w+) ([^/]+)\/(\S+) needs a waypoint/.exec(verdict.reason);
  if (needed === null) return draft.end('reset', verdict.reason);
  const [, , namespace, name] = needed;
  const kind =
    needed[1] === 'authorizationpolicy' ? 'AuthorizationPolicy' : 'RequestAuthentication';
  draft.addPolicies([
    {
      kind,
      namespace,
      name,
      action: 'DENY',
      matched: true,
      reason: 'only a waypoint can judge by it, and none serves the service',
    },
  ]);
  return draft.end('deny', verdict.reason);
}

/** Straight to endpoints: what a node proxy does with bytes. */
function toService(asked: Asked, service: Service, caller: Caller): WhyAnswer {
  const { request, draft } = asked;
  const { port } = request.destination;
  const destination = { upstream: serviceKey(service), host: service.hostname, port, weight: 100 };
  const leg = legOf(asked, caller, false);
  if (service.loadBalancing?.mode === 'passthrough') {
    draft.step(`${service.hostname} is passed through to the address that the client found`);
    const destinations = [{ host: service.hostname, port, weight: 100, endpoints: [] }];
    return draft.end('forward', `${service.hostname} port ${port}`, { destinations });
  }
  return forwardTo(
    leg,
    { destinations: [{ destination, weightEnd: 100, rewrite: undefined }], weightTotal: 100 },
    {},
  );
}

function toWorkload(asked: Asked, target: Target, caller: Caller): WhyAnswer {
  const { world, request, draft } = asked;
  if (target.kind !== 'workload') return draft.end('reset', 'there is no such workload');
  const { workload, address } = target;
  const { port } = request.destination;
  const labels = world.mesh.workloads.get(workload.uid)?.labels ?? {};
  draft.server = serverMode(world, { namespace: workload.namespace, labels }, port);
  const name = `${workload.namespace}/${workload.name}`;
  const destinations = [
    {
      host: address,
      port,
      weight: 100,
      endpoints: [{ address: isAssumedAddress(address) ? '' : address, port, workload: name }],
    },
  ];
  if (workload.protocol !== 'hbone') {
    draft.client = 'plaintext';
    return draft.end('forward', `workload ${name} by its address; it is not captured`, {
      destinations,
    });
  }
  const { allow, reason, policies } = accessAt(world, {
    local: workload,
    sourceIp: caller.ip,
    principal: caller.transport === 'hbone' ? caller.principal : undefined,
    address,
    port,
  });
  draft.addPolicies(policies);
  draft.step(`the node proxy of ${name} ${allow ? 'lets it in' : 'refuses it'}: ${reason}`);
  return allow
    ? draft.end('forward', `workload ${name} by its address`, { destinations })
    : draft.end('deny', reason, { destinations });
}

function legOf({ world, draft, request }: Asked, caller: Caller, isHttp: boolean): Leg {
  const only = request.destination.workload;
  const admit = nodeAdmission(world, draft, caller);
  return { world, draft, caller, isHttp, admit, ...(only !== undefined && { only }) };
}

function throughWaypoint(asked: Asked, service: Service, waypoint: Workload): WhyAnswer {
  const { world, draft, source } = asked;
  const key = serviceKey(service);
  const bound = world.mesh.routeTables.get(key);
  const name = `waypoint ${bound?.waypointKeys[0] ?? `${waypoint.namespace}/${waypoint.name}`}`;
  draft.step(`${source.description} reaches ${name} over HBONE, which serves ${service.hostname}`);
  const { notes } = world.files ?? {};
  const waypointKey = bound?.waypointKeys[0];
  const note = notes?.get(`Gateway ${waypointKey}`) ?? notes?.get(`Pod ${waypointKey}`);
  if (note !== undefined) draft.step(`assumed: ${note}`);
  if (bound === undefined) return draft.end('reset', `no routes are known for ${service.hostname}`);
  const principal = formatPrincipal(waypoint);
  const caller: Caller = { ip: waypoint.addresses[0] ?? '', principal, transport: 'hbone', name };
  const { denied } = bound.table;
  if (denied !== undefined) return deniedBy(draft, denied);
  return atWaypoint(asked, { table: bound.table, caller, name });
}

function deniedBy(draft: Draft, denied: NonNullable<RouteTable['denied']>): WhyAnswer {
  const [kind, key] = denied.policy.split(' ');
  const [namespace, name] = key.split('/');
  draft.addPolicies([
    { kind, namespace, name, action: 'DENY', matched: true, reason: denied.reason },
  ]);
  return draft.end('deny', denied.reason, { status: 403 });
}

/** Policies of the waypoint; undefined: they let it through. */
function judgedAt(
  { request, draft, source }: Asked,
  { table, name }: { table: RouteTable; name: string },
  head: MessageHead | undefined,
): WhyAnswer | undefined {
  const { policies: own } = table;
  if (own === undefined) return undefined;
  const authentication = head && authenticationBy(own, head);
  if (head !== undefined && authentication !== undefined) withClaims(head, authentication);
  const facts = {
    principal: source.principal,
    sourceIp: source.ip,
    remoteIp: source.ip,
    destinationIp: table.addresses[0] ?? table.hostname,
    destinationPort: request.destination.port,
    ...(request.sni !== undefined && { sni: request.sni }),
    ...(head && { http: httpFacts(head) }),
  };
  const judgement = judgeBy(own, facts, authentication ?? { kind: 'none' });
  const { allow, reason, status, policies } = judgement;
  draft.addPolicies(policies);
  if (policies.length > 0)
    draft.step(`${name} ${allow ? 'lets it through' : 'refuses it'}: ${reason}`);
  return allow ? undefined : draft.end('deny', reason, head === undefined ? {} : { status });
}

function atWaypoint(
  asked: Asked,
  at: { table: RouteTable; caller: Caller; name: string },
): WhyAnswer {
  const { request, draft, source } = asked;
  const { port } = request.destination;
  const { table, caller, name } = at;
  const compiled = compileRouteTable(table);
  for (const problem of compiled.problems) draft.step(`${name}: ${problem}`);
  const routes = compiled.ports.get(port);
  if (routes === undefined) return draft.end('reset', `${table.hostname} has no port ${port}`);
  if (isHttp(request, routes.protocol)) {
    const head = normalizedHead(
      asked.world,
      headOf(request, request.destination.host, schemeOf(request)),
    );
    if (head === undefined) return draft.end('respond', BAD_PATH, { status: 400 });
    const refused = judgedAt(asked, at, head);
    if (refused !== undefined) return refused;
    tellLimits(draft, name, table);
    const routed = routeRequest(draft, routes, {
      head,
      place: `${table.hostname}:${port}`,
      at: name,
    });
    if (routed.answer !== undefined) return routed.answer;
    return forwardRequest(
      { ...legOf(asked, caller, true), sentPath: request.path },
      routed.entry,
      head,
      routed.parts,
    );
  }
  const refused = judgedAt(asked, at, undefined);
  if (refused !== undefined) return refused;
  const leg = legOf(asked, caller, false);
  if (routes.l4 === undefined) {
    const [service] = routes.entries;
    draft.step(`${name}: bytes go to ${table.hostname} itself`);
    const upstream = `${table.namespace}/${table.hostname}`;
    const destination = { upstream, host: table.hostname, port, weight: 1 };
    return service === undefined && placeOf(asked.world, destination).problem !== undefined
      ? draft.end('reset', `${table.hostname} has no port ${port}`)
      : forwardTo(
          leg,
          { destinations: [{ destination, weightEnd: 1, rewrite: undefined }], weightTotal: 1 },
          {},
        );
  }
  const found = matchL4(routes.l4, {
    sni: request.sni,
    destination: table.addresses[0],
    source: source.ip,
  });
  if (found === undefined)
    return draft.end(
      'reset',
      `no rule for bytes of ${table.hostname}:${port} takes the connection`,
    );
  const { provenance } = found.route.route;
  draft.step(
    `${name}: rule ${found.route.route.name} of ${nameOf(provenance)} takes the connection, because ${found.reason}`,
  );
  const route = { ...provenanceOf(provenance), reason: found.reason };
  return forwardTo(leg, found.route, { route });
}
