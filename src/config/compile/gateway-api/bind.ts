/**
 * A compiled route bound to the services that exist now: each rule as the model's route without its matches, or for bytes
 * its destinations. A backend that cannot be used keeps its share and answers for it (HTTPRouteRule.backendRefs); the
 * fault is the route's ResolvedRefs condition. Pure; the caller hands in the look-ups.
 */
import type {
  L4Route,
  Mirror,
  Provenance,
  RetryPolicy,
  Route,
  RouteDestination,
} from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import { DEFAULT_RETRIES } from '../http-features.ts';
import type { Fault } from './conditions.ts';
import type { PendingMirror } from './filters.ts';
import type { BackendRef } from './kinds.ts';
import { GATEWAY_GROUP } from './kinds.ts';
import type { RankedMatch } from './match.ts';
import type { Granted } from './references.ts';
import { describeReferent, ISTIO_GROUP, referentOf, SERVICE } from './references.ts';
import type { CompiledRoute, PendingAction, PendingBackend, PendingRule } from './route.ts';

export interface BackendLookups {
  /** By namespace and name of the Kubernetes Service. */
  readonly service: (namespace: string, name: string) => Service | undefined;
  /** By full host name, as seen from a namespace. */
  readonly host: (hostname: string, namespace: string) => Service | undefined;
  /** Undefined: not asked, as for traffic within the mesh, where any client may call any service (as Istio). */
  readonly granted: Granted | undefined;
  /** meshConfig.defaultHttpRetryPolicy. */
  readonly defaultRetries?: RetryPolicy;
}

export interface BoundRule {
  readonly index: number;
  readonly matches: readonly RankedMatch[];
  /** Of HTTPRoutes and GRPCRoutes; a redirect's port is absent when the listener's decides. */
  readonly route: Omit<Route, 'matches'>;
}

export interface BoundRoute {
  readonly route: CompiledRoute;
  readonly rules: readonly BoundRule[];
  /** Of TCPRoutes and TLSRoutes. */
  readonly l4: readonly Omit<L4Route, 'matches'>[];
  /** A reference that cannot be used. */
  readonly refs: Fault | undefined;
}

/** Statuses for requests that a rule cannot send on: HTTPRouteRule and GRPCRouteRule (UNAVAILABLE) of the specification. */
const FAIL_STATUS = { HTTPRoute: 500, GRPCRoute: 503, TCPRoute: 500, TLSRoute: 500 } as const;
const SERVICE_IMPORT = { group: 'multicluster.x-k8s.io', kind: 'ServiceImport' };

export function bindRoute(route: CompiledRoute, lookups: BackendLookups): BoundRoute {
  const faults: Fault[] = route.problems.filter(({ condition }) => condition === 'ResolvedRefs');
  const binder = new Binder(route, lookups, faults);
  const isBytes = route.kind === 'TCPRoute' || route.kind === 'TLSRoute';
  const rules = isBytes ? [] : route.rules.map((rule) => binder.bindRule(rule));
  const l4 = isBytes ? route.rules.map((rule) => binder.bindBytes(rule)) : [];
  const messages = [...new Set(faults.map(({ message }) => message))];
  const refs =
    faults.length === 0 ? undefined : { reason: faults[0].reason, message: messages.join('; ') };
  return { route, rules, l4, refs };
}

class Binder {
  readonly #route: CompiledRoute;
  readonly #lookups: BackendLookups;
  readonly #faults: Fault[];

  constructor(route: CompiledRoute, lookups: BackendLookups, faults: Fault[]) {
    this.#route = route;
    this.#lookups = lookups;
    this.#faults = faults;
  }

  bindRule(rule: PendingRule): BoundRule {
    const { index, matches, headers, rewrite, cors, timeoutMs, perTryTimeoutMs } = rule;
    const retries = rule.retries ?? this.#lookups.defaultRetries ?? DEFAULT_RETRIES;
    const mirrors = rule.mirrors.map((mirror) => this.#bindMirror(mirror, rule));
    return {
      index,
      matches,
      route: {
        ...this.#named(rule),
        action: this.#bindAction(rule.action, rule),
        ...(rewrite && { rewrite }),
        ...(headers && { headers }),
        ...(mirrors.length > 0 && { mirrors }),
        ...(cors && { cors }),
        ...(timeoutMs !== undefined && { timeoutMs }),
        retries: perTryTimeoutMs === undefined ? retries : { ...retries, perTryTimeoutMs },
        fixedShares: true,
      },
    };
  }

  bindBytes(rule: PendingRule): Omit<L4Route, 'matches'> {
    const { action } = rule;
    const destinations =
      action.kind === 'forward'
        ? action.backends.map((backend) => this.#bindBackend(backend, rule))
        : [{ ...NOWHERE, broken: this.#broken(rule, action.kind === 'fail' ? action.reason : '') }];
    return { ...this.#named(rule), destinations };
  }

  #named(rule: PendingRule): { name: string; provenance: Provenance } {
    const { kind, namespace, name } = this.#route;
    return {
      // As Istio names them (conversion.go): the logs of either read alike.
      name: rule.name ?? `${namespace}.${name}.${rule.index}`,
      provenance: { kind, namespace, name, rule: rule.name ?? rule.index },
    };
  }

  #bindAction(action: PendingAction, rule: PendingRule): Route['action'] {
    if (action.kind === 'redirect') return { kind: 'redirect', ...action.redirect };
    if (action.kind === 'fail')
      return { kind: 'respond', status: FAIL_STATUS[this.#route.kind], body: action.reason };
    const destinations = action.backends.map((backend) => this.#bindBackend(backend, rule));
    return { kind: 'forward', destinations };
  }

  #bindBackend(backend: PendingBackend, rule: PendingRule): RouteDestination {
    const { ref, weight, headers, rewrite, redirect, failed } = backend;
    const { fault, ...target } = this.#resolve(ref);
    const mirrors = backend.mirrors.map((mirror) => this.#bindMirror(mirror, rule));
    const reason =
      fault?.message ?? (failed ? 'a filter of the backend is not supported' : undefined);
    return {
      ...target,
      weight,
      ...(headers && { headers }),
      ...(rewrite && { rewrite }),
      ...(redirect && { redirect }),
      ...(mirrors.length > 0 && { mirrors }),
      ...(reason !== undefined && { broken: this.#broken(rule, reason) }),
    };
  }

  #bindMirror({ ref, percent }: PendingMirror, rule: PendingRule): Mirror {
    const { fault, ...target } = this.#resolve(ref);
    return { ...target, percent, ...(fault && { broken: this.#broken(rule, fault.message) }) };
  }

  /** Istio's gateway semantics: a cluster that does not exist is answered 500, flag NC. */
  #broken(rule: PendingRule, message: string): NonNullable<RouteDestination['broken']> {
    const { kind, namespace, name } = this.#route;
    const reason = `${kind} ${namespace}/${name} rule ${rule.name ?? rule.index}: ${message}`;
    return { status: FAIL_STATUS[kind], flag: 'NC', reason };
  }

  #resolve(
    ref: BackendRef,
  ): Pick<RouteDestination, 'upstream' | 'host' | 'port'> & { fault?: Fault } {
    const { namespace, kind } = this.#route;
    const to = referentOf(ref, { ...SERVICE, namespace });
    const named = { upstream: `${to.namespace}/${to.name}`, host: to.name, port: ref.port ?? 0 };
    const fail = (reason: string, message: string) => {
      const fault = { reason, message };
      this.#faults.push(fault);
      return { ...named, fault };
    };
    const from = { group: GATEWAY_GROUP, kind, namespace };
    // Asked before anything is looked up: a status must not tell whether the referent exists.
    if (this.#lookups.granted?.(from, to) === false)
      return fail(
        'RefNotPermitted',
        `no ReferenceGrant in ${to.namespace} lets a ${kind} of ${namespace} refer to ${to.kind} ${to.name}`,
      );
    const isOf = (other: { group: string; kind: string }) =>
      to.group === other.group && to.kind === other.kind;
    const isHost = isOf({ group: ISTIO_GROUP, kind: 'Hostname' });
    const isService =
      isOf(SERVICE) || isOf({ group: 'core', kind: 'Service' }) || isOf(SERVICE_IMPORT);
    if (!isHost && !isService)
      return fail(
        'InvalidKind',
        `backends of group "${to.group}" and kind ${to.kind} are not supported`,
      );
    const service = isHost
      ? this.#lookups.host(to.name, namespace)
      : this.#lookups.service(to.namespace, to.name);
    if (service === undefined)
      return fail('BackendNotFound', `${describeReferent(to)} does not exist`);
    const found = { upstream: serviceKey(service), host: service.hostname };
    Object.assign(named, found);
    if (ref.port === undefined)
      return fail('InvalidDestination', `a port is required for ${describeReferent(to)}`);
    if (!service.ports.some(({ servicePort }) => servicePort === ref.port))
      return fail('BackendNotFound', `${describeReferent(to)} has no port ${ref.port}`);
    return named;
  }
}

const NOWHERE = { upstream: '', host: '', port: 0, weight: 1 };
