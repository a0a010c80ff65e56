/**
 * AuthorizationPolicies as the node proxies enforce them: the L4 part. What L4 cannot see fails safe, as Istio does
 * it (ambient/authorization.go): an ALLOW rule with L7 conditions is dropped (grants nothing), in a DENY rule the L7
 * conditions fall away (denies more) unless nothing else is left of the clause.
 */

import { parseIp } from '#base/ip.ts';
import type { Finding } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import type {
  AddressRange,
  Authorization,
  AuthorizationMatch,
  ServiceAccountMatch,
  StringMatch,
} from '#model/authorization/authorization.ts';
import { ANNOTATION } from './mesh.ts';

interface SourceSpec {
  principals?: string[];
  notPrincipals?: string[];
  namespaces?: string[];
  notNamespaces?: string[];
  ipBlocks?: string[];
  notIpBlocks?: string[];
  serviceAccounts?: string[];
  notServiceAccounts?: string[];
  [l7: string]: string[] | undefined;
}
interface OperationSpec {
  ports?: string[];
  notPorts?: string[];
  [l7: string]: string[] | undefined;
}
interface ConditionSpec {
  key?: string;
  values?: string[];
  notValues?: string[];
}
export interface AuthorizationRuleSpec {
  from?: { source?: SourceSpec }[];
  to?: { operation?: OperationSpec }[];
  when?: ConditionSpec[];
}
export interface AuthorizationPolicySpec {
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: object;
  targetRefs?: object[];
  action?: string;
  rules?: AuthorizationRuleSpec[];
}
export type AuthorizationPolicyObject = ConfigObject<AuthorizationPolicySpec>;

export interface DerivedAuthorization {
  readonly authorization: Authorization;
  /** Set for the scope `workload-selector`. */
  readonly selector: Readonly<Record<string, string>> | undefined;
}

export const NO_MATCH: AuthorizationMatch = {
  namespaces: [],
  notNamespaces: [],
  principals: [],
  notPrincipals: [],
  sourceIps: [],
  notSourceIps: [],
  destinationIps: [],
  notDestinationIps: [],
  destinationPorts: [],
  notDestinationPorts: [],
  serviceAccounts: [],
  notServiceAccounts: [],
};

type Clause = readonly AuthorizationMatch[];
interface Converted {
  match: AuthorizationMatch;
  l7: boolean;
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
]);

export function deriveAuthorization(
  object: AuthorizationPolicyObject,
  options: { rootNamespace: string },
): { value: DerivedAuthorization | undefined; findings: readonly Finding[] } {
  const { namespace, name } = identityOf(object);
  const findings = new Findings('AuthorizationPolicy', { namespace, name });
  const spec = object.spec ?? {};
  const action = spec.action ?? 'ALLOW';
  const refused = (): { value: undefined; findings: readonly Finding[] } => ({
    value: undefined,
    findings: findings.list,
  });
  if (spec.targetRef !== undefined || spec.targetRefs?.length) {
    const message = 'policies with targetRefs are not enforced at waypoints by this version';
    findings.ineffective('spec.targetRefs', message, 'error');
    return refused();
  }
  if (action !== 'ALLOW' && action !== 'DENY') {
    findings.ineffective('spec.action', `${action} cannot be enforced by the node proxy`, 'error');
    return refused();
  }
  if (object.metadata.annotations?.[ANNOTATION.dryRun] === 'true') {
    findings.ineffective('metadata.annotations', 'a dry-run policy is not enforced', 'info');
    return refused();
  }
  const labels = spec.selector?.matchLabels;
  const selector = labels !== undefined && Object.keys(labels).length > 0 ? labels : undefined;
  const rules = (spec.rules ?? []).flatMap((rule, at) => {
    const path = `spec.rules[${at}]`;
    const clauses = convertRule(rule ?? {}, { deny: action === 'DENY', namespace, path, findings });
    return clauses === undefined ? [] : [{ clauses }];
  });
  // A range or port that cannot be read must not turn into "matches more": the last good policy stays.
  if (findings.failed) return refused();
  const whole = namespace === options.rootNamespace ? 'global' : 'namespace';
  const authorization: Authorization = {
    name,
    namespace,
    scope: selector === undefined ? whole : 'workload-selector',
    action: action === 'DENY' ? 'deny' : 'allow',
    rules,
    dryRun: false,
  };
  return { value: { authorization, selector }, findings: findings.list };
}

interface RuleContext {
  deny: boolean;
  namespace: string;
  path: string;
  findings: Findings;
}

/** Undefined: the rule needs L7 and grants nothing here. */
function convertRule(rule: AuthorizationRuleSpec, context: RuleContext): Clause[] | undefined {
  const { path, findings } = context;
  const from = (rule.from ?? []).map((each, at) =>
    convertSource(each?.source ?? {}, { ...context, path: `${path}.from[${at}].source` }),
  );
  const to = (rule.to ?? []).map((each, at) =>
    convertOperation(each?.operation ?? {}, { ...context, path: `${path}.to[${at}].operation` }),
  );
  const when = (rule.when ?? []).map((each, at) =>
    convertCondition(each ?? {}, { ...context, path: `${path}.when[${at}]` }),
  );
  if ([...from, ...to, ...when].some(({ l7 }) => l7)) {
    const effect = context.deny ? 'only the L4 conditions deny' : 'the rule allows nothing';
    findings.ineffective(path, `has HTTP conditions, which the node proxy cannot see: ${effect}`);
    if (!context.deny) return undefined;
  }
  const clauses: Clause[] = [];
  if (to.length > 0) clauses.push(to.map(({ match }) => match));
  if (from.length > 0) clauses.push(from.map(({ match }) => match));
  for (const { match } of when) clauses.push([match]);
  return clauses;
}

function convertSource(source: SourceSpec, context: RuleContext): Converted {
  const ranges = (name: 'ipBlocks' | 'notIpBlocks') =>
    addressRanges(source[name], `${context.path}.${name}`, context.findings);
  const accounts = (values: string[] | undefined) => serviceAccounts(values, context.namespace);
  const match = {
    ...NO_MATCH,
    principals: stringMatches(source.principals),
    notPrincipals: stringMatches(source.notPrincipals),
    namespaces: stringMatches(source.namespaces),
    notNamespaces: stringMatches(source.notNamespaces),
    sourceIps: ranges('ipBlocks'),
    notSourceIps: ranges('notIpBlocks'),
    serviceAccounts: accounts(source.serviceAccounts),
    notServiceAccounts: accounts(source.notServiceAccounts),
  };
  return { match, l7: Object.keys(source).some((name) => !SOURCE_L4.has(name)) };
}

function convertOperation(operation: OperationSpec, context: RuleContext): Converted {
  const match = {
    ...NO_MATCH,
    destinationPorts: ports(operation.ports, `${context.path}.ports`, context.findings),
    notDestinationPorts: ports(operation.notPorts, `${context.path}.notPorts`, context.findings),
  };
  return {
    match,
    l7: Object.keys(operation).some((name) => name !== 'ports' && name !== 'notPorts'),
  };
}

function convertCondition(condition: ConditionSpec, context: RuleContext): Converted {
  const { values, notValues } = condition;
  const { path, findings } = context;
  const matched = (fields: Partial<AuthorizationMatch>): Converted => ({
    match: { ...NO_MATCH, ...fields },
    l7: false,
  });
  const range = (list: string[] | undefined) => addressRanges(list, path, findings);
  switch (condition.key) {
    case 'source.ip':
      return matched({ sourceIps: range(values), notSourceIps: range(notValues) });
    case 'destination.ip':
      return matched({ destinationIps: range(values), notDestinationIps: range(notValues) });
    case 'source.namespace':
      return matched({
        namespaces: stringMatches(values),
        notNamespaces: stringMatches(notValues),
      });
    case 'source.principal':
      return matched({
        principals: stringMatches(values),
        notPrincipals: stringMatches(notValues),
      });
    case 'destination.port':
      return matched({
        destinationPorts: ports(values, path, findings),
        notDestinationPorts: ports(notValues, path, findings),
      });
    default:
      return { match: NO_MATCH, l7: true };
  }
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

function serviceAccounts(values: string[] | undefined, namespace: string): ServiceAccountMatch[] {
  return (values ?? []).map((text) => {
    const slash = text.indexOf('/');
    if (slash === -1) return { namespace, serviceAccount: text };
    return { namespace: text.slice(0, slash), serviceAccount: text.slice(slash + 1) };
  });
}

function addressRanges(
  values: string[] | undefined,
  path: string,
  findings: Findings,
): AddressRange[] {
  return (values ?? []).flatMap((text) => {
    const [address, prefix] = text.split('/');
    const bits = parseAddressBits(address);
    const length = prefix === undefined ? bits : Number(prefix);
    if (bits !== undefined && length !== undefined && /^\d*$/.test(prefix ?? '') && length <= bits)
      return [{ address, length }];
    findings.invalid(path, `${JSON.stringify(text)} is neither an address nor a CIDR`);
    return [];
  });
}

function parseAddressBits(address: string): number | undefined {
  const bytes = parseIp(address);
  return bytes === undefined ? undefined : bytes.length * 8;
}

function ports(values: string[] | undefined, path: string, findings: Findings): number[] {
  return (values ?? []).flatMap((text) => {
    const port = Number(text);
    if (Number.isInteger(port) && port > 0 && port < 65_536) return [port];
    findings.invalid(path, `${JSON.stringify(text)} is not a port number`);
    return [];
  });
}
