/**
 * Our own kinds, compiled: `LocalRateLimit` and `LoadShedding` to what proxies enforce, with the targets that they are bound to. The
 * API server has checked the schema where ours or the CRD's validation runs; what comes from a file is checked here.
 */
import type { GatewayConfig } from '#model/route/gateway-config.ts';
import type { Provenance, Route, RouteTable } from '#model/route/route-table.ts';
import type { LoadShedding, RateLimit, RateLimitKey } from '#model/route/traffic-limits.ts';
import { type Compiled, Findings } from './finding.ts';
import { type ConfigObject, identityOf, type ObjectIdentity } from './istio-kinds.ts';
import { duration } from './scalars.ts';

export interface LimitTargetSpec {
  group?: string;
  kind?: string;
  name?: string;
  sectionName?: string;
}
export interface LocalRateLimitSpec {
  targetRefs?: LimitTargetSpec[];
  limits?: { requests?: number; unit?: string; burst?: number; key?: string; header?: string }[];
}
export interface LoadSheddingSpec {
  targetRefs?: LimitTargetSpec[];
  maxRequests?: number;
  adaptive?: { minRequests?: number; tolerancePercent?: number };
  eventLoopLag?: string;
  priority?: { header?: string; classes?: string[] };
  retryAfterSeconds?: number;
}
export type LocalRateLimitObject = ConfigObject<LocalRateLimitSpec>;
export type LoadSheddingObject = ConfigObject<LoadSheddingSpec>;

/** `Kind/namespace/name`, as other policies' targets are keyed; a route of it when named. */
export interface LimitTarget {
  readonly key: string;
  readonly routeName: string | undefined;
}

export interface BoundRateLimit {
  readonly identity: ObjectIdentity;
  readonly targets: readonly LimitTarget[];
  readonly limits: readonly RateLimit[];
}

export interface BoundLoadShedding {
  readonly identity: ObjectIdentity;
  readonly targets: readonly LimitTarget[];
  readonly shedding: LoadShedding;
}

const UNIT_MS: Readonly<Record<string, number>> = {
  Second: 1_000,
  Minute: 60_000,
  Hour: 3_600_000,
  Day: 86_400_000,
};
const CORE = '';
const GATEWAY = 'gateway.networking.k8s.io';
const NETWORKING = 'networking.istio.io';
/** Kinds that may be named, with their groups. */
const PLACES: Readonly<Record<string, string>> = {
  Service: CORE,
  ServiceEntry: NETWORKING,
  Gateway: GATEWAY,
};
const ROUTES: Readonly<Record<string, string>> = {
  VirtualService: NETWORKING,
  HTTPRoute: GATEWAY,
  GRPCRoute: GATEWAY,
};
/** Istio's and the Gateway API's defaults do not exist: answer times doubled are felt, and ten requests always fit. */
const TOLERANCE_PERCENT = 200;
const MIN_REQUESTS = 10;

export function compileLocalRateLimit(object: LocalRateLimitObject): Compiled<BoundRateLimit> {
  const identity = identityOf(object);
  const findings = new Findings('LocalRateLimit', identity);
  const spec = object.spec ?? {};
  const targets = targetsOf(spec.targetRefs, identity, findings, { ...PLACES, ...ROUTES });
  const { namespace, name } = identity;
  const provenance: Provenance = { kind: 'LocalRateLimit', namespace, name };
  if ((spec.limits ?? []).length === 0) {
    findings.invalid('spec.limits', 'no limit is given', 'give at least one limit');
  }
  const limits = (spec.limits ?? []).map((limit, at): RateLimit => {
    const path = `spec.limits[${at}]`;
    const { requests = 0, unit = '', burst = requests } = limit;
    positive(requests, `${path}.requests`, findings);
    positive(burst, `${path}.burst`, findings);
    const unitMs = UNIT_MS[unit] ?? 0;
    if (unitMs === 0) {
      const known = Object.keys(UNIT_MS).join(', ');
      findings.invalid(`${path}.unit`, `${JSON.stringify(unit)} is none of ${known}`);
    }
    const key = keyOf(limit, path, findings);
    return { id: `${namespace}/${name}/${at}`, provenance, key, requests, unitMs, burst };
  });
  const value = findings.failed ? undefined : { identity, targets, limits };
  return { value, findings: findings.list };
}

export function compileLoadShedding(object: LoadSheddingObject): Compiled<BoundLoadShedding> {
  const identity = identityOf(object);
  const findings = new Findings('LoadShedding', identity);
  const spec = object.spec ?? {};
  const targets = targetsOf(spec.targetRefs, identity, findings, PLACES);
  const { maxRequests, adaptive, priority } = spec;
  const eventLoopLagMs = duration(spec.eventLoopLag, 'spec.eventLoopLag', findings);
  if (maxRequests === undefined && adaptive === undefined && eventLoopLagMs === undefined) {
    const message =
      'none of maxRequests, adaptive and eventLoopLag is given: nothing would be shed';
    findings.invalid('spec', message, 'give one of them');
  }
  if (maxRequests !== undefined) positive(maxRequests, 'spec.maxRequests', findings);
  const { minRequests = MIN_REQUESTS, tolerancePercent = TOLERANCE_PERCENT } = adaptive ?? {};
  positive(minRequests, 'spec.adaptive.minRequests', findings);
  if (tolerancePercent <= 100) {
    const message = `${tolerancePercent} % leaves no room: the unloaded answer time is 100 %`;
    findings.invalid('spec.adaptive.tolerancePercent', message, 'use more than 100, such as 200');
  }
  if (maxRequests !== undefined && adaptive !== undefined && minRequests > maxRequests) {
    const message = `${minRequests} is more than maxRequests, ${maxRequests}`;
    findings.invalid('spec.adaptive.minRequests', message);
  }
  const classes = priority?.classes ?? [];
  if (priority !== undefined && (!priority.header || new Set(classes).size < 2)) {
    const message = 'a priority needs a header and at least two different classes';
    findings.invalid('spec.priority', message);
  }
  const { namespace, name } = identity;
  const shedding: LoadShedding = {
    id: `${namespace}/${name}`,
    provenance: { kind: 'LoadShedding', namespace, name },
    retryAfterSeconds: spec.retryAfterSeconds ?? 1,
    ...(maxRequests !== undefined && { maxRequests }),
    ...(adaptive !== undefined && { adaptive: { minRequests, tolerancePercent } }),
    ...(eventLoopLagMs !== undefined && { eventLoopLagMs }),
    ...(priority?.header && { priority: { header: priority.header.toLowerCase(), classes } }),
  };
  const value = findings.failed ? undefined : { identity, targets, shedding };
  return { value, findings: findings.list };
}

/** What of the limits a place is bound by. */
export interface BoundLimits {
  readonly rates: readonly BoundRateLimit[];
  readonly sheddings: readonly BoundLoadShedding[];
  /** By `Kind/namespace/name` of the object that a route came from. */
  readonly ofRoute: (key: string) => readonly BoundRateLimit[];
}

/** The table with the limits that are bound to it and to its routes; the same table when there are none. */
export function withLimits(table: RouteTable, bound: BoundLimits): RouteTable {
  const ports = mapSame(table.ports, (port) => {
    const routes = mapSame(port.routes, (route) => withRouteLimits(route, bound));
    return routes === port.routes ? port : { ...port, routes };
  });
  return withOwnLimits(ports === table.ports ? table : { ...table, ports }, bound);
}

/** The same for a gateway. */
export function withGatewayLimits(config: GatewayConfig, bound: BoundLimits): GatewayConfig {
  const listeners = mapSame(config.listeners, (listener) => {
    const servers = mapSame(listener.servers, (server) => {
      const virtualHosts = mapSame(server.virtualHosts, (host) => {
        const routes = mapSame(host.routes, (route) => withRouteLimits(route, bound));
        return routes === host.routes ? host : { ...host, routes };
      });
      return virtualHosts === server.virtualHosts ? server : { ...server, virtualHosts };
    });
    return servers === listener.servers ? listener : { ...listener, servers };
  });
  return withOwnLimits(listeners === config.listeners ? config : { ...config, listeners }, bound);
}

function withOwnLimits<T extends object>(value: T, { rates, sheddings }: BoundLimits): T {
  if (rates.length === 0 && sheddings.length === 0) return value;
  return {
    ...value,
    ...(rates.length > 0 && { rateLimits: rates.flatMap(({ limits }) => limits) }),
    ...(sheddings.length > 0 && { shedding: sheddings.map(({ shedding }) => shedding) }),
  };
}

/** The given list itself when nothing in it changes: what did not change is not compiled again. */
function mapSame<T>(list: readonly T[], change: (each: T) => T): readonly T[] {
  const changed = list.map(change);
  return changed.some((each, at) => each !== list[at]) ? changed : list;
}

function withRouteLimits(route: Route, { ofRoute }: BoundLimits): Route {
  const { kind, namespace, name } = route.provenance;
  const key = `${kind}/${namespace}/${name}`;
  const rateLimits = ofRoute(key)
    .filter(({ targets }) => targets.some((target) => takesRoute(target, key, route.name)))
    .flatMap(({ limits }) => limits);
  return rateLimits.length === 0 ? route : { ...route, rateLimits };
}

function takesRoute({ key, routeName }: LimitTarget, of: string, name: string): boolean {
  return key === of && (routeName === undefined || routeName === name);
}

function targetsOf(
  refs: readonly LimitTargetSpec[] | undefined,
  { namespace }: ObjectIdentity,
  findings: Findings,
  known: Readonly<Record<string, string>>,
): LimitTarget[] {
  if (refs === undefined || refs.length === 0) {
    findings.invalid('spec.targetRefs', 'no target is given', 'name what the object is for');
    return [];
  }
  return refs.map(({ group = '', kind = '', name = '', sectionName }, at) => {
    const path = `spec.targetRefs[${at}]`;
    const expected = known[kind];
    if (expected === undefined) {
      const kinds = Object.keys(known).join(', ');
      findings.invalid(`${path}.kind`, `${JSON.stringify(kind)} is none of ${kinds}`);
    } else if (group !== expected) {
      const wanted = JSON.stringify(expected);
      findings.invalid(
        `${path}.group`,
        `the group of ${kind} is ${wanted}, not ${JSON.stringify(group)}`,
        `set group: ${wanted}`,
      );
    }
    if (name === '') findings.invalid(`${path}.name`, 'the target has no name');
    if (sectionName !== undefined && ROUTES[kind] === undefined) {
      findings.invalid(`${path}.sectionName`, `a ${kind} has no routes to name`);
    }
    return { key: `${kind}/${namespace}/${name}`, routeName: sectionName };
  });
}

function keyOf(
  { key = 'Overall', header }: { key?: string; header?: string },
  path: string,
  findings: Findings,
): RateLimitKey {
  switch (key) {
    case 'Header':
      if (header) return { kind: 'header', name: header.toLowerCase() };
      findings.invalid(`${path}.header`, 'key Header needs a header');
      break;
    case 'SourceIdentity':
      return { kind: 'source-identity' };
    case 'SourceAddress':
      return { kind: 'source-address' };
    case 'Overall':
      break;
    default:
      findings.invalid(
        `${path}.key`,
        `${JSON.stringify(key)} is none of Overall, SourceIdentity, SourceAddress, Header`,
      );
  }
  return { kind: 'overall' };
}

function positive(value: number, path: string, findings: Findings): void {
  if (Number.isInteger(value) && value > 0) return;
  findings.invalid(path, `${JSON.stringify(value)} is no positive whole number`);
}
