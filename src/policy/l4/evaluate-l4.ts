/**
 * L4 authorization as ztunnel decides it (src/rbac.rs, src/state.rs): enforced DENY first, then no ALLOW at all means
 * allow, then any matching ALLOW, else deny. Pure; the same function answers `why` and the proxies. Dry-run
 * policies never change the verdict: what they would have done is reported beside it.
 */
import type {
  AddressRange,
  Authorization,
  AuthorizationMatch,
  ServiceAccountMatch,
  StringMatch,
  Verdict,
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

/** The policies that apply to a workload, in the order given: global, its namespace's, and those it names. */
export function selectAuthorizations(
  all: Iterable<Authorization>,
  workload: { readonly namespace: string; readonly authorizationPolicies: readonly string[] },
): Authorization[] {
  const selected: Authorization[] = [];
  for (const policy of all) {
    const applies =
      policy.scope === 'global' ||
      (policy.scope === 'namespace' && policy.namespace === workload.namespace) ||
      (policy.scope === 'workload-selector' &&
        workload.authorizationPolicies.includes(nameOf(policy)));
    if (applies) selected.push(policy);
  }
  return selected;
}

/** `authorizations` are those that apply to the destination workload (see `selectAuthorizations`). */
export function evaluateL4(
  authorizations: readonly Authorization[],
  connection: L4Connection,
): L4Verdict {
  if (authorizations.length === 0) {
    return { allow: true, reason: 'no policy applies', policy: undefined, dryRun: NOTHING };
  }
  const facts = factsOf(connection);
  const dryRun = dryRunNotes(authorizations, facts);
  let allowPolicies = 0;
  for (const policy of authorizations) {
    if (policy.dryRun) continue;
    if (policy.action === 'allow') allowPolicies += 1;
    else if (matchesPolicy(policy, facts)) {
      const policyName = nameOf(policy);
      const reason = `explicitly denied by: ${policyName}${originOf(policy)}`;
      return { allow: false, reason, policy: policyName, dryRun };
    }
  }
  if (allowPolicies === 0) {
    return { allow: true, reason: 'no ALLOW policy applies', policy: undefined, dryRun };
  }
  const allowedBy = authorizations.find(
    (policy) => policy.action === 'allow' && !policy.dryRun && matchesPolicy(policy, facts),
  );
  if (allowedBy === undefined) {
    const reason = 'allow policies exist, but none allowed';
    return { allow: false, reason, policy: undefined, dryRun };
  }
  const policyName = nameOf(allowedBy);
  return { allow: true, reason: `allowed by: ${policyName}`, policy: policyName, dryRun };
}

/** A policy that a PeerAuthentication became is named so that its owner finds the object. */
function originOf({ name, namespace }: Authorization): string {
  const demand = 'which demands mutual TLS';
  if (name === 'istio_converted_static_strict') return ` (a STRICT PeerAuthentication, ${demand})`;
  const converted = 'converted_peer_authentication_';
  if (!name.startsWith(converted)) return '';
  return ` (PeerAuthentication ${namespace}/${name.slice(converted.length)}, ${demand})`;
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
