/**
 * The listeners of a Gateway, with those that ListenerSets add: which are in conflict, which route kinds each takes,
 * its TLS, and the conditions of each. Routes are attached to what comes out (attach.ts). Pure.
 */
import type { ServerTls } from '#model/route/gateway-config.ts';
import type { ObjectIdentity } from '../istio-kinds.ts';
import type { Fault, StatusCondition } from './conditions.ts';
import { condition, verdict } from './conditions.ts';
import { ANY_HOST } from './hostnames.ts';
import type { GatewaySpec, ListenerSpec } from './kinds.ts';
import { GATEWAY_GROUP } from './kinds.ts';
import { compileListenerTls } from './listener-tls.ts';
import type { RouteKind } from './route.ts';
import type { TlsLookups } from './tls-material.ts';

export interface ListenerOwner extends ObjectIdentity {
  readonly kind: 'Gateway' | 'ListenerSet';
}

export interface CompiledListener {
  /** `Gateway/shop/web/http`: unique in its Gateway, ListenerSets included. */
  readonly key: string;
  readonly owner: ListenerOwner;
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  /** `*` when it names none. */
  readonly hostname: string;
  readonly supportedKinds: readonly RouteKind[];
  readonly allowedRoutes: ListenerSpec['allowedRoutes'];
  /** Undefined: plaintext or passed through. */
  readonly tls: ServerTls | undefined;
  /** Served: accepted, without conflict, and its TLS is usable. */
  readonly programmed: boolean;
  readonly conditions: readonly StatusCondition[];
}

export interface ListenersInput {
  readonly owner: ListenerOwner;
  readonly spec: GatewaySpec;
  /** Allowed ones that name the Gateway as their parent, in any order. */
  readonly listenerSets: readonly {
    readonly owner: ListenerOwner;
    readonly listeners: readonly ListenerSpec[];
  }[];
  readonly lookups: TlsLookups;
}

const HTTP_KINDS: readonly RouteKind[] = ['HTTPRoute', 'GRPCRoute'];
const HTTP_LIKE = ['HTTP', 'HTTPS', 'TLS'];
/** Of the protocols whose connections are told apart by a host name: by what. */
const TRANSPORT: Readonly<Record<string, string>> = { HTTP: 'plain', HTTPS: 'tls', TLS: 'tls' };
const PROTOCOLS = [...HTTP_LIKE, 'TCP'];

/** The Gateway's own first, then those of the ListenerSets, the oldest first. */
export function compileListeners(input: ListenersInput): CompiledListener[] {
  const { owner, spec, lookups } = input;
  const sets = [...input.listenerSets].sort((left, right) => byAgeAndKey(left.owner, right.owner));
  const all = [{ owner, listeners: spec.listeners ?? [] }, ...sets].flatMap((each) =>
    each.listeners.map((listener) => ({ owner: each.owner, listener })),
  );
  const winners: ListenerSpec[] = [];
  return all.map(({ owner, listener }) => {
    // A listener that lost leaves its place to others (Istio: listener_conflict.go).
    const prior = winners.find((each) => !isDistinct(each, listener));
    if (prior === undefined) winners.push(listener);
    const conflict = prior && conflictOf(prior, listener);
    return compileListener(listener, { owner, gateway: input.owner, conflict, spec, lookups });
  });
}

function compileListener(
  listener: ListenerSpec,
  context: {
    owner: ListenerOwner;
    gateway: ListenerOwner;
    conflict: string | undefined;
    spec: GatewaySpec;
    lookups: TlsLookups;
  },
): CompiledListener {
  const { owner, conflict, spec, lookups } = context;
  const { kinds, unknown } = supportedKinds(listener);
  const referrer = ({ kind, namespace }: ListenerOwner) => ({
    group: GATEWAY_GROUP,
    kind,
    namespace,
  });
  const from = { listener: referrer(owner), gateway: referrer(context.gateway) };
  const {
    tls,
    refs,
    accepted: tlsAccepted,
    usable,
  } = compileListenerTls(listener, spec, from, lookups);
  const accepted = protocolFault(listener) ?? tlsAccepted;
  const conflicted =
    conflict === undefined
      ? undefined
      : { reason: conflict, message: 'another listener of the Gateway has its port and hosts' };
  const badKinds =
    unknown.length === 0
      ? undefined
      : {
          reason: 'InvalidRouteKinds',
          message: `the kinds ${unknown.join(', ')} do not fit the protocol ${listener.protocol}`,
        };
  const unusable = usable
    ? undefined
    : { reason: 'Invalid', message: refs?.message ?? 'its TLS configuration cannot be used' };
  const notServed: Fault | undefined =
    conflicted ?? (accepted && { reason: 'Invalid', message: accepted.message }) ?? unusable;
  const good = (reason: string): Fault => ({ reason, message: 'No errors found' });
  return {
    key: `${owner.kind}/${owner.namespace}/${owner.name}/${listener.name}`,
    owner,
    name: listener.name,
    port: listener.port,
    protocol: listener.protocol,
    hostname: hostnameOf(listener),
    supportedKinds: kinds,
    allowedRoutes: listener.allowedRoutes,
    tls,
    programmed: notServed === undefined,
    conditions: [
      verdict('Accepted', conflicted ?? accepted, good('Accepted')),
      conflicted
        ? condition('Conflicted', 'True', conflicted.reason, conflicted.message)
        : condition('Conflicted', 'False', 'NoConflicts', 'No errors found'),
      verdict('Programmed', notServed, good('Programmed')),
      verdict('ResolvedRefs', badKinds ?? refs, good('ResolvedRefs')),
    ],
  };
}

function hostnameOf(listener: ListenerSpec): string {
  return HTTP_LIKE.includes(listener.protocol)
    ? (listener.hostname || ANY_HOST).toLowerCase()
    : ANY_HOST;
}

function protocolFault({ protocol }: ListenerSpec): Fault | undefined {
  if (PROTOCOLS.includes(protocol)) return undefined;
  const upper = protocol.toUpperCase();
  const hint = PROTOCOLS.includes(upper) ? `: write ${upper}` : '';
  return { reason: 'UnsupportedProtocol', message: `protocol ${protocol} is not supported${hint}` };
}

/** What the protocol allows, of that what `allowedRoutes.kinds` names, and what it names besides. */
function supportedKinds(listener: ListenerSpec): { kinds: RouteKind[]; unknown: string[] } {
  const kinds = [...kindsOf(listener)];
  const wanted = listener.allowedRoutes?.kinds ?? [];
  if (wanted.length === 0) return { kinds, unknown: [] };
  const isOf = (kind: RouteKind, { group = GATEWAY_GROUP, kind: name }: (typeof wanted)[number]) =>
    group === GATEWAY_GROUP && name === kind;
  return {
    kinds: kinds.filter((kind) => wanted.some((each) => isOf(kind, each))),
    unknown: wanted
      .filter((each) => !kinds.some((kind) => isOf(kind, each)))
      .map(({ kind }) => kind),
  };
}

function kindsOf({ protocol, tls }: ListenerSpec): readonly RouteKind[] {
  switch (protocol) {
    case 'HTTP':
    case 'HTTPS':
      return HTTP_KINDS;
    case 'TCP':
      return ['TCPRoute'];
    case 'TLS':
      return tls?.mode === 'Passthrough' ? ['TLSRoute'] : ['TLSRoute', 'TCPRoute'];
    default:
      return [];
  }
}

/** Whether a connection can be told to belong to one of the two ("Distinct Listeners" of the specification). */
function isDistinct(left: ListenerSpec, right: ListenerSpec): boolean {
  if (left.port !== right.port) return true;
  // Where TLS is spoken, only TLS is: its first bytes tell nothing of the host that plain HTTP names later.
  const isSame =
    TRANSPORT[left.protocol] !== undefined &&
    TRANSPORT[left.protocol] === TRANSPORT[right.protocol];
  return isSame && hostnameOf(left) !== hostnameOf(right);
}

function conflictOf(prior: ListenerSpec, listener: ListenerSpec): string {
  const isSame = prior.protocol === listener.protocol && HTTP_LIKE.includes(listener.protocol);
  return isSame ? 'HostnameConflict' : 'ProtocolConflict';
}

/** The oldest first, then by `namespace/name`. */
export function byAgeAndKey(left: ObjectIdentity, right: ObjectIdentity): number {
  const leftKey = `${left.namespace}/${left.name}`;
  const rightKey = `${right.namespace}/${right.name}`;
  if (left.createdAt !== right.createdAt) return left.createdAt < right.createdAt ? -1 : 1;
  if (leftKey === rightKey) return 0;
  return leftKey < rightKey ? -1 : 1;
}
