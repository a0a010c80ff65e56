/** L7 policy of one proxy on one request or connection: tokens first, then AuthorizationPolicies, with every policy that was asked. */
import { systemClock } from '#base/clock.ts';
import { byAge, identityOf } from '#config/compile/istio-kinds.ts';
import { ANNOTATION, namespaceOf, selectsAll } from '#control/derive/mesh.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type {
  HttpPolicies,
  HttpPolicy,
  JwtRule,
  PolicyAction,
} from '#model/authorization/http-policies.ts';
import { compileHttpPolicies, routedClaim } from '#policy/l7/compile-policies.ts';
import { evaluateHttp, type JudgedPolicy } from '#policy/l7/evaluate.ts';
import type { HttpFacts, PolicyFacts } from '#policy/l7/policy.ts';
import { type Authentication, authenticate, compileTokenRules } from '#policy/l7/token.ts';
import type { Labels } from './assumed-objects.ts';
import type { WhyPolicy } from './contract.ts';
import type { World } from './world.ts';

/** The proxy that judges: policies reach it by selector. */
export interface Judge {
  readonly namespace: string;
  readonly labels: Labels;
}

export interface Judgement {
  readonly allow: boolean;
  readonly status: 401 | 403;
  readonly reason: string;
  readonly policies: readonly WhyPolicy[];
}

export function httpFacts(head: MessageHead): HttpFacts {
  const { method, authority, path } = head;
  return { method, authority, path, header: (name) => head.getAll(name) };
}

/** What the tokens of a request prove. Preflights carry none (Istio: jwt_authn bypass_cors_preflight). */
export function authenticationBy({ tokens }: HttpPolicies, head: MessageHead): Authentication {
  const isPreflight =
    head.method === 'OPTIONS' && head.has('origin') && head.has('access-control-request-method');
  if (isPreflight) return { kind: 'none' };
  const rules = tokens.flatMap(compileTokenRules);
  return authenticate(rules, httpFacts(head), systemClock.wallTime() / 1000);
}

/** Policies that reach a proxy by its labels, as in sidecar mode. */
export function policiesOf(world: World, judge: Judge): HttpPolicies {
  const { authorizationPolicies, requestAuthentications } = world.mesh.sources;
  return {
    trustDomains: world.trustDomains,
    policies: reaching(world, judge, authorizationPolicies).map(policyOf),
    tokens: reaching(world, judge, requestAuthentications).map(({ metadata, spec }) => ({
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      rules: ((spec?.jwtRules ?? []) as (JwtRule | null)[]).filter((rule) => rule !== null),
    })),
  };
}

/** What the tokens of a request prove to this proxy. */
export function authenticationAt(world: World, judge: Judge, head: MessageHead): Authentication {
  return authenticationBy(policiesOf(world, judge), head);
}

/** Gives routes the claims that they may ask for. */
export function withClaims(head: MessageHead, authentication: Authentication): MessageHead {
  if (authentication.kind !== 'valid') return head;
  const claim = (path: readonly string[]) => routedClaim(authentication.claims, path);
  return Object.assign(head, { claim });
}

export function judgeHttp(
  world: World,
  judge: Judge,
  facts: PolicyFacts,
  authentication: Authentication,
): Judgement {
  return judgeBy(policiesOf(world, judge), facts, authentication);
}

export function judgeBy(
  of: HttpPolicies,
  facts: PolicyFacts,
  authentication: Authentication,
): Judgement {
  if (authentication.kind === 'invalid') {
    const [namespace, name] = authentication.policy.split('/');
    const { reason, status } = authentication;
    const kind = 'RequestAuthentication';
    const action = 'AUTHENTICATE';
    const policy = { kind, namespace, name, action, matched: true, reason };
    return { allow: false, status, reason, policies: [policy] };
  }
  const claims = authentication.kind === 'valid' ? { claims: authentication.claims } : {};
  const { policies } = compileHttpPolicies(of);
  const { allow, reason, judged } = evaluateHttp(policies, { ...facts, ...claims });
  return { allow, status: 403, reason, policies: judged.map(told) };
}

function told({ compiled: { policy }, rule }: JudgedPolicy): WhyPolicy {
  const { namespace, name, action, dryRun } = policy;
  const matched = rule !== -1;
  const suffix = dryRun ? ' (dry run: it decides nothing)' : '';
  const reason = `${matched ? `rule ${rule} matches` : 'no rule matches'} the request${suffix}`;
  const kind = 'AuthorizationPolicy';
  return { kind, namespace, name, ...(matched && { rule }), action, matched, reason };
}

/** Objects of its namespace and of the root namespace that select the proxy; those with targets are for others. */
function reaching<
  T extends KubeObject & {
    spec?: {
      selector?: { matchLabels?: Record<string, string> };
      targetRef?: unknown;
      targetRefs?: readonly unknown[];
    };
  },
>(
  { settings }: World,
  { namespace, labels }: Judge,
  source: { entries(): IterableIterator<[string, T]> },
): T[] {
  return [...source.entries()]
    .map(([, object]) => object)
    .filter((object) => {
      const own = namespaceOf(object);
      if (own !== namespace && own !== settings.rootNamespace) return false;
      const { selector, targetRef, targetRefs = [] } = object.spec ?? {};
      if (targetRef !== undefined || targetRefs.length > 0) return false;
      const wanted = selector?.matchLabels ?? {};
      return Object.keys(wanted).length === 0 || selectsAll(wanted, labels);
    })
    .sort((left, right) => byAge(identityOf(left), identityOf(right)));
}

const ACTIONS: readonly string[] = ['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'];

function policyOf(object: KubeObject): HttpPolicy {
  const { spec = {} } = object as {
    spec?: { action?: string; rules?: HttpPolicy['rules']; provider?: { name?: string } };
  };
  const { action = 'ALLOW', rules = [], provider } = spec;
  return {
    namespace: namespaceOf(object),
    name: object.metadata.name,
    action: (ACTIONS.includes(action) ? action : 'ALLOW') as PolicyAction,
    dryRun: object.metadata.annotations?.[ANNOTATION.dryRun] === 'true',
    rules,
    ...(provider?.name !== undefined && { provider: provider.name }),
  };
}
