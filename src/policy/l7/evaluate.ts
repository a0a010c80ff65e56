/**
 * Which policy decides about a request: CUSTOM, then DENY, then ALLOW; AUDIT and dry runs decide nothing (Istio: concepts/security,
 * implicit enablement). Pure, and the verdict says who decided.
 */
import type { Verdict } from '#model/authorization/authorization.ts';
import type { PolicyAction } from '#model/authorization/http-policies.ts';
import { type CompiledHttpPolicy, ruleMatches } from './compile.ts';
import type { PolicyFacts } from './policy.ts';

export interface HttpVerdict extends Verdict {
  /** Every policy, in the order in which they are asked. */
  readonly judged: readonly JudgedPolicy[];
}

export interface JudgedPolicy {
  readonly compiled: CompiledHttpPolicy;
  /** Index of the first rule that matches; -1: none does. */
  readonly rule: number;
}

const ORDER: readonly PolicyAction[] = ['CUSTOM', 'AUDIT', 'DENY', 'ALLOW'];

export function evaluateHttp(
  policies: readonly CompiledHttpPolicy[],
  facts: PolicyFacts,
): HttpVerdict {
  const judged = ORDER.flatMap((action) =>
    policies
      .filter(({ policy }) => policy.action === action)
      .map((compiled): JudgedPolicy => ({ compiled, rule: firstRule(compiled, facts) })),
  );
  const live = judged.filter(({ compiled }) => !compiled.policy.dryRun);
  const matching = (action: PolicyAction) =>
    live.find(({ compiled, rule }) => compiled.policy.action === action && rule !== -1);
  const custom = matching('CUSTOM');
  if (custom !== undefined) {
    const { provider = '' } = custom.compiled.policy;
    const reason = `its provider ${provider} decides, and nobody here can ask it: ${nameOf(custom)}`;
    return { allow: false, reason, policy: nameOf(custom), judged };
  }
  const denied = matching('DENY');
  if (denied !== undefined) {
    const reason = `explicitly denied by: ${nameOf(denied)}, rule ${denied.rule}`;
    return { allow: false, reason, policy: nameOf(denied), judged };
  }
  const allows = live.filter(({ compiled }) => compiled.policy.action === 'ALLOW');
  if (allows.length === 0)
    return { allow: true, reason: 'no ALLOW policy applies', policy: undefined, judged };
  const allowed = matching('ALLOW');
  if (allowed !== undefined) {
    const reason = `allowed by: ${nameOf(allowed)}, rule ${allowed.rule}`;
    return { allow: true, reason, policy: nameOf(allowed), judged };
  }
  const names = allows.map(nameOf).join(', ');
  const reason = `allow policies exist, but none allowed: ${names}`;
  return { allow: false, reason, policy: nameOf(allows[0]), judged };
}

/** What dry runs would have done otherwise; undefined: nothing. */
export function shadowOf(judged: readonly JudgedPolicy[]): string | undefined {
  const told = judged.filter(({ compiled }) => compiled.policy.dryRun);
  if (told.length === 0) return undefined;
  const denied = told.find(
    ({ compiled, rule }) => compiled.policy.action === 'DENY' && rule !== -1,
  );
  if (denied !== undefined)
    return `dry run: would be denied by ${nameOf(denied)}, rule ${denied.rule}`;
  const allows = told.filter(({ compiled }) => compiled.policy.action === 'ALLOW');
  if (allows.length === 0 || allows.some(({ rule }) => rule !== -1)) return undefined;
  return `dry run: would be denied, no rule allows of ${allows.map(nameOf).join(', ')}`;
}

/** As Istio names the rule in %RESPONSE_CODE_DETAILS% (`rbac_access_denied_matched_policy[…]`). */
export function denialDetails(judged: readonly JudgedPolicy[]): string {
  const denied = judged.find(
    ({ compiled: { policy }, rule }) =>
      !policy.dryRun && rule !== -1 && (policy.action === 'DENY' || policy.action === 'CUSTOM'),
  );
  if (denied === undefined) return 'rbac_access_denied_matched_policy[none]';
  const { namespace, name } = denied.compiled.policy;
  return `rbac_access_denied_matched_policy[ns[${namespace}]-policy[${name}]-rule[${denied.rule}]]`;
}

function firstRule({ policy, rules }: CompiledHttpPolicy, facts: PolicyFacts): number {
  return rules.findIndex((rule) => ruleMatches(rule, policy.action, facts));
}

function nameOf({ compiled: { policy } }: JudgedPolicy): string {
  return `${policy.namespace}/${policy.name}`;
}
