/** Which badges an object of the configuration gives to which nodes. Pure; what it cannot read gives none. */
import type { Badge } from '../api/graph.ts';
import type { ConfigView } from '../mesh-view.ts';
import type { BadgePicture } from './mesh-picture.ts';

type Json = Readonly<Record<string, unknown>>;

export function badgesOfConfig(
  config: ConfigView,
  clusterDomain = 'cluster.local',
): BadgePicture | undefined {
  const { kind, namespace, name } = config;
  const spec = objectOf(config.object.spec);
  const found = READERS[kind]?.(spec, namespace);
  if (found === undefined || found.badges.length === 0) return undefined;
  const services = found.hosts.map((host) => keyOf(host, namespace, clusterDomain));
  return {
    resource: `${kind} ${namespace}/${name}`,
    badges: [...new Set(found.badges)],
    services: [...new Set(services)],
    workloads: [],
    namespace: found.isOfNamespace ? namespace : '',
  };
}

interface Found {
  readonly hosts: readonly string[];
  readonly badges: readonly Badge[];
  readonly isOfNamespace?: boolean;
}

const READERS: Readonly<Record<string, (spec: Json, namespace: string) => Found>> = {
  VirtualService: virtualService,
  DestinationRule: destinationRule,
  HTTPRoute: gatewayRoute,
  GRPCRoute: gatewayRoute,
  AuthorizationPolicy: authorizationPolicy,
};

function virtualService(spec: Json): Found {
  const rules = [...listOf(spec.http), ...listOf(spec.tcp), ...listOf(spec.tls)];
  const badges: Badge[] = rules.length > 0 ? ['request-routing'] : [];
  for (const rule of rules) {
    if (rule.fault !== undefined) badges.push('fault-injection');
    if (rule.mirror !== undefined || listOf(rule.mirrors).length > 0) badges.push('mirroring');
    if (rule.timeout !== undefined) badges.push('timeout');
    if (rule.retries !== undefined) badges.push('retries');
    if (weighted(listOf(rule.route))) badges.push('traffic-shifting');
  }
  return { hosts: textsOf(spec.hosts), badges };
}

/** Of routes to services: where their rules lead, and the services that they are attached to. */
function gatewayRoute(spec: Json): Found {
  const badges: Badge[] = [];
  const hosts: string[] = [];
  for (const parent of listOf(spec.parentRefs))
    if (parent.kind === 'Service') {
      hosts.push(refHost(parent));
      badges.push('request-routing');
    }
  for (const rule of listOf(spec.rules)) {
    if (weighted(listOf(rule.backendRefs))) badges.push('traffic-shifting');
    if (rule.timeouts !== undefined) badges.push('timeout');
    if (rule.retry !== undefined) badges.push('retries');
    for (const filter of listOf(rule.filters))
      if (filter.type === 'RequestMirror') badges.push('mirroring');
    if (hosts.length === 0)
      for (const backend of listOf(rule.backendRefs)) hosts.push(refHost(backend));
  }
  return { hosts, badges };
}

function destinationRule(spec: Json): Found {
  const policies = [spec, ...listOf(spec.subsets)].map(({ trafficPolicy }) =>
    objectOf(trafficPolicy),
  );
  const isBreaker = policies.some(
    ({ connectionPool, outlierDetection }) =>
      connectionPool !== undefined || outlierDetection !== undefined,
  );
  return { hosts: textsOf([spec.host]), badges: isBreaker ? ['circuit-breaker'] : [] };
}

function authorizationPolicy(spec: Json): Found {
  const refs = [...listOf(spec.targetRefs), ...listOf([spec.targetRef])];
  const hosts = refs.filter(({ kind }) => kind === 'Service').map(refHost);
  const isOfNamespace = refs.length === 0 && spec.selector === undefined;
  return { hosts, badges: ['policy'], isOfNamespace };
}

function weighted(routes: readonly Json[]): boolean {
  return routes.filter(({ weight }) => weight !== 0).length > 1;
}

function refHost({ name, namespace }: Json): string {
  return typeof namespace === 'string' ? `${String(name)}.${namespace}` : String(name);
}

/** `reviews`, `reviews.shop`, `reviews.shop.svc`, or whole. */
function keyOf(host: string, namespace: string, clusterDomain: string): string {
  const parts = host.split('.');
  const whole = (name: string, inName: string) =>
    `${inName}/${name}.${inName}.svc.${clusterDomain}`;
  if (parts.length === 1) return whole(host, namespace);
  if (parts[2] === 'svc')
    return parts.length === 3 ? whole(parts[0], parts[1]) : `${parts[1]}/${host}`;
  return parts.length === 2 ? whole(parts[0], parts[1]) : `${namespace}/${host}`;
}

function objectOf(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Json)
    : {};
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value)
    ? value.filter((each): each is Json => typeof each === 'object' && each !== null)
    : [];
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value)
    ? value.filter((each): each is string => typeof each === 'string')
    : [];
}
