/**
 * Rules of a VirtualService bound for one proxy and port: conditions on the source decided, destinations looked up.
 * The same for waypoints, gateways and, in `why`, the proxy of a client.
 */
import type {
  L4Route,
  Mirror,
  RetryPolicy,
  Route,
  RouteDestination,
} from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import { DEFAULT_RETRIES } from './http-features.ts';
import type { PendingDestination, PendingRoute } from './http-route.ts';
import type { PendingL4Route } from './l4-route.ts';
import type { RouteProxy, SourceCondition } from './source-condition.ts';
import { judgeSource } from './source-condition.ts';
import type { PendingTarget, TargetLookup } from './target.ts';
import { bindTarget } from './target.ts';
import type { CompiledVirtualService } from './virtual-service.ts';
import type { RedirectSpec } from './virtual-service-kinds.ts';

export interface RouteBinding {
  readonly virtualService: CompiledVirtualService;
  readonly proxy: RouteProxy;
  /** Of the service, or of the gateway's server. */
  readonly port: number;
  /** Requests come over TLS that the proxy ends. */
  readonly isTls: boolean;
  readonly lookup: TargetLookup;
  /** meshConfig.defaultHttpRetryPolicy; undefined = Istio's own. */
  readonly defaultRetries: RetryPolicy | undefined;
  readonly findings: Findings;
}

/** In order; nothing behind a rule for every request. */
export function bindHttpRules(binding: RouteBinding): Route[] {
  const routes: Route[] = [];
  for (const pending of binding.virtualService.http) {
    const matches = pending.matches.filter((each) => holds(each, 'alone', binding));
    if (pending.matches.length > 0 && matches.length === 0) continue;
    routes.push(...bindRoute(pending, matches, binding));
    if (matches.length === 0) break;
  }
  return routes;
}

function holds(
  { source, path }: { source: SourceCondition; path: string },
  gateways: 'alone' | 'all',
  { proxy, port, findings }: RouteBinding,
): boolean {
  const verdict = judgeSource(source, proxy, { port, gateways });
  if (verdict === 'unseen')
    findings.ineffective(
      `${path}.sourceLabels`,
      'a waypoint cannot see the labels of a client: the match never holds',
      {
        hint: 'match on a header that the client sends, or on its identity with AuthorizationPolicy',
      },
    );
  return verdict === 'holds';
}

/** One route, or one for each match where matches have names: the name of the route tells which it was. */
function bindRoute(
  pending: PendingRoute,
  matches: PendingRoute['matches'],
  binding: RouteBinding,
): Route[] {
  const { namespace, name } = binding.virtualService;
  const { cors, fault, mirrors } = pending;
  const own = pending.name ?? `${name}.${pending.index}`;
  const route: Route = {
    name: own,
    provenance: { kind: 'VirtualService', namespace, name, rule: pending.rule },
    matches: matches.map(({ match }) => match),
    action: bindAction(pending, binding),
    rewrite: pending.rewrite,
    headers: pending.headers,
    ...(mirrors.length > 0 && {
      mirrors: mirrors.map((each) => bindMirror(each, pending, binding)),
    }),
    ...(fault && { fault }),
    ...(cors && { cors }),
    timeoutMs: pending.timeoutMs,
    retries: pending.retries ?? binding.defaultRetries ?? DEFAULT_RETRIES,
  };
  if (matches.every((match) => match.name === undefined)) return [route];
  return matches.map((match) => ({
    ...route,
    // Istio: the names of rule and match (route.go TranslateRoute).
    name: match.name === undefined ? own : `${own}.${match.name}`,
    matches: [match.match],
  }));
}

function bindAction(pending: PendingRoute, binding: RouteBinding): Route['action'] {
  const { action } = pending;
  if (action.kind === 'respond') return action;
  if (action.kind === 'forward') {
    const destinations = action.destinations.map((each) => bindDestination(each, pending, binding));
    return { kind: 'forward', destinations };
  }
  const { redirect, status } = action;
  return {
    kind: 'redirect',
    status,
    path: redirect.uri || undefined,
    ...(redirect.prefixRewrite && { prefix: redirect.prefixRewrite }),
    authority: redirect.authority || undefined,
    scheme: redirect.scheme || undefined,
    port: redirectPort(redirect, binding),
  };
}

/**
 * Undefined: the proxy derives it (Envoy keeps the port that the client named, but for the default of a scheme that
 * changes). A scheme's own port is never written out (Istio: route.go ApplyRedirect).
 */
function redirectPort(redirect: RedirectSpec, { port, isTls }: RouteBinding): number | undefined {
  const wanted = redirect.derivePort === 'FROM_REQUEST_PORT' ? port : redirect.port || undefined;
  const scheme = redirect.scheme || (isTls ? 'https' : 'http');
  return wanted === (scheme === 'https' ? 443 : 80) ? undefined : wanted;
}

function bindDestination(
  pending: PendingDestination,
  route: PendingRoute,
  binding: RouteBinding,
): RouteDestination {
  const { weight, headers, authority } = pending;
  // Istio: an authority of the whole rule wins over a destination's (route.go processDestination).
  const isOwn = authority !== undefined && route.rewrite?.authority === undefined;
  return {
    ...bindOne(pending, `rule ${route.rule}`, binding),
    weight,
    ...(headers && { headers }),
    ...(isOwn && { rewrite: { authority } }),
  };
}

function bindMirror(
  pending: PendingRoute['mirrors'][0],
  route: PendingRoute,
  binding: RouteBinding,
): Mirror {
  return { ...bindOne(pending, `rule ${route.rule}`, binding), percent: pending.percent };
}

function bindOne(target: PendingTarget, rule: string, binding: RouteBinding) {
  const { virtualService, lookup, port, findings } = binding;
  const { namespace, name } = virtualService;
  const where = `VirtualService ${namespace}/${name} ${rule}`;
  return bindTarget(target, { lookup, namespace, port, where, findings });
}

/** In order; nothing behind a rule for every connection. */
export function bindL4Rules(rules: readonly PendingL4Route[], binding: RouteBinding): L4Route[] {
  const { namespace, name } = binding.virtualService;
  const routes: L4Route[] = [];
  for (const pending of rules) {
    const matches = pending.matches.filter((each) => holds(each, 'all', binding));
    if (pending.matches.length > 0 && matches.length === 0) continue;
    const rule = `${pending.kind}[${pending.index}]`;
    routes.push({
      name: `${name}.${rule}`,
      provenance: { kind: 'VirtualService', namespace, name, rule },
      matches: matches.map(({ match }) => match),
      destinations: pending.destinations.map((each) => ({
        ...bindOne(each, rule, binding),
        weight: each.weight,
      })),
    });
    const isForAll = ({ match }: PendingL4Route['matches'][0]) =>
      match.sniHosts.length + match.destinationSubnets.length + match.sourceSubnets.length === 0;
    if (matches.length === 0 || matches.some(isForAll)) break;
  }
  return routes;
}
