/**
 * AuthorizationPolicies as the proxies get them. Node proxies enforce what they can see of a connection; what needs
 * HTTP is a waypoint's to judge. Where no waypoint does, Istio lets the connection pass; here a DENY or CUSTOM rule
 * denies all that its other conditions match (docs/decisions/011), unless the mesh or the policy says otherwise.
 */
import type { Finding } from '#config/compile/finding.ts';
import { Findings } from '#config/compile/finding.ts';
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { NEEDS_WAYPOINT_PREFIX, NO_MATCH } from '#model/authorization/authorization.ts';
import type { HttpPolicy } from '#model/authorization/http-policies.ts';
import type { AuthorizationRuleSpec, ConvertedRule } from './convert-rule.ts';
import { convertRule } from './convert-rule.ts';
import { ANNOTATION } from './mesh.ts';
import type { TargetRefSpec } from './policy-target.ts';
import { targetsOf } from './policy-target.ts';

export interface AuthorizationPolicySpec {
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: TargetRefSpec;
  targetRefs?: TargetRefSpec[];
  action?: string;
  rules?: AuthorizationRuleSpec[];
  provider?: { name?: string };
}
export type AuthorizationPolicyObject = ConfigObject<AuthorizationPolicySpec>;

/** What happens to traffic that a policy is about and that no proxy on its way can judge. */
export type UnenforcedPolicy = 'deny' | 'ignore';

export interface DerivedPolicy {
  readonly namespace: string;
  readonly name: string;
  readonly action: 'ALLOW' | 'DENY' | 'CUSTOM' | 'AUDIT';
  readonly dryRun: boolean;
  /** What node proxies decide themselves. */
  readonly authorization: Authorization | undefined;
  /** Rules that need HTTP, as a deny for whoever does not come from a waypoint. */
  readonly unjudged: Authorization | undefined;
  /** Set for the scope `workload-selector`. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  /** Bound to waypoints: node proxies get nothing of it. Keys as in policy-target.ts. */
  readonly targets: readonly string[];
  /** A waypoint that it is bound to must do something about it. */
  readonly demanding: boolean;
  /** As waypoints and gateways judge by it. */
  readonly judged: HttpPolicy;
  /** It has values that nobody can read, and no good form of it is known. */
  readonly unreadable: boolean;
  readonly unenforced: UnenforcedPolicy;
  /** Attributes that need HTTP, sorted. */
  readonly http: readonly string[];
}

export interface AuthorizationOptions {
  readonly rootNamespace: string;
  readonly unenforcedPolicy: UnenforcedPolicy;
}

/**
 * `fallback`: for an object with unreadable values, what is in force when no earlier good form is: a DENY that denies
 * more, an ALLOW that allows less.
 */
export function deriveAuthorization(
  object: AuthorizationPolicyObject,
  options: AuthorizationOptions,
): { value: DerivedPolicy | undefined; fallback?: DerivedPolicy; findings: readonly Finding[] } {
  const { namespace, name } = identityOf(object);
  const findings = new Findings('AuthorizationPolicy', { namespace, name });
  const spec = object.spec ?? {};
  const action = actionOf(spec.action);
  const rules = (spec.rules ?? []).map((rule, at) =>
    convertRule(rule ?? {}, { namespace, path: `spec.rules[${at}]`, findings }),
  );
  const policy: DerivedPolicy = {
    namespace,
    name,
    action,
    dryRun: object.metadata.annotations?.[ANNOTATION.dryRun] === 'true',
    authorization: undefined,
    unjudged: undefined,
    selector: selectorOf(spec),
    targets: targetsOf(spec, namespace),
    // Without rules DENY and CUSTOM match nothing; AUDIT and dry runs decide nothing.
    demanding:
      action !== 'AUDIT' &&
      (action === 'ALLOW' || rules.length > 0) &&
      object.metadata.annotations?.[ANNOTATION.dryRun] !== 'true',
    unenforced: unenforcedOf(object, options.unenforcedPolicy),
    judged: judgedOf(object, action),
    unreadable: false,
    http: [...new Set(rules.flatMap(({ http }) => http))].sort(),
  };
  const derived =
    policy.targets.length > 0 || action === 'AUDIT'
      ? policy
      : { ...policy, ...atL4(policy, rules, options) };
  // A range or port that cannot be read must not turn into "matches more": the last good policy stays.
  if (findings.failed) {
    const fallback = { ...derived, unreadable: true };
    return { value: undefined, fallback, findings: findings.list };
  }
  return { value: derived, findings: findings.list };
}

function judgedOf(object: AuthorizationPolicyObject, action: HttpPolicy['action']): HttpPolicy {
  const { namespace, name } = identityOf(object);
  const { rules = [], provider } = object.spec ?? {};
  return {
    namespace,
    name,
    action,
    dryRun: object.metadata.annotations?.[ANNOTATION.dryRun] === 'true',
    rules: rules as HttpPolicy['rules'],
    ...(provider?.name !== undefined && { provider: provider.name }),
  };
}

/** Splits the rules by who can judge them. */
function atL4(
  policy: DerivedPolicy,
  rules: readonly ConvertedRule[],
  options: AuthorizationOptions,
): Pick<DerivedPolicy, 'authorization' | 'unjudged'> {
  const { namespace, name, action, dryRun, selector, unenforced } = policy;
  const whole = namespace === options.rootNamespace ? 'global' : 'namespace';
  const scope = selector === undefined ? whole : 'workload-selector';
  const base = { name, namespace, scope, dryRun } as const;
  if (action === 'ALLOW') {
    const granting = rules.filter(({ http, unreadable }) => http.length === 0 && !unreadable);
    const clauses = granting.map(({ unmet }) => ({ clauses: unmet }));
    return { authorization: { ...base, action: 'allow', rules: clauses }, unjudged: undefined };
  }
  const needsHttp = ({ http }: ConvertedRule) => action === 'CUSTOM' || http.length > 0;
  if (unenforced === 'ignore') {
    if (action === 'CUSTOM') return { authorization: undefined, unjudged: undefined };
    const clauses = rules.map(({ http, met, unmet }) => ({
      clauses: http.length > 0 ? unmet : met,
    }));
    return { authorization: { ...base, action: 'deny', rules: clauses }, unjudged: undefined };
  }
  const deny = (part: readonly ConvertedRule[]): Authorization | undefined =>
    part.length === 0
      ? undefined
      : { ...base, action: 'deny', rules: part.map(({ met }) => ({ clauses: met })) };
  const unjudged = deny(rules.filter(needsHttp));
  return {
    authorization: deny(rules.filter((rule) => !needsHttp(rule))),
    unjudged: unjudged && { ...unjudged, name: NEEDS_WAYPOINT_PREFIX + name },
  };
}

/** Lets through what a waypoint has judged already. `principals` are the waypoints', without the scheme. */
export function exceptFrom(policy: Authorization, principals: readonly string[]): Authorization {
  if (principals.length === 0) return policy;
  const notPrincipals = principals.map((value) => ({ kind: 'exact' as const, value }));
  const others = [{ ...NO_MATCH, notPrincipals }];
  const rules = policy.rules.map(({ clauses }) => ({ clauses: [...clauses, others] }));
  return { ...policy, rules };
}

/** Undefined: all proxies. */
export function selectorOf(
  spec: Pick<AuthorizationPolicySpec, 'selector'>,
): DerivedPolicy['selector'] {
  const labels = spec.selector?.matchLabels;
  return labels !== undefined && Object.keys(labels).length > 0 ? labels : undefined;
}

function actionOf(action: string | undefined): DerivedPolicy['action'] {
  return action === 'DENY' || action === 'CUSTOM' || action === 'AUDIT' ? action : 'ALLOW';
}

/** The policy's own word counts for more than the mesh's. */
export function unenforcedOf(
  object: { metadata: { annotations?: Record<string, string> } },
  mesh: UnenforcedPolicy,
): UnenforcedPolicy {
  const own = object.metadata.annotations?.[ANNOTATION.unenforcedPolicy];
  return own === 'deny' || own === 'ignore' ? own : mesh;
}
