/**
 * The `RouteTable` of one service: the VirtualService in force bound to the services and subsets that exist now,
 * or one default route a port. Pure; the caller hands in the look-ups.
 */
import type { Route, RouteDestination, RouteMatch, RouteTable } from '#model/route/route-table.ts';
import type { Service, ServicePort } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';
import type { PendingAction, PendingDestination, PendingRoute } from './http-route.ts';
import { DEFAULT_RETRIES } from './http-route.ts';
import type { CompiledVirtualService } from './virtual-service.ts';
import { selectVirtualService } from './virtual-service.ts';

export interface RouteTableInput {
  readonly service: Service;
  readonly virtualServices: Iterable<CompiledVirtualService>;
  /** The service behind a full host name, as seen from a namespace. */
  readonly resolve: (hostname: string, namespace: string) => Service | undefined;
  /** Names of the subsets that DestinationRules define for it. */
  readonly subsets: (service: Service) => ReadonlySet<string>;
  /** Namespace of the waypoint that enforces the table: what sourceNamespace is compared to, as Istio does. */
  readonly proxyNamespace: string;
}

export interface RouteTableResult {
  readonly table: RouteTable;
  readonly findings: readonly Finding[];
}

interface Binding {
  readonly input: RouteTableInput;
  readonly virtualService: CompiledVirtualService;
  readonly port: number;
  readonly findings: Findings;
}

export function buildRouteTable(input: RouteTableInput): RouteTableResult {
  const { service } = input;
  const { selected, others } = selectVirtualService(service, input.virtualServices);
  const findings: Finding[] = [];
  for (const other of others) {
    const conflict = new Findings('VirtualService', other);
    const older = `${selected?.namespace}/${selected?.name}`;
    const hint = `merge its rules into VirtualService ${older}, or delete one of them`;
    conflict.conflict('spec.hosts', `${service.hostname} belongs to the older ${older}`, hint);
    findings.push(...conflict.list);
  }
  const own = selected && new Findings('VirtualService', selected);
  const ports = service.ports.map(({ servicePort, appProtocol }) => {
    const routes =
      selected === undefined ||
      own === undefined ||
      !isHttp(appProtocol) ||
      selected.http.length === 0
        ? [defaultRoute(service, servicePort)]
        : bindRoutes({ input, virtualService: selected, port: servicePort, findings: own });
    return { port: servicePort, protocol: appProtocol, routes };
  });
  findings.push(...distinct(own?.list ?? []));
  const { namespace, hostname } = service;
  const addresses = service.addresses.map(({ address }) => address);
  return { table: { namespace, hostname, addresses, ports }, findings };
}

/** Undeclared ports are sniffed: their HTTP requests follow the same routes. */
function isHttp(protocol: ServicePort['appProtocol']): boolean {
  return protocol !== 'tcp' && protocol !== 'tls';
}

export function defaultRoute(service: Service, port: number): Route {
  const { namespace, name, hostname } = service;
  const upstream = serviceKey(service);
  return {
    name: 'default',
    provenance: { kind: 'Service', namespace, name },
    matches: [],
    action: { kind: 'forward', destinations: [{ upstream, host: hostname, port, weight: 1 }] },
    retries: DEFAULT_RETRIES,
  };
}

function bindRoutes(binding: Binding): Route[] {
  const routes: Route[] = [];
  for (const pending of binding.virtualService.http) {
    const matches = bindMatches(pending, binding);
    if (matches === undefined) continue;
    routes.push(bindRoute(pending, matches, binding));
    // Nothing behind a rule for every request can be reached.
    if (matches.length === 0) break;
  }
  return routes;
}

/** Undefined: no condition of the rule can hold on this port. */
function bindMatches(pending: PendingRoute, binding: Binding): RouteMatch[] | undefined {
  if (pending.unreachable) return undefined;
  if (pending.matches.length === 0) return [];
  const matches = pending.matches.filter(
    ({ port, sourceNamespace }) =>
      (port === undefined || port === binding.port) &&
      (sourceNamespace === undefined || sourceNamespace === binding.input.proxyNamespace),
  );
  return matches.length === 0 ? undefined : matches.map(({ match }) => match);
}

function bindRoute(pending: PendingRoute, matches: RouteMatch[], binding: Binding): Route {
  const { namespace, name } = binding.virtualService;
  const rule = pending.name ?? pending.index;
  return {
    name: pending.name ?? `${name}.${pending.index}`,
    provenance: { kind: 'VirtualService', namespace, name, rule },
    matches,
    action: bindAction(pending.action, pending, binding),
    rewrite: pending.rewrite,
    headers: pending.headers,
    timeoutMs: pending.timeoutMs,
    retries: pending.retries,
  };
}

function bindAction(action: PendingAction, route: PendingRoute, binding: Binding): Route['action'] {
  if (action.kind === 'respond') return action;
  if (action.kind === 'redirect') {
    const { redirect, status } = action;
    return {
      kind: 'redirect',
      status,
      path: redirect.uri || undefined,
      authority: redirect.authority || undefined,
      scheme: redirect.scheme || undefined,
      port: redirectPort(redirect, binding.port),
    };
  }
  if (action.kind === 'forward') {
    const destinations = action.destinations.map((each) => bindDestination(each, route, binding));
    return { kind: 'forward', destinations };
  }
  const { service } = binding.input;
  const broken = unserved(`${where(route, binding)}: ${action.reason}`);
  const upstream = serviceKey(service);
  const destination = { upstream, host: service.hostname, port: binding.port, weight: 1, broken };
  return { kind: 'forward', destinations: [destination] };
}

function redirectPort(
  redirect: { port?: number; derivePort?: string; scheme?: string },
  requestPort: number,
): number | undefined {
  if (redirect.port) return redirect.port;
  if (redirect.derivePort === 'FROM_REQUEST_PORT') return requestPort;
  if (redirect.derivePort === 'FROM_PROTOCOL_DEFAULT')
    return redirect.scheme === 'https' ? 443 : 80;
  return undefined;
}

function bindDestination(
  pending: PendingDestination,
  route: PendingRoute,
  binding: Binding,
): RouteDestination {
  const { input, virtualService, findings } = binding;
  const { host, subset, weight, headers } = pending;
  const path = `spec.http[${route.index}].route`;
  const target = input.resolve(host, virtualService.namespace);
  // Istio: without a port, a service's only port, else the port of the request (GetDestinationCluster).
  const only = target?.ports.length === 1 ? target.ports[0].servicePort : undefined;
  const port = pending.port ?? only ?? binding.port;
  const upstream =
    target === undefined ? `${virtualService.namespace}/${host}` : serviceKey(target);
  const destination = { upstream, host, port, subset, weight, headers };
  const fail = (message: string, hint: string): RouteDestination => {
    findings.missing(path, `${message}: requests get 503`, hint);
    return { ...destination, broken: unserved(`${where(route, binding)}: ${message}`) };
  };
  if (target === undefined)
    return fail(`host ${host} does not exist`, `create the service ${host}`);
  if (!target.ports.some(({ servicePort }) => servicePort === port))
    return fail(`service ${host} has no port ${port}`, 'name one of its ports in destination.port');
  if (subset !== undefined && !input.subsets(target).has(subset))
    return fail(
      `no DestinationRule defines subset ${subset} of ${host}`,
      `add the subset to the DestinationRule of ${host}`,
    );
  return destination;
}

function where(route: PendingRoute, binding: Binding): string {
  const { namespace, name } = binding.virtualService;
  return `VirtualService ${namespace}/${name} rule ${route.name ?? route.index}`;
}

/** Istio has no cluster for such a destination: Envoy answers 503 with the flag NC (cluster not found). */
function unserved(reason: string): RouteDestination['broken'] {
  return { status: 503, flag: 'NC', reason };
}

/** Every port binds the same rules: say each thing once. */
function distinct(findings: readonly Finding[]): Finding[] {
  const seen = new Map(findings.map((finding) => [finding.path + finding.message, finding]));
  return [...seen.values()];
}
