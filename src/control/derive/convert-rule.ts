/**
 * One AuthorizationPolicy rule as clauses over what a node proxy sees of a connection. What it cannot see (HTTP, or a
 * value that nobody can read) is a condition of unknown outcome: an ALLOW rule that has one grants nothing, in a DENY
 * rule it counts as met, so neither lets through what the policy's author might have stopped.
 */

import { parseIp } from '#base/ip.ts';
import type { Findings } from '#config/compile/finding.ts';
import type {
  AddressRange,
  AuthorizationMatch,
  ServiceAccountMatch,
  StringMatch,
} from '#model/authorization/authorization.ts';
import { NO_MATCH } from '#model/authorization/authorization.ts';

export interface SourceSpec {
  principals?: string[];
  notPrincipals?: string[];
  namespaces?: string[];
  notNamespaces?: string[];
  ipBlocks?: string[];
  notIpBlocks?: string[];
  serviceAccounts?: string[];
  notServiceAccounts?: string[];
  trustDomains?: string[];
  notTrustDomains?: string[];
  [http: string]: string[] | undefined;
}
export interface OperationSpec {
  ports?: string[];
  notPorts?: string[];
  [http: string]: string[] | undefined;
}
export interface ConditionSpec {
  key?: string;
  values?: string[];
  notValues?: string[];
}
export interface AuthorizationRuleSpec {
  from?: { source?: SourceSpec }[];
  to?: { operation?: OperationSpec }[];
  when?: ConditionSpec[];
}

export type Clause = readonly AuthorizationMatch[];

export interface ConvertedRule {
  /** A clause that holds whatever the unknown turns out to be is left out of `met`. */
  readonly met: readonly Clause[];
  /** As istiod writes it: unknown conditions become empty matches, which never hold (ambient/authorization.go). */
  readonly unmet: readonly Clause[];
  /** Names of the attributes that need HTTP, sorted. */
  readonly http: readonly string[];
  readonly unreadable: boolean;
}

interface Converted {
  readonly match: AuthorizationMatch;
  readonly http: readonly string[];
}

interface RuleContext {
  /** Of the policy: where service accounts without a namespace are. */
  readonly namespace: string;
  readonly path: string;
  readonly findings: Findings;
}

const SOURCE_L4 = new Set([
  'principals',
  'notPrincipals',
  'namespaces',
  'notNamespaces',
  'ipBlocks',
  'notIpBlocks',
  'serviceAccounts',
  'notServiceAccounts',
  'trustDomains',
  'notTrustDomains',
]);

export function convertRule(rule: AuthorizationRuleSpec, context: RuleContext): ConvertedRule {
  const { path, findings } = context;
  const problems = findings.list.length;
  const from = (rule.from ?? []).map((each, at) =>
    convertSource(each?.source ?? {}, { ...context, path: `${path}.from[${at}].source` }),
  );
  const to = (rule.to ?? []).map((each, at) =>
    convertOperation(each?.operation ?? {}, { ...context, path: `${path}.to[${at}].operation` }),
  );
  const when = (rule.when ?? []).map((each, at) => [
    convertCondition(each ?? {}, { ...context, path: `${path}.when[${at}]` }),
  ]);
  const clauses = [to, from, ...when].filter(({ length }) => length > 0);
  const matches = clauses.map((clause) => clause.map(({ match }) => match));
  return {
    met: matches.filter((clause) => !clause.some(isEmptyMatch)),
    unmet: matches,
    http: [...new Set(clauses.flat().flatMap(({ http }) => http))].sort(),
    unreadable: findings.list.length > problems,
  };
}

export function isEmptyMatch(match: AuthorizationMatch): boolean {
  return Object.values(match).every((field: readonly unknown[]) => field.length === 0);
}

function convertSource(source: SourceSpec, context: RuleContext): Converted {
  const http = used(source).filter((name) => !SOURCE_L4.has(name));
  const ranges = (name: 'ipBlocks' | 'notIpBlocks') =>
    addressRanges(source[name], `${context.path}.${name}`, context.findings);
  const accounts = (values: string[] | undefined) => serviceAccounts(values, context.namespace);
  const principals = stringMatches(source.principals);
  const trusted = trustDomainMatches(source.trustDomains);
  const untrusted = trustDomainMatches(source.notTrustDomains);
  // One match cannot demand a principal of one list and a trust domain of another.
  if (trusted === undefined || (trusted.length > 0 && principals.length > 0))
    http.push('trustDomains');
  else principals.push(...trusted);
  if (untrusted === undefined) http.push('notTrustDomains');
  const match = {
    ...NO_MATCH,
    principals,
    notPrincipals: [...stringMatches(source.notPrincipals), ...(untrusted ?? [])],
    namespaces: stringMatches(source.namespaces),
    notNamespaces: stringMatches(source.notNamespaces),
    sourceIps: ranges('ipBlocks'),
    notSourceIps: ranges('notIpBlocks'),
    serviceAccounts: accounts(source.serviceAccounts),
    notServiceAccounts: accounts(source.notServiceAccounts),
  };
  return { match, http };
}

function convertOperation(operation: OperationSpec, context: RuleContext): Converted {
  const match = {
    ...NO_MATCH,
    destinationPorts: ports(operation.ports, `${context.path}.ports`, context.findings),
    notDestinationPorts: ports(operation.notPorts, `${context.path}.notPorts`, context.findings),
  };
  const http = used(operation).filter((name) => name !== 'ports' && name !== 'notPorts');
  return { match, http };
}

function used(spec: Readonly<Record<string, string[] | undefined>>): string[] {
  return Object.keys(spec).filter((name) => (spec[name]?.length ?? 0) > 0);
}

function convertCondition(condition: ConditionSpec, context: RuleContext): Converted {
  const { key, values, notValues } = condition;
  const { path, findings } = context;
  const matched = (fields: Partial<AuthorizationMatch>): Converted => ({
    match: { ...NO_MATCH, ...fields },
    http: [],
  });
  const range = (list: string[] | undefined) => addressRanges(list, path, findings);
  const text = stringMatches;
  const account = (list: string[] | undefined) => serviceAccounts(list, context.namespace);
  switch (key) {
    case 'source.ip':
      return matched({ sourceIps: range(values), notSourceIps: range(notValues) });
    case 'destination.ip':
      return matched({ destinationIps: range(values), notDestinationIps: range(notValues) });
    case 'source.namespace':
      return matched({ namespaces: text(values), notNamespaces: text(notValues) });
    case 'source.principal':
      return matched({ principals: text(values), notPrincipals: text(notValues) });
    case 'source.serviceAccount':
      return matched({ serviceAccounts: account(values), notServiceAccounts: account(notValues) });
    case 'source.trustDomain': {
      const principals = trustDomainMatches(values);
      const notPrincipals = trustDomainMatches(notValues);
      if (principals === undefined || notPrincipals === undefined) break;
      return matched({ principals, notPrincipals });
    }
    case 'destination.port':
      return matched({
        destinationPorts: ports(values, path, findings),
        notDestinationPorts: ports(notValues, path, findings),
      });
  }
  return { match: NO_MATCH, http: [key ?? ''] };
}

/** `*` presence, `*x` suffix, `x*` prefix, else exact. */
export function stringMatch(text: string): StringMatch {
  if (text === '*') return { kind: 'presence' };
  if (text.startsWith('*')) return { kind: 'suffix', value: text.slice(1) };
  if (text.endsWith('*')) return { kind: 'prefix', value: text.slice(0, -1) };
  return { kind: 'exact', value: text };
}

function stringMatches(values: string[] | undefined): StringMatch[] {
  return (values ?? []).map(stringMatch);
}

/** A trust domain is what stands before the first slash of a principal; undefined: a pattern that no match can say. */
function trustDomainMatches(values: string[] | undefined): StringMatch[] | undefined {
  const matches: StringMatch[] = [];
  for (const value of values ?? []) {
    if (value === '*') matches.push({ kind: 'presence' });
    else if (value.includes('*')) return undefined;
    else matches.push({ kind: 'prefix', value: `${value}/` });
  }
  return matches;
}

function serviceAccounts(values: string[] | undefined, namespace: string): ServiceAccountMatch[] {
  return (values ?? []).map((text) => {
    const slash = text.indexOf('/');
    if (slash === -1) return { namespace, serviceAccount: text };
    return { namespace: text.slice(0, slash), serviceAccount: text.slice(slash + 1) };
  });
}

/** Of a list with an unreadable value nothing is left: half a list would match less than was meant. */
function addressRanges(
  values: string[] | undefined,
  path: string,
  findings: Findings,
): AddressRange[] {
  return readAll(values, (text) => {
    const [address, prefix] = text.split('/');
    const bits = parseAddressBits(address);
    const length = prefix === undefined ? bits : Number(prefix);
    const readable = bits !== undefined && length !== undefined && /^\d*$/.test(prefix ?? '');
    if (readable && length <= bits) return { address, length };
    findings.invalid(path, `${JSON.stringify(text)} is neither an address nor a CIDR`);
    return undefined;
  });
}

function parseAddressBits(address: string): number | undefined {
  const bytes = parseIp(address);
  return bytes === undefined ? undefined : bytes.length * 8;
}

function ports(values: string[] | undefined, path: string, findings: Findings): number[] {
  return readAll(values, (text) => {
    const port = Number(text);
    if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
    findings.invalid(path, `${JSON.stringify(text)} is not a port number`);
    return undefined;
  });
}

function readAll<T>(values: string[] | undefined, read: (text: string) => T | undefined): T[] {
  const all = (values ?? []).map(read);
  return all.includes(undefined) ? [] : (all as T[]);
}
