/**
 * The `RouteTable` of one service: the VirtualService in force bound to the services and subsets that exist now,
 * or one default route a port. Pure; the caller hands in the look-ups.
 */
import type { L4Route, RetryPolicy, Route, RouteTable } from '#model/route/route-table.ts';
import type { Service, ServicePort } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { RouteBinding } from './bind-route.ts';
import { bindHttpRules, bindL4Rules } from './bind-route.ts';
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';
import { DEFAULT_RETRIES } from './http-features.ts';
import type { RouteProxy } from './source-condition.ts';
import type { TargetLookup } from './target.ts';
import type { CompiledVirtualService } from './virtual-service.ts';
import { selectVirtualService, visibleVirtualServices } from './virtual-service.ts';

export interface RouteTableInput extends TargetLookup {
  readonly service: Service;
  /** Delegates merged. */
  readonly virtualServices: Iterable<CompiledVirtualService>;
  readonly proxy: RouteProxy;
  /** meshConfig.defaultHttpRetryPolicy; undefined = Istio's own. */
  readonly defaultRetries?: RetryPolicy;
  /**
   * Routes of the Gateway API attached to a service port. Where there are some, VirtualServices have no say for that
   * port: the two are never mixed (Istio: a converted HTTPRoute hides VirtualServices of the same host).
   */
  readonly attached?: (port: number) => readonly Route[] | undefined;
  /** The same for bytes: TCPRoutes and TLSRoutes. */
  readonly attachedL4?: (port: number) => readonly L4Route[] | undefined;
}

export interface RouteTableResult {
  readonly table: RouteTable;
  readonly findings: readonly Finding[];
}

type PortRoutes = RouteTable['ports'][0];

export function buildRouteTable(input: RouteTableInput): RouteTableResult {
  const { service, proxy } = input;
  const findings: Finding[] = [];
  const visible = visibleVirtualServices(input.virtualServices, proxy);
  const { selected, others } = selectVirtualService(
    service.hostname,
    visible.filter((each) => mayRoute(each, input)),
  );
  for (const other of others) findings.push(...conflictWith(selected, other, service.hostname));
  for (const each of visible)
    if (!mayRoute(each, input) && selectVirtualService(service.hostname, [each]).selected)
      findings.push(...foreign(each, input));
  const own = selected && new Findings('VirtualService', selected);
  const hidden: number[] = [];
  const ports = service.ports.map((port): PortRoutes => {
    const attached = input.attached?.(port.servicePort);
    const l4Routes = input.attachedL4?.(port.servicePort);
    if (attached === undefined && l4Routes === undefined)
      return portRoutes(port, input, selected, own);
    hidden.push(port.servicePort);
    const routes = attached ?? [defaultRoute(service, port.servicePort, input.defaultRetries)];
    return {
      port: port.servicePort,
      protocol: port.appProtocol,
      routes,
      ...(l4Routes && { l4Routes }),
    };
  });
  if (hidden.length > 0)
    own?.ineffective(
      'spec.hosts',
      `routes of the Gateway API are attached to ${service.hostname} port ${hidden.join(', ')} and take its place`,
      { hint: 'move its rules into the HTTPRoute, or delete one of the two' },
    );
  findings.push(...distinct(own?.list ?? []));
  const { namespace, hostname } = service;
  const addresses = service.addresses.map(({ address, length }) =>
    length === undefined ? address : `${address}/${length}`,
  );
  return { table: { namespace, hostname, addresses, ports }, findings };
}

/** A waypoint takes rules from the service's namespace and its own only: nobody else's may steer the traffic. */
function mayRoute(each: CompiledVirtualService, { service, proxy }: RouteTableInput): boolean {
  // As Istio (listener_waypoint.go getVirtualServiceForWaypoint).
  const isWaypoint = proxy.labels === undefined;
  return !isWaypoint || each.namespace === service.namespace || each.namespace === proxy.namespace;
}

function conflictWith(
  selected: CompiledVirtualService | undefined,
  other: CompiledVirtualService,
  hostname: string,
): readonly Finding[] {
  const conflict = new Findings('VirtualService', other);
  const older = `${selected?.namespace}/${selected?.name}`;
  const hint = `merge its rules into VirtualService ${older}, or delete one of them`;
  conflict.conflict('spec.hosts', `${hostname} belongs to the older ${older}`, hint);
  return conflict.list;
}

function foreign(
  each: CompiledVirtualService,
  { service, proxy }: RouteTableInput,
): readonly Finding[] {
  const findings = new Findings('VirtualService', each);
  const message = `the waypoint of ${service.hostname} takes routes from namespaces ${[...new Set([service.namespace, proxy.namespace])].join(' and ')} only`;
  findings.ineffective('spec.hosts', message, {
    hint: `move it to namespace ${service.namespace}`,
  });
  return findings.list;
}

function portRoutes(
  { servicePort: port, appProtocol: protocol }: ServicePort,
  input: RouteTableInput,
  selected: CompiledVirtualService | undefined,
  findings: Findings | undefined,
): PortRoutes {
  const { service, proxy, defaultRetries } = input;
  const fallback = [defaultRoute(service, port, defaultRetries)];
  if (selected === undefined || findings === undefined) return { port, protocol, routes: fallback };
  const to = { virtualService: selected, proxy, port, isTls: false };
  const binding: RouteBinding = { ...to, lookup: input, defaultRetries, findings };
  // Undeclared ports are sniffed: their HTTP requests follow the same routes.
  const isHttp = protocol !== 'tcp' && protocol !== 'tls';
  const routes = isHttp && selected.http.length > 0 ? bindHttpRules(binding) : fallback;
  const l4Routes = bindBytes(binding, protocol, service);
  return { port, protocol, routes, ...(l4Routes && { l4Routes }) };
}

/** What becomes of bytes: undefined where no rule is about them. */
function bindBytes(
  binding: RouteBinding,
  protocol: ServicePort['appProtocol'],
  service: Service,
): L4Route[] | undefined {
  const { tls, tcp } = binding.virtualService;
  if (protocol === 'tls') {
    const routes = bindL4Rules(tls, binding);
    return routes.length === 0 ? undefined : routes;
  }
  if (protocol !== 'tcp' && protocol !== 'unknown') return undefined;
  const rules = protocol === 'unknown' ? [...tls, ...tcp] : tcp;
  const routes = bindL4Rules(rules, binding);
  if (routes.length === 0) return undefined;
  // As Istio: what no TCP rule takes goes to the service itself (tls.go buildSidecarOutboundTCPFilterChainOpts).
  return [...routes, defaultL4Route(service, binding.port)];
}

export function defaultRoute(
  service: Service,
  port: number,
  retries: RetryPolicy = DEFAULT_RETRIES,
): Route {
  const { namespace, name } = service;
  return {
    name: 'default',
    provenance: { kind: 'Service', namespace, name },
    matches: [],
    action: { kind: 'forward', destinations: [itself(service, port)] },
    retries,
  };
}

function defaultL4Route(service: Service, port: number): L4Route {
  const { namespace, name } = service;
  return {
    name: 'default',
    provenance: { kind: 'Service', namespace, name },
    matches: [],
    destinations: [itself(service, port)],
  };
}

function itself(service: Service, port: number) {
  return { upstream: serviceKey(service), host: service.hostname, port, weight: 1 };
}

/** Every port binds the same rules: say each thing once. */
function distinct(findings: readonly Finding[]): Finding[] {
  const seen = new Map(findings.map((finding) => [finding.path + finding.message, finding]));
  return [...seen.values()];
}
