/**
 * L4 authorization as ztunnel decides it (src/rbac.rs, src/state.rs): enforced DENY first, then no ALLOW at all means
 * allow, then any matching ALLOW, else deny. Pure; the same function answers `why` and the proxies. Dry-run
 * policies never change the verdict: what they would have done is reported beside it.
 */
import {
  type AddressRange,
  type Authorization,
  type AuthorizationMatch,
  NEEDS_WAYPOINT_PREFIX,
  type ServiceAccountMatch,
  type StringMatch,
  type Verdict,
} from '#model/authorization/authorization.ts';
import { type Identity, parseIdentity } from '#model/identity/spiffe.ts';
import { ALLOW_NAMES_MAX } from '../limits.ts';
import { parseAddress, rangeContains } from './address.ts';

/** What is known about a connection before its first byte goes on. */
export interface L4Connection {
  readonly sourceIp: string;
  /** Full `spiffe://…` that TLS proved; undefined on plaintext. */
  readonly sourcePrincipal: string | undefined;
  /** The resolved upstream, not the virtual address. */
  readonly destinationIp: string;
  readonly destinationPort: number;
}

export interface L4Verdict extends Verdict {
  /** One sentence for each dry-run policy that matched. */
  readonly dryRun: readonly string[];
}

const SCHEME = 'spiffe://';
const NOTHING: readonly string[] = [];

/** `authorizations` are those that apply to the destination workload (see policy-index.ts). */
export function evaluateL4(
  authorizations: readonly Authorization[],
  connection: L4Connection,
): L4Verdict {
  if (authorizations.length === 0) {
    return { allow: true, reason: 'no policy applies', policy: undefined, dryRun: NOTHING };
  }
  const facts = new Facts(connection);
  const dryRun = dryRunNotes(authorizations, facts);
  let hasAllow = false;
  for (const policy of authorizations) {
    if (policy.dryRun) continue;
    if (policy.action === 'allow') hasAllow = true;
    else if (matchesPolicy(policy, facts)) {
      const { object, note } = originOf(policy);
      const reason = `explicitly denied by: ${object}${note}`;
      return { allow: false, reason, policy: object, dryRun };
    }
  }
  if (!hasAllow) {
    return { allow: true, reason: 'no ALLOW policy applies', policy: undefined, dryRun };
  }
  const allowedBy = allowing(authorizations, facts);
  if (allowedBy === undefined) {
    return { allow: false, ...noneAllowed(authorizations), dryRun };
  }
  const policyName = nameOf(allowedBy);
  return { allow: true, reason: `allowed by: ${policyName}`, policy: policyName, dryRun };
}

function allowing(
  authorizations: readonly Authorization[],
  facts: Facts,
): Authorization | undefined {
  for (const policy of authorizations) {
    if (policy.action === 'allow' && !policy.dryRun && matchesPolicy(policy, facts)) return policy;
  }
  return undefined;
}

function noneAllowed(authorizations: readonly Authorization[]): Pick<Verdict, 'reason' | 'policy'> {
  const names: string[] = [];
  for (const policy of authorizations)
    if (policy.action === 'allow' && !policy.dryRun) names.push(nameOf(policy));
  const shown = names.slice(0, ALLOW_NAMES_MAX).join(', ');
  const others =
    names.length > ALLOW_NAMES_MAX ? ` and ${names.length - ALLOW_NAMES_MAX} more` : '';
  return {
    reason: `allow policies exist, but none allowed: ${shown}${others}`,
    policy: names[0],
  };
}

const STATIC_STRICT = 'istio_converted_static_strict';
const CONVERTED_PREFIX = 'converted_peer_authentication_';

/** The object behind a policy: what was made of another kind, or of a part of one, leads its owner to the whole. */
function originOf(policy: Authorization): { object: string; note: string } {
  const { name, namespace } = policy;
  const demand = 'which demands mutual TLS';
  if (name === STATIC_STRICT)
    return { object: nameOf(policy), note: ` (a STRICT PeerAuthentication, ${demand})` };
  if (name.startsWith(CONVERTED_PREFIX)) {
    const object = `${namespace}/${name.slice(CONVERTED_PREFIX.length)}`;
    return { object: nameOf(policy), note: ` (PeerAuthentication ${object}, ${demand})` };
  }
  if (!name.startsWith(NEEDS_WAYPOINT_PREFIX)) return { object: nameOf(policy), note: '' };
  const object = `${namespace}/${name.slice(NEEDS_WAYPOINT_PREFIX.length)}`;
  // Sound for a root policy too: the waypoint belongs where the destination is.
  const remedy = `tulle waypoint apply -n NAMESPACE, or annotate the policy with tulle.dev/unenforced-policy=ignore`;
  return {
    object,
    note: ` (only a waypoint can judge it, and the connection came past none: ${remedy})`,
  };
}

/** What matches look at, read from the connection when the first match asks for it. */
class Facts {
  readonly destinationPort: number;
  /** Without the scheme, as policies write it; undefined on plaintext. */
  readonly principal: string | undefined;
  readonly #connection: L4Connection;
  #identity: Identity | null | undefined = undefined;
  #sourceIp: Uint8Array | null | undefined = undefined;
  #destinationIp: Uint8Array | null | undefined = undefined;

  constructor(connection: L4Connection) {
    const { sourcePrincipal } = connection;
    const isSpiffe = sourcePrincipal?.startsWith(SCHEME) === true;
    this.destinationPort = connection.destinationPort;
    this.principal = isSpiffe ? sourcePrincipal?.slice(SCHEME.length) : sourcePrincipal;
    this.#connection = connection;
  }

  get identity(): Identity | null {
    if (this.#identity === undefined)
      this.#identity = parseIdentity(this.#connection.sourcePrincipal ?? '') ?? null;
    return this.#identity;
  }

  get sourceIp(): Uint8Array | null {
    if (this.#sourceIp === undefined)
      this.#sourceIp = parseAddress(this.#connection.sourceIp) ?? null;
    return this.#sourceIp;
  }

  get destinationIp(): Uint8Array | null {
    if (this.#destinationIp === undefined)
      this.#destinationIp = parseAddress(this.#connection.destinationIp) ?? null;
    return this.#destinationIp;
  }
}

function nameOf(policy: Authorization): string {
  return `${policy.namespace}/${policy.name}`;
}

function dryRunNotes(authorizations: readonly Authorization[], facts: Facts): readonly string[] {
  let notes: string[] | undefined;
  for (const policy of authorizations) {
    if (!policy.dryRun || !matchesPolicy(policy, facts)) continue;
    notes ??= [];
    notes.push(`dry-run: ${policy.action} policy match: ${nameOf(policy)}`);
  }
  return notes ?? NOTHING;
}

/** OR of rules: no rules, never. A rule without clauses matches everything. */
function matchesPolicy(policy: Authorization, facts: Facts): boolean {
  for (const { clauses } of policy.rules) if (matchesRule(clauses, facts)) return true;
  return false;
}

function matchesRule(clauses: readonly (readonly AuthorizationMatch[])[], facts: Facts): boolean {
  for (const clause of clauses) if (!matchesClause(clause, facts)) return false;
  return true;
}

/** A clause without matches holds; one made only of empty matches does not. */
function matchesClause(clause: readonly AuthorizationMatch[], facts: Facts): boolean {
  if (clause.length === 0) return true;
  for (const match of clause) if (!isEmpty(match) && matchesAll(match, facts)) return true;
  return false;
}

function isEmpty(match: AuthorizationMatch): boolean {
  return (
    match.namespaces.length === 0 &&
    match.notNamespaces.length === 0 &&
    match.principals.length === 0 &&
    match.notPrincipals.length === 0 &&
    match.sourceIps.length === 0 &&
    match.notSourceIps.length === 0 &&
    match.destinationIps.length === 0 &&
    match.notDestinationIps.length === 0 &&
    match.destinationPorts.length === 0 &&
    match.notDestinationPorts.length === 0 &&
    match.serviceAccounts.length === 0 &&
    match.notServiceAccounts.length === 0
  );
}

/** Fields that are left out hold, and nothing is read for them: most matches name one or two. */
function matchesAll(match: AuthorizationMatch, facts: Facts): boolean {
  return (
    holds(match.destinationPorts, match.notDestinationPorts, facts, isPort) &&
    holds(match.principals, match.notPrincipals, facts, isPrincipal) &&
    holds(match.namespaces, match.notNamespaces, facts, isInNamespace) &&
    holds(match.serviceAccounts, match.notServiceAccounts, facts, isAccount) &&
    holds(match.sourceIps, match.notSourceIps, facts, isFrom) &&
    holds(match.destinationIps, match.notDestinationIps, facts, isTo)
  );
}

type Test<T> = (value: T, facts: Facts) => boolean;

function holds<T>(any: readonly T[], none: readonly T[], facts: Facts, test: Test<T>): boolean {
  if (any.length > 0 && !some(any, facts, test)) return false;
  return none.length === 0 || !some(none, facts, test);
}

function some<T>(values: readonly T[], facts: Facts, test: Test<T>): boolean {
  for (const value of values) if (test(value, facts)) return true;
  return false;
}

function isPort(port: number, facts: Facts): boolean {
  return port === facts.destinationPort;
}

function isPrincipal(wanted: StringMatch, { principal }: Facts): boolean {
  return principal !== undefined && matchesText(wanted, principal);
}

function isInNamespace(wanted: StringMatch, facts: Facts): boolean {
  return matchesText(wanted, facts.identity?.namespace ?? '');
}

function isAccount(wanted: ServiceAccountMatch, { identity }: Facts): boolean {
  return (
    identity !== null &&
    wanted.namespace === identity.namespace &&
    wanted.serviceAccount === identity.serviceAccount
  );
}

function isFrom(range: AddressRange, { sourceIp }: Facts): boolean {
  return sourceIp !== null && rangeContains(range, sourceIp);
}

function isTo(range: AddressRange, { destinationIp }: Facts): boolean {
  return destinationIp !== null && rangeContains(range, destinationIp);
}

function matchesText(wanted: StringMatch, text: string): boolean {
  switch (wanted.kind) {
    case 'exact':
      return text === wanted.value;
    case 'prefix':
      return text.startsWith(wanted.value);
    case 'suffix':
      return text.endsWith(wanted.value);
    case 'presence':
      return text !== '';
  }
}
