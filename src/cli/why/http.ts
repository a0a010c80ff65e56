/** What a proxy does with one request once it knows its routes: the same look-ups and rewrites as on the data path. */
import type { MessageHead } from '#http/dispatch/message-head.ts';
import { MessageHead as Head } from '#http/dispatch/message-head.ts';
import type { CompiledRoutes, RouteEntry } from '#model/route/compile.ts';
import { matchRoutes, noRouteReason } from '#model/route/match.ts';
import { normalizePath } from '#model/route/normalize-path.ts';
import type { Mirror, Provenance, Route } from '#model/route/route-table.ts';
import { redirectLocation, rewritePath } from '#model/route/transform.ts';
import type { WhyAnswer, WhyRequest } from './contract.ts';
import { corsEffect } from './cors.ts';
import type { Draft, Parts } from './draft.ts';
import { mergeOperations } from './format.ts';
import { tellLimits } from './limits.ts';
import type { World } from './world.ts';

/** The request's head as the proxy would read it. `authority`: what the client dials, unless it says something else. */
export function headOf(
  request: WhyRequest,
  authority: string,
  scheme: 'http' | 'https',
): MessageHead {
  const { method = 'GET', path = '/', headers = {} } = request;
  const head = Head.request(
    method,
    authority,
    path.startsWith('/') || path === '*' ? path : `/${path}`,
    scheme,
  );
  for (const [name, value] of Object.entries(headers)) {
    const field = name.toLowerCase();
    if (field === 'host' || field === ':authority') head.authority = value;
    else if (field === ':method') head.method = value;
    else if (field === ':path') head.path = value;
    else if (field === ':scheme') head.scheme = value;
    else head.add(field, value);
  }
  if (request.protocol === 'grpc' && !head.has('content-type'))
    head.add('content-type', 'application/grpc');
  return head;
}

export const BAD_PATH = 'the path holds an escaped NUL: it is refused before anything reads it';

/** As the mesh normalizes paths (meshConfig.pathNormalization); undefined: refused. */
export function normalizedHead(
  { pathNormalization }: World,
  head: MessageHead,
): MessageHead | undefined {
  const path = normalizePath(head.path, pathNormalization);
  if (path === undefined) return undefined;
  head.path = path;
  return head;
}

/** What a route decides before its destination: an answer of the mesh, or the facts to forward with. */
export type Routed =
  | { readonly answer: WhyAnswer }
  | { readonly answer: undefined; readonly entry: RouteEntry; readonly parts: Parts };

export function routeRequest(
  draft: Draft,
  routes: CompiledRoutes,
  from: { head: MessageHead; place: string; at: string },
): Routed {
  const { head, place, at } = from;
  const entry = matchRoutes(routes, head);
  if (entry === undefined) {
    const reason = noRouteReason(routes, head, place);
    return { answer: draft.end('no-route', reason, { status: 404 }) };
  }
  return routeEntry(draft, entry, { head, at });
}

/** What the rule says before any destination is looked at. */
export function routeEntry(
  draft: Draft,
  entry: RouteEntry,
  { head, at }: { head: MessageHead; at: string },
): Routed {
  const { route } = entry.route;
  draft.step(
    `${at}: route ${route.name} of ${nameOf(route.provenance)} takes the request, because ${entry.reason}`,
  );
  tellLimits(draft, at, route);
  const parts: Parts = { route: { ...provenanceOf(route.provenance), reason: entry.reason } };
  const cors = route.cors && corsEffect(route.cors, head);
  if (cors?.kind === 'preflight') {
    const reason = `the preflight is answered by the CORS policy of ${nameOf(route.provenance)}`;
    return {
      answer: draft.end('respond', reason, {
        ...parts,
        status: cors.status,
        response: { set: cors.set },
      }),
    };
  }
  const fault = faultOf(route);
  const withFault = { ...parts, ...(fault && { fault }) };
  const aborted = abortOf(route, head);
  if (aborted !== undefined) {
    const { abort = { percent: 0 } } = route.fault ?? {};
    if (abort.percent >= 100)
      return {
        answer: draft.end('respond', `a fault on purpose (${nameOf(route.provenance)})`, {
          ...withFault,
          ...aborted,
        }),
      };
    draft.step(`a fault on purpose answers ${abort.percent} % of requests with ${aborted.status}`);
  }
  const { action } = route;
  if (action.kind === 'redirect') {
    const location = redirectLocation(action, head, entry.pathMatch);
    const { status } = action;
    const reason = `${nameOf(route.provenance)} redirects to ${location}`;
    return {
      answer: draft.end('redirect', reason, {
        ...withFault,
        status,
        redirect: { status, location },
      }),
    };
  }
  const response = mergeOperations(
    route.headers?.response,
    cors && { set: cors.set, add: {}, remove: [] },
  );
  if (action.kind === 'respond') {
    const reason = `${nameOf(route.provenance)} answers directly`;
    return {
      answer: draft.end('respond', reason, {
        ...withFault,
        status: action.status,
        ...(response && { response }),
      }),
    };
  }
  return {
    answer: undefined,
    entry,
    parts: { ...withFault, ...limitsOf(route), ...(cors && { response: { set: cors.set } }) },
  };
}

function limitsOf({ timeoutMs, retries }: Route): Parts {
  const { attempts, perTryTimeoutMs, on, statusCodes } = retries;
  return {
    ...(timeoutMs !== undefined && timeoutMs > 0 && { timeoutMs }),
    retries: {
      attempts,
      ...(perTryTimeoutMs !== undefined && { perTryTimeoutMs }),
      on: attempts === 0 ? [] : [...on, ...statusCodes.map(String)],
    },
  };
}

function faultOf({ fault }: Route): WhyAnswer['fault'] {
  if (fault?.delay === undefined && fault?.abort === undefined) return undefined;
  const { delay, abort } = fault;
  return {
    ...(delay && { delayMs: delay.ms, delayPercent: delay.percent }),
    ...(abort && {
      ...('httpStatus' in abort
        ? { abortStatus: abort.httpStatus }
        : { abortStatus: 200, abortGrpcStatus: abort.grpcStatus }),
      abortPercent: abort.percent,
    }),
  };
}

/** What an aborted request is answered. */
function abortOf({ fault }: Route, head: MessageHead): Parts | undefined {
  const abort = fault?.abort;
  if (abort === undefined || abort.percent <= 0) return undefined;
  if ('httpStatus' in abort) return { status: abort.httpStatus };
  const isGrpc = head.get('content-type')?.startsWith('application/grpc') === true;
  // As Envoy: to others it is an answer without the status.
  if (!isGrpc) return { status: 200 };
  return { status: 200, response: { set: { 'grpc-status': String(abort.grpcStatus) } } };
}

/** The request as it goes on to one destination. */
export function changesOf(
  entry: RouteEntry,
  head: MessageHead,
  at: number,
): Pick<Parts, 'request' | 'response'> {
  const { route } = entry.route;
  const destination = entry.route.destinations[at];
  const own = destination?.destination;
  const path = rewritePath(entry, head.path, destination);
  const host = own?.rewrite?.authority ?? route.rewrite?.authority;
  const request = mergeOperations(route.headers?.request, own?.headers?.request);
  const response = mergeOperations(route.headers?.response, own?.headers?.response);
  const changed = {
    ...(host !== undefined && { host }),
    ...(path !== head.path && { path }),
    ...request,
  };
  return {
    ...(Object.keys(changed).length > 0 && { request: changed }),
    ...(response && { response }),
  };
}

export function mirrorsOf(mirrors: readonly Mirror[]): Parts {
  const used = mirrors.filter(({ percent, broken }) => percent > 0 && broken === undefined);
  if (used.length === 0) return {};
  return {
    mirrors: used.map(({ host, port, subset, percent }) => ({
      host,
      port,
      ...(subset !== undefined && { subset }),
      percent,
    })),
  };
}

export function nameOf({ kind, namespace, name }: Provenance): string {
  return `${kind} ${namespace}/${name}`;
}

export function provenanceOf({ kind, namespace, name, rule }: Provenance) {
  return { kind, namespace, name, ...(rule !== undefined && { rule }) };
}
