/**
 * What is wrong with an AuthorizationPolicy, RequestAuthentication or PeerAuthentication by itself (Istio: pkg/config/validation
 * ValidateAuthorizationPolicy, ValidateRequestAuthentication, ValidatePeerAuthentication).
 */
import { parseAddress, parseCidr } from '#base/cidr.ts';
import { messageOf } from '#base/errors.ts';
import type { Findings } from './finding.ts';
import { changeNameProblem } from './header-names.ts';
import { labelProblems, portProblem } from './names.ts';
import { checkedDuration } from './scalars.ts';

type Fields = Readonly<Record<string, readonly string[] | null | undefined>>;

interface Selecting {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly targetRef?: TargetRef;
  readonly targetRefs?: readonly TargetRef[];
}

interface TargetRef {
  readonly group?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
}

export interface CheckedAuthorizationPolicy extends Selecting {
  readonly action?: string;
  readonly provider?: { readonly name?: string };
  readonly rules?: readonly (Rule | null)[] | null;
}

interface Rule {
  readonly from?: readonly ({ readonly source?: Fields | null } | null)[];
  readonly to?: readonly ({ readonly operation?: Fields | null } | null)[];
  readonly when?: readonly ({
    readonly key?: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  } | null)[];
}

export interface CheckedRequestAuthentication extends Selecting {
  readonly jwtRules?: readonly (CheckedJwtRule | null)[];
}

interface CheckedJwtRule {
  readonly issuer?: string;
  readonly audiences?: readonly string[];
  readonly jwksUri?: string;
  readonly jwks?: string;
  readonly fromHeaders?: readonly ({ readonly name?: string } | null)[];
  readonly fromParams?: readonly string[];
  readonly fromCookies?: readonly string[];
  readonly outputClaimToHeaders?: readonly ({ header?: string; claim?: string } | null)[];
  readonly timeout?: string;
}

export interface CheckedPeerAuthentication extends Selecting {
  readonly portLevelMtls?: Readonly<Record<string, object>>;
}

const ADDRESSES = new Set(['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks']);
const ACCOUNTS = new Set(['serviceAccounts', 'notServiceAccounts']);
const IDENTITIES = ['principals', 'notPrincipals', 'namespaces', 'notNamespaces'];
const PATHS = new Set(['paths', 'notPaths']);
const PORTS = new Set(['ports', 'notPorts']);
/** What a CUSTOM action cannot ask: the provider is asked before anybody's identity is looked at. */
const CUSTOM_SOURCE = [...IDENTITIES, ...ACCOUNTS, 'requestPrincipals', 'notRequestPrincipals'];
const CUSTOM_KEY = /^(source\.(namespace|serviceAccount|principal)$|request\.auth\.)/;
const ADDRESS_KEYS = new Set(['source.ip', 'remote.ip', 'destination.ip']);
const PLAIN_KEYS = new Set([
  ...ADDRESS_KEYS,
  'source.namespace',
  'source.principal',
  'source.serviceAccount',
  'source.trustDomain',
  'destination.port',
  'connection.sni',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
]);
/** Followed by a name in brackets. */
const NAMED_KEY = /^(request\.headers|request\.auth\.claims|experimental\.[^[]*)(\[.+\])+$/;
const TARGET_KINDS = new Set([
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
  '/Service',
  'networking.istio.io/ServiceEntry',
]);

export function checkAuthorizationPolicy(
  spec: CheckedAuthorizationPolicy,
  findings: Findings,
): void {
  checkSelection(spec, findings);
  const { action = 'ALLOW', provider, rules } = spec;
  if (action === 'CUSTOM' && rules && !provider?.name)
    findings.invalid('spec.provider.name', 'a CUSTOM action needs the name of a provider');
  if (action !== 'CUSTOM' && provider)
    findings.invalid('spec.provider', `${action} asks no provider`, 'remove it, or say CUSTOM');
  if ((action === 'CUSTOM' || action === 'DENY') && !rules)
    findings.invalid(
      'spec.rules',
      `${action} without rules never does anything`,
      'write rules: [{}] for every request',
    );
  for (const [at, rule] of (rules ?? []).entries()) {
    const path = `spec.rules[${at}]`;
    if (rule === null) findings.invalid(path, 'a rule cannot be null');
    else checkRule(rule, path, { custom: action === 'CUSTOM', findings });
  }
}

interface RuleScope {
  readonly custom: boolean;
  readonly findings: Findings;
}

function checkRule({ from, to, when }: Rule, path: string, scope: RuleScope): void {
  const { findings, custom } = scope;
  if (from?.length === 0) findings.invalid(`${path}.from`, 'an empty list matches nobody');
  if (to?.length === 0) findings.invalid(`${path}.to`, 'an empty list matches nothing');
  for (const [at, each] of (from ?? []).entries()) {
    const here = `${path}.from[${at}].source`;
    checkFields(each?.source, here, findings);
    const has = (name: string) => (each?.source?.[name]?.length ?? 0) > 0;
    if (IDENTITIES.some(has) && [...ACCOUNTS].some(has))
      findings.invalid(here, 'service accounts do not go with principals or namespaces');
    for (const name of custom ? CUSTOM_SOURCE.filter(has) : [])
      findings.invalid(`${here}.${name}`, `a CUSTOM action cannot match ${name}`);
  }
  for (const [at, each] of (to ?? []).entries())
    checkFields(each?.operation, `${path}.to[${at}].operation`, findings);
  for (const [at, condition] of (when ?? []).entries()) {
    const here = `${path}.when[${at}]`;
    const { key = '', values = [], notValues = [] } = condition ?? {};
    if (key === '') findings.invalid(`${here}.key`, 'a key is required');
    else if (!PLAIN_KEYS.has(key) && !NAMED_KEY.test(key))
      findings.invalid(`${here}.key`, `nobody knows the attribute ${JSON.stringify(key)}`);
    if (values.length + notValues.length === 0)
      findings.invalid(here, 'one of values and notValues is required');
    if (custom && CUSTOM_KEY.test(key))
      findings.invalid(`${here}.key`, `a CUSTOM action cannot match ${key}`);
    checkValues(`${here}.values`, values, { findings, check: conditionCheck(key) });
    checkValues(`${here}.notValues`, notValues, { findings, check: conditionCheck(key) });
  }
}

type ValueCheck = (value: string) => string | undefined;

function checkFields(fields: Fields | null | undefined, path: string, findings: Findings): void {
  if (!fields) {
    findings.invalid(path, 'is required');
    return;
  }
  const used = Object.entries(fields).filter(([, values]) => (values?.length ?? 0) > 0);
  if (used.length === 0) findings.invalid(path, 'without a field it matches nothing');
  for (const [name, values] of used)
    checkValues(`${path}.${name}`, values ?? [], { findings, check: fieldCheck(name) });
}

function checkValues(
  path: string,
  values: readonly string[],
  { findings, check }: { findings: Findings; check: ValueCheck },
): void {
  for (const [at, value] of values.entries())
    findings.check(
      `${path}[${at}]`,
      value === '' ? 'an empty value matches nothing' : check(value),
    );
}

const anything: ValueCheck = () => undefined;

function fieldCheck(name: string): ValueCheck {
  if (ADDRESSES.has(name)) return rangeProblem;
  if (PORTS.has(name)) return portTextProblem;
  if (PATHS.has(name)) return templateProblem;
  return ACCOUNTS.has(name) ? accountProblem : anything;
}

function conditionCheck(key: string): ValueCheck {
  if (ADDRESS_KEYS.has(key)) return rangeProblem;
  if (key === 'destination.port') return portTextProblem;
  return key === 'source.serviceAccount' ? accountProblem : anything;
}

function rangeProblem(text: string): string | undefined {
  const isRange = text.includes('/') ? parseCidr(text) : parseAddress(text);
  return isRange === undefined
    ? `${JSON.stringify(text)} is neither an address nor a range such as 198.51.100.0/24`
    : undefined;
}

function portTextProblem(text: string): string | undefined {
  return portProblem(/^\d+$/.test(text) ? Number(text) : Number.NaN);
}

function accountProblem(text: string): string | undefined {
  const parts = text.split('/');
  return parts.length > 2 || parts.includes('') || text.includes('*')
    ? `${JSON.stringify(text)} is neither NAME nor NAMESPACE/NAME`
    : undefined;
}

/** `{*}` is one segment, `{**}` any number and only at the end. */
function templateProblem(path: string): string | undefined {
  if (!path.includes('{')) return undefined;
  const problem = `${JSON.stringify(path)} is no path template: {*} and {**} are whole segments, and`;
  const segments = path.split('/');
  const whole = segments.every((each) => !/[{}]/.test(each) || each === '{*}' || each === '{**}');
  if (!whole || segments.some((each) => each === '*' || each === '**'))
    return `${problem} no other wildcard stands beside them`;
  const deep = segments.indexOf('{**}');
  return deep >= 0 && segments.slice(deep + 1).some((each) => each.startsWith('{'))
    ? `${problem} nothing follows {**} but plain segments`
    : undefined;
}

export function checkRequestAuthentication(
  spec: CheckedRequestAuthentication,
  findings: Findings,
): void {
  checkSelection(spec, findings);
  for (const [at, rule] of (spec.jwtRules ?? []).entries())
    if (rule !== null) checkJwtRule(rule, `spec.jwtRules[${at}]`, findings);
}

function checkJwtRule(rule: CheckedJwtRule, path: string, findings: Findings): void {
  const { issuer, jwksUri, jwks, timeout } = rule;
  if (!issuer && !jwksUri) findings.invalid(`${path}.issuer`, 'an issuer or a jwksUri is required');
  if (jwksUri && !/^https?:\/\/[^/\s]+/.test(jwksUri))
    findings.invalid(`${path}.jwksUri`, `${JSON.stringify(jwksUri)} is no http or https address`);
  if (jwks) findings.check(`${path}.jwks`, keySetProblem(jwks));
  checkedDuration(timeout, `${path}.timeout`, findings);
  const named = { fromParams: rule.fromParams, fromCookies: rule.fromCookies };
  for (const [field, values] of Object.entries({ audiences: rule.audiences, ...named }))
    checkValues(`${path}.${field}`, values ?? [], { findings, check: anything });
  for (const [at, header] of (rule.fromHeaders ?? []).entries())
    if (!header?.name) findings.invalid(`${path}.fromHeaders[${at}].name`, 'a name is required');
  for (const [at, output] of (rule.outputClaimToHeaders ?? []).entries()) {
    const here = `${path}.outputClaimToHeaders[${at}]`;
    if (!output?.claim || !output.header)
      findings.invalid(here, 'a header and a claim are required');
    else if (!/^[-A-Za-z0-9_]+$/.test(output.header))
      findings.invalid(`${here}.header`, `${JSON.stringify(output.header)} is no header name`);
    else findings.check(`${here}.header`, changeNameProblem(output.header, 'refused'));
  }
}

function keySetProblem(text: string): string | undefined {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown };
    return Array.isArray(keys) ? undefined : 'a JSON object with an array "keys" is wanted';
  } catch (error) {
    return `no JSON: ${messageOf(error)}`;
  }
}

export function checkPeerAuthentication(spec: CheckedPeerAuthentication, findings: Findings): void {
  checkSelector(spec, findings);
  const { selector, portLevelMtls } = spec;
  if (portLevelMtls === undefined) return;
  const ports = Object.keys(portLevelMtls);
  const path = 'spec.portLevelMtls';
  if (ports.length === 0) findings.invalid(path, 'without a port it says nothing', 'remove it');
  if (ports.length > 0 && Object.keys(selector?.matchLabels ?? {}).length === 0)
    findings.invalid(path, 'only a policy with a selector has modes of single ports');
  for (const port of ports) findings.check(`${path}.${port}`, portTextProblem(port));
}

function checkSelection(spec: Selecting, findings: Findings): void {
  checkSelector(spec, findings);
  const { selector, targetRef, targetRefs = [] } = spec;
  const ways = [selector, targetRef, targetRefs.length > 0 || undefined].filter(Boolean).length;
  if (ways > 1)
    findings.invalid('spec', 'only one of selector, targetRef and targetRefs can be there');
  if (targetRef) checkTarget(targetRef, 'spec.targetRef', findings);
  for (const [at, each] of targetRefs.entries())
    checkTarget(each, `spec.targetRefs[${at}]`, findings);
}

function checkSelector({ selector }: Selecting, findings: Findings): void {
  const path = 'spec.selector.matchLabels';
  const labels = selector?.matchLabels ?? {};
  for (const problem of labelProblems(labels)) findings.invalid(path, problem);
  for (const [name, value] of Object.entries(labels))
    if (`${name}${value}`.includes('*')) findings.invalid(path, `${name}=${value}: no wildcards`);
}

function checkTarget(
  { group = '', kind = '', name, namespace }: TargetRef,
  path: string,
  findings: Findings,
): void {
  if (!name) findings.invalid(`${path}.name`, 'a name is required');
  if (namespace)
    findings.invalid(`${path}.namespace`, 'a target is in the namespace of its policy');
  const own = group === 'core' ? '' : group;
  if (!TARGET_KINDS.has(`${own}/${kind}`))
    findings.invalid(
      `${path}.kind`,
      `${own || 'core'}/${kind} is nothing that a policy can target`,
    );
}
