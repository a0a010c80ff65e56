/**
 * What one VirtualService adds to the servers of a gateway proxy. Apart from all others, so that a change of one is not the
 * work of all.
 */
import type { VirtualHost } from '#model/route/gateway-config.ts';
import type { L4Route, RetryPolicy, Route, RouteMatch } from '#model/route/route-table.ts';
import type { RouteBinding } from './bind-route.ts';
import { bindHttpRules, bindL4Rules } from './bind-route.ts';
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';
import type { GatewayPlan, PlacedServer } from './gateway-plan.ts';
import { narrowerHost } from './hosts.ts';
import type { TargetLookup } from './target.ts';
import type { CompiledVirtualService } from './virtual-service.ts';
import { visibleVirtualServices } from './virtual-service.ts';

export interface Contribution {
  readonly virtualService: CompiledVirtualService;
  readonly parts: readonly ContributedPart[];
  readonly findings: readonly Finding[];
}

export interface ContributedPart {
  /** `PlacedServer.id`. */
  readonly server: string;
  /** One for each host that server and VirtualService have in common; of HTTP servers. */
  readonly virtualHosts: readonly VirtualHost[];
  readonly l4Routes: readonly L4Route[];
}

export interface ContributionContext {
  readonly lookup: TargetLookup;
  /** meshConfig.defaultHttpRetryPolicy; undefined = Istio's own. */
  readonly defaultRetries?: RetryPolicy;
}

/** Undefined when it has no say there: other gateways, other hosts, not exported to the proxy. */
export function contributionOf(
  virtualService: CompiledVirtualService,
  plan: GatewayPlan,
  context: ContributionContext,
): Contribution | undefined {
  const findings = new Findings('VirtualService', virtualService);
  const { namespace } = plan.proxy;
  const parts = plan.ports.flat().flatMap((placed): ContributedPart[] => {
    const gateways = [gatewayName(placed)];
    const isBound = visibleVirtualServices([virtualService], { namespace, gateways }).length > 0;
    const hosts = isBound ? commonHosts(placed, virtualService) : [];
    if (hosts.length === 0) return [];
    const binding = bindingOf(placed, virtualService, { plan, context, findings });
    const { protocol, tls } = placed.server;
    const isHttp = protocol === 'http' || protocol === 'https';
    const isPassedThrough = protocol === 'tls' && tls === undefined;
    const bytes = isPassedThrough ? virtualService.tls : virtualService.tcp;
    const routes = isHttp ? bindHttpRules(binding) : [];
    const l4Routes = isHttp ? [] : bindL4Rules(bytes, binding);
    // As Istio: one without a rule for this port and gateway makes no virtual host.
    if (routes.length + l4Routes.length === 0) return [];
    const ordered = catchAllLast(routes);
    const virtualHosts = isHttp ? hosts.map((host) => ({ domains: [host], routes: ordered })) : [];
    return [{ server: placed.id, virtualHosts, l4Routes }];
  });
  if (parts.length === 0 && findings.list.length === 0) return undefined;
  return { virtualService, parts, findings: findings.list };
}

function gatewayName({ gateway }: PlacedServer): string {
  return `${gateway.namespace}/${gateway.name}`;
}

function commonHosts({ server }: PlacedServer, virtualService: CompiledVirtualService): string[] {
  const common = new Set<string>();
  for (const { namespace, host } of server.hosts)
    for (const its of virtualService.hosts) {
      if (namespace !== undefined && namespace !== virtualService.namespace) continue;
      const shared = narrowerHost(host, its);
      if (shared !== undefined) common.add(shared);
    }
  return [...common];
}

function bindingOf(
  placed: PlacedServer,
  virtualService: CompiledVirtualService,
  {
    plan,
    context,
    findings,
  }: { plan: GatewayPlan; context: ContributionContext; findings: Findings },
): RouteBinding {
  const { namespace, labels } = plan.proxy;
  return {
    virtualService,
    proxy: { namespace, labels, gateways: [gatewayName(placed)] },
    // As Istio: conditions on the port are about the port that the Gateway names.
    port: placed.server.port,
    isTls: placed.server.tls !== undefined,
    lookup: context.lookup,
    defaultRetries: context.defaultRetries,
    findings,
  };
}

/** What takes every request goes last, so that rules of another VirtualService can be reached (Istio: SortVHostRoutes). */
export function catchAllLast(routes: readonly Route[]): Route[] {
  const part = (route: Route, isLast: boolean): Route[] => {
    if (route.matches.length === 0) return isLast ? [route] : [];
    const matches = route.matches.filter((match) => takesAll(match) === isLast);
    if (matches.length === route.matches.length) return [route];
    return matches.length === 0 ? [] : [{ ...route, matches }];
  };
  return [
    ...routes.flatMap((route) => part(route, false)),
    ...routes.flatMap((route) => part(route, true)),
  ];
}

function takesAll(match: RouteMatch): boolean {
  const { path, method, scheme, authority, headers, withoutHeaders, queryParams, claims } = match;
  const anyPath =
    path === undefined ||
    (path.kind === 'prefix' && path.value === '/') ||
    (path.kind === 'regex' && path.value === '.*');
  const conditions = [...headers, ...withoutHeaders, ...queryParams, ...(claims ?? [])];
  return anyPath && !method && !scheme && !authority && conditions.length === 0;
}
