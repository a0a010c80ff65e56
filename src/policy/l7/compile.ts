/**
 * Rules to conditions. Where bytes are judged that are not HTTP, fields that need HTTP cannot be asked: an ALLOW rule with one never matches,
 * of the others the field is left out, so that they match more (Istio: authz/model checkError).
 */

import type {
  Fields,
  HttpPolicy,
  PolicyAction,
  PolicyRule,
} from '#model/authorization/http-policies.ts';
import {
  accountPattern,
  addressPattern,
  type Fits,
  hostPattern,
  namespacePattern,
  pathPattern,
  principalPattern,
  textPattern,
  trustDomainPattern,
} from './patterns.ts';
import type { PolicyFacts } from './policy.ts';

export interface PolicyContext {
  /** The mesh's trust domain and its other names. */
  readonly trustDomains: readonly string[];
}

export interface CompiledHttpPolicy {
  readonly policy: HttpPolicy;
  readonly rules: readonly CompiledRule[];
}

/** AND of clauses; a clause is the OR of its alternatives, each an AND of conditions. */
export interface CompiledRule {
  readonly clauses: readonly (readonly (readonly Condition[])[])[];
  /** A field that nobody knows: it is never met, so an ALLOW grants nothing and a DENY keeps to its other fields. */
  readonly unknown: boolean;
}

interface Condition {
  readonly needsHttp: boolean;
  readonly any: readonly Fits[];
  readonly none: readonly Fits[];
  /** Every value that the attribute has; none when it is missing. */
  readonly read: (facts: PolicyFacts) => readonly string[];
}

type Attribute = Pick<Condition, 'needsHttp' | 'read'> & {
  readonly pattern: (text: string) => Fits;
};

export function compileHttpPolicy(policy: HttpPolicy, context: PolicyContext): CompiledHttpPolicy {
  const attributes = attributesOf(policy.namespace, context);
  return { policy, rules: policy.rules.map((rule) => compileRule(rule ?? {}, attributes)) };
}

function compileRule(rule: PolicyRule, attributes: Attributes): CompiledRule {
  let unknown = false;
  const conditions = (fields: Fields, lookUp: (name: string) => Attribute | undefined) =>
    namesOf(fields).flatMap((name): Condition[] => {
      const attribute = lookUp(name);
      if (attribute === undefined) {
        unknown = true;
        return [];
      }
      const { needsHttp, read, pattern } = attribute;
      const any = (fields[name] ?? []).map(pattern);
      const none = (fields[negated(name)] ?? []).map(pattern);
      return [{ needsHttp, read, any, none }];
    });
  const clauses: (readonly (readonly Condition[])[])[] = [];
  const from = (rule.from ?? []).map((each) =>
    conditions(each?.source ?? {}, (name) => attributes.source[name]),
  );
  const to = (rule.to ?? []).map((each) =>
    conditions(each?.operation ?? {}, (name) => attributes.operation[name]),
  );
  if (from.length > 0) clauses.push(from);
  if (to.length > 0) clauses.push(to);
  for (const { key = '', values = [], notValues = [] } of rule.when ?? []) {
    const fields = { key: values, notKey: notValues };
    clauses.push([conditions(fields, () => attributes.condition(key))]);
  }
  return { clauses, unknown };
}

/** Fields that hold something, without their negations. */
function namesOf(fields: Fields): string[] {
  const names = Object.keys(fields)
    .filter((name) => (fields[name]?.length ?? 0) > 0)
    .map((name) => (/^not[A-Z]/.test(name) ? name[3].toLowerCase() + name.slice(4) : name));
  return [...new Set(names)];
}

function negated(name: string): string {
  return `not${name[0].toUpperCase()}${name.slice(1)}`;
}

interface Attributes {
  readonly source: Readonly<Record<string, Attribute | undefined>>;
  readonly operation: Readonly<Record<string, Attribute | undefined>>;
  condition(key: string): Attribute | undefined;
}

const one = (value: string | undefined): readonly string[] => (value === undefined ? [] : [value]);

function attributesOf(namespace: string, { trustDomains }: PolicyContext): Attributes {
  const l4 = (read: Attribute['read'], pattern: Attribute['pattern']): Attribute => ({
    needsHttp: false,
    read,
    pattern,
  });
  const l7 = (read: Attribute['read'], pattern: Attribute['pattern'] = textPattern): Attribute => ({
    needsHttp: true,
    read,
    pattern,
  });
  const principal = ({ principal }: PolicyFacts) => one(principal);
  const principals = l4(principal, (text) => principalPattern(text, trustDomains));
  const namespaces = l4(principal, namespacePattern);
  const accounts = l4(principal, (text) => accountPattern(text, namespace));
  const domains = l4(principal, trustDomainPattern);
  const sourceIp = l4(({ sourceIp }) => [sourceIp], addressPattern);
  const remoteIp = l4(({ remoteIp }) => [remoteIp], addressPattern);
  const port = l4(({ destinationPort }) => [String(destinationPort)], textPattern);
  const requestPrincipals = l7(({ claims }) => one(requestPrincipalOf(claims)));
  const when: Readonly<Record<string, Attribute | undefined>> = {
    'source.ip': sourceIp,
    'remote.ip': remoteIp,
    'source.namespace': namespaces,
    'source.principal': principals,
    'source.serviceAccount': accounts,
    'source.trustDomain': domains,
    'destination.ip': l4(({ destinationIp }) => [destinationIp], addressPattern),
    'destination.port': port,
    'connection.sni': l4(({ sni }) => one(sni), textPattern),
    'request.auth.principal': requestPrincipals,
    'request.auth.audiences': l7(({ claims }) => textsOf(claims?.aud)),
    'request.auth.presenter': l7(({ claims }) => textsOf(claims?.azp)),
  };
  return {
    source: {
      principals,
      namespaces,
      serviceAccounts: accounts,
      trustDomains: domains,
      ipBlocks: sourceIp,
      remoteIpBlocks: remoteIp,
      requestPrincipals,
    },
    operation: {
      hosts: l7(({ http }) => one(http?.authority), hostPattern),
      ports: port,
      methods: l7(({ http }) => one(http?.method)),
      paths: l7(({ http }) => one(http && barePath(http.path)), pathPattern),
    },
    condition: (key) => {
      const header = /^request\.headers\[(.+)\]$/.exec(key)?.[1].toLowerCase();
      if (header !== undefined) return l7(({ http }) => one(http?.header(header)));
      const claim = /^request\.auth\.claims((?:\[[^\]]+\])+)$/.exec(key)?.[1];
      if (claim === undefined) return when[key];
      const path = claim.slice(1, -1).split('][');
      return l7(({ claims }) => textsOf(claimAt(claims, path)));
    },
  };
}

/** Without query and fragment. */
function barePath(path: string): string {
  return path.replace(/[?#].*$/s, '');
}

function requestPrincipalOf(claims: PolicyFacts['claims']): string | undefined {
  if (claims === undefined) return undefined;
  const { iss, sub } = claims;
  return typeof iss === 'string' && typeof sub === 'string' ? `${iss}/${sub}` : undefined;
}

/** A text, or the texts of a list; claims of other types match nothing. */
function textsOf(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/** By the names on the way from the token's root. */
export function claimAt(claims: unknown, path: readonly string[]): unknown {
  let value = claims;
  for (const name of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[name];
  }
  return value;
}

export function ruleMatches(
  { clauses, unknown }: CompiledRule,
  action: PolicyAction,
  facts: PolicyFacts,
): boolean {
  const isAllow = action === 'ALLOW';
  if (unknown && isAllow) return false;
  for (const clause of clauses)
    if (!clause.some((conditions) => conditions.every((each) => holds(each, isAllow, facts))))
      return false;
  return true;
}

function holds({ needsHttp, any, none, read }: Condition, isAllow: boolean, facts: PolicyFacts) {
  if (needsHttp && facts.http === undefined) return !isAllow;
  const values = read(facts);
  if (any.length > 0 && !values.some((value) => any.some((fits) => fits(value)))) return false;
  return !values.some((value) => none.some((fits) => fits(value)));
}
