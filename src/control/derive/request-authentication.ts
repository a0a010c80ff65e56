/** RequestAuthentications that are bound to a waypoint, and those that select proxies: gateways alone, because nothing at L4 sees a token. */
import type { ConfigObject } from '#config/compile/istio-kinds.ts';
import { identityOf } from '#config/compile/istio-kinds.ts';
import type { HttpPolicy, JwtRule, TokenPolicy } from '#model/authorization/http-policies.ts';
import type { DerivedPolicy, UnenforcedPolicy } from './authorization.ts';
import { selectorOf, unenforcedOf } from './authorization.ts';
import type { TargetRefSpec } from './policy-target.ts';
import { targetsOf } from './policy-target.ts';

export interface RequestAuthenticationSpec {
  selector?: { matchLabels?: Record<string, string> };
  targetRef?: TargetRefSpec;
  targetRefs?: TargetRefSpec[];
  jwtRules?: (JwtRule | null)[];
}
export type RequestAuthenticationObject = ConfigObject<RequestAuthenticationSpec>;

/** A policy that a waypoint has to judge by. */
export interface BoundPolicy {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** Keys as in policy-target.ts. */
  readonly targets: readonly string[];
  readonly unenforced: UnenforcedPolicy;
  /** False: a dry run, which is told and never enforced. */
  readonly demanding: boolean;
  readonly judged: { readonly policy: HttpPolicy } | { readonly tokens: TokenPolicy };
  /** Why no proxy can judge by it; undefined: they can. */
  readonly unjudgeable: string | undefined;
  /** Which tokens fail for want of keys, and why; undefined: all keys are there. */
  readonly keysMissing?: string;
}

/** What an address of keys had to say. */
export interface FetchedKeys {
  /** A JSON Web Key Set (RFC 7517 §5): the last good one. */
  readonly jwks?: string;
  /** Of the last try; undefined: it went well. */
  readonly problem?: string;
}

export type KeysAt = (location: string) => FetchedKeys | undefined;

/** OpenID Connect Discovery 1.0 §4. */
const DISCOVERY_PATH = '/.well-known/openid-configuration';

/** Without targets: for the proxies of its namespace, of the mesh if that is the root namespace, that have these labels; undefined: for all. */
export type SelectedPolicy = BoundPolicy & {
  readonly selector: Readonly<Record<string, string>> | undefined;
};

export function bindRequestAuthentication(
  object: RequestAuthenticationObject,
  mesh: UnenforcedPolicy,
  keysAt: KeysAt,
): SelectedPolicy | undefined {
  const { namespace, name } = identityOf(object);
  const spec = object.spec ?? {};
  if (!spec.jwtRules?.length) return undefined;
  const targets = targetsOf(spec, namespace);
  const unenforced = unenforcedOf(object, mesh);
  const selector = selectorOf(spec);
  const rules = rulesOf(object).map((rule) => withKeys(rule, keysAt));
  const missing = rules.flatMap(({ issuer, keysMissing }) =>
    keysMissing === undefined ? [] : [`tokens of issuer ${issuer} are refused: ${keysMissing}`],
  );
  return {
    kind: 'RequestAuthentication',
    namespace,
    name,
    targets,
    unenforced,
    selector,
    demanding: true,
    judged: { tokens: { namespace, name, rules } },
    unjudgeable: undefined,
    ...(missing.length > 0 && { keysMissing: missing.join('; ') }),
  };
}

function rulesOf({ spec }: RequestAuthenticationObject): JwtRule[] {
  return (spec?.jwtRules ?? []).filter((rule) => rule !== null);
}

/** Addresses that an object's keys come from. */
export function keyLocations(object: RequestAuthenticationObject): string[] {
  return [...new Set(rulesOf(object).flatMap((rule) => keyLocation(rule) ?? []))];
}

/** Inline keys need none. Without an address the issuer is asked for it, as istiod does. */
function keyLocation({ jwks, jwksUri, issuer = '' }: JwtRule): string | undefined {
  if (jwks) return undefined;
  if (jwksUri) return jwksUri;
  return /^https?:/.test(issuer) ? issuer.replace(/\/$/, '') + DISCOVERY_PATH : undefined;
}

function withKeys(rule: JwtRule, keysAt: KeysAt): JwtRule {
  if (rule.jwks) return rule;
  const location = keyLocation(rule);
  if (location === undefined) {
    const keysMissing =
      'there is neither jwks nor jwksUri, and the issuer is no URL to ask for keys';
    return { ...rule, keysMissing };
  }
  const { jwks, problem } = keysAt(location) ?? {};
  if (jwks !== undefined) return { ...rule, jwks };
  return { ...rule, keysMissing: problem ?? `the keys at ${location} have not come yet` };
}

/** An AuthorizationPolicy that decides something, or would if it were no dry run. */
export function bindAuthorization(policy: DerivedPolicy): SelectedPolicy | undefined {
  const { namespace, name, action, targets, unenforced, selector, demanding, judged } = policy;
  // Without rules DENY and CUSTOM match nothing; AUDIT decides nothing.
  if (action === 'AUDIT' || (action !== 'ALLOW' && judged.rules.length === 0)) return undefined;
  return {
    kind: 'AuthorizationPolicy',
    namespace,
    name,
    targets,
    unenforced,
    selector,
    demanding,
    judged: { policy: judged },
    unjudgeable: unjudgeable(policy),
  };
}

function unjudgeable({ unreadable, action, dryRun, judged }: DerivedPolicy): string | undefined {
  if (unreadable) return 'it has values that nobody can read';
  if (action !== 'CUSTOM' || dryRun) return undefined;
  return `its provider ${judged.provider ?? ''} decides, and nobody here can ask it`;
}
