/** All that one proxy judges by, ready to judge. */
import type { HttpPolicies } from '#model/authorization/http-policies.ts';
import { type CompiledHttpPolicy, claimAt, compileHttpPolicy } from './compile.ts';
import type { PolicyFacts } from './policy.ts';
import { compileTokenRules, type TokenRule } from './token.ts';

export interface CompiledHttpPolicies {
  readonly policies: readonly CompiledHttpPolicy[];
  readonly tokenRules: readonly TokenRule[];
}

export function compileHttpPolicies({
  trustDomains,
  policies,
  tokens,
}: HttpPolicies): CompiledHttpPolicies {
  return {
    policies: policies.map((policy) => compileHttpPolicy(policy, { trustDomains })),
    tokenRules: tokens.flatMap(compileTokenRules),
  };
}

/** What a route may ask of a claim: a text, or the texts of a list. */
export function routedClaim(
  claims: PolicyFacts['claims'],
  path: readonly string[],
): string | readonly string[] | undefined {
  const value = claimAt(claims, path);
  if (typeof value === 'string') return value;
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : undefined;
}
