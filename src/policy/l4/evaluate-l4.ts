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
/** Of many ALLOW policies that did not allow, so many are named in a log line. */
const ALLOW_NAMES_MAX = 5;

/** `authorizations` are those that apply to the destination workload (see policy-index.ts). */
export function evaluateL4(
  authorizations: readonly Authorization[],
  connection: L4Connection,
): L4Verdict {
  if (authorizations.length === 0) {
    return { allow: true, reason: 'no policy applies', policy: undefined, dryRun: NOTHING };
  }
  const facts = factsOf(connection);
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
  const allowedBy = authorizations.find(
    (policy) => policy.action === 'allow' && !policy.dryRun && matchesPolicy(policy, facts),
  );
  if (allowedBy === undefined) {
    return { allow: false, ...noneAllowed(authorizations), dryRun };
  }
  const policyName = nameOf(allowedBy);
  return { allow: true, reason: `allowed by: ${policyName}`, policy: policyName, dryRun };
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

interface Facts {
  readonly sourceIp: Uint8Array | undefined;
  readonly destinationIp: Uint8Array | undefined;
  readonly destinationPort: number;
  /** Without the scheme, as policies write it; undefined on plaintext. */
  readonly principal: string | undefined;
  readonly identity: Identity | undefined;
}

function factsOf(connection: L4Connection): Facts {
  const { sourcePrincipal } = connection;
  const isSpiffe = sourcePrincipal?.startsWith(SCHEME) === true;
  return {
    sourceIp: parseAddress(connection.sourceIp),
    destinationIp: parseAddress(connection.destinationIp),
    destinationPort: connection.destinationPort,
    principal: isSpiffe ? sourcePrincipal?.slice(SCHEME.length) : sourcePrincipal,
    identity: sourcePrincipal === undefined ? undefined : parseIdentity(sourcePrincipal),
  };
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
  return policy.rules.some((rule) => rule.clauses.every((clause) => matchesClause(clause, facts)));
}

/** A clause without matches holds; one made only of empty matches does not. */
function matchesClause(clause: readonly AuthorizationMatch[], facts: Facts): boolean {
  return clause.length === 0 || clause.some((match) => !isEmpty(match) && matchesAll(match, facts));
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

function matchesAll(match: AuthorizationMatch, facts: Facts): boolean {
  const { principal, identity, destinationPort } = facts;
  const namespace = identity?.namespace ?? '';
  const inNamespace = (wanted: StringMatch) => matchesText(wanted, namespace);
  const isPrincipal = (wanted: StringMatch) =>
    principal !== undefined && matchesText(wanted, principal);
  const fromRange = (range: AddressRange) =>
    facts.sourceIp !== undefined && rangeContains(range, facts.sourceIp);
  const toRange = (range: AddressRange) =>
    facts.destinationIp !== undefined && rangeContains(range, facts.destinationIp);
  const toPort = (port: number) => port === destinationPort;
  const isAccount = (wanted: ServiceAccountMatch) =>
    identity !== undefined &&
    wanted.namespace === identity.namespace &&
    wanted.serviceAccount === identity.serviceAccount;
  return (
    holds(match.namespaces, match.notNamespaces, inNamespace) &&
    holds(match.principals, match.notPrincipals, isPrincipal) &&
    holds(match.serviceAccounts, match.notServiceAccounts, isAccount) &&
    holds(match.sourceIps, match.notSourceIps, fromRange) &&
    holds(match.destinationIps, match.notDestinationIps, toRange) &&
    holds(match.destinationPorts, match.notDestinationPorts, toPort)
  );
}

function holds<T>(any: readonly T[], none: readonly T[], test: (value: T) => boolean): boolean {
  return (any.length === 0 || any.some(test)) && !none.some(test);
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
