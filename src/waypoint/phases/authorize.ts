/**
 * The authorize phase: tokens, then AuthorizationPolicies, by what the connection proved and what the head says. Before the route, as in
 * Envoy: a route may ask for claims, and who is refused learns nothing about routes. Costs nothing where no policy is. When policies
 * change, what is under way is judged again, by what it came with.
 */
import { parseHostPort } from '#base/ip.ts';
import type { MessageHead } from '#http/dispatch/message-head.ts';
import type { RequestView } from '#model/route/request-view.ts';
import { claimAt } from '#policy/l7/compile.ts';
import { type CompiledHttpPolicies, routedClaim } from '#policy/l7/compile-policies.ts';
import { denialDetails, evaluateHttp, shadowOf } from '#policy/l7/evaluate.ts';
import type { PolicyFacts } from '#policy/l7/policy.ts';
import { type Authentication, authenticate, type Refusal } from '#policy/l7/token.ts';
import type { Tunnel } from '../tunnel.ts';
import { type Answer, answerOfFault } from './answer.ts';
import { clientAddress } from './edge.ts';
import type { Services } from './find-route.ts';

export interface Authorized {
  /** Undefined: it may pass. */
  readonly answer: Answer | undefined;
  /** For the log line: who refused it and why, what a dry run would have done. */
  readonly note: string;
  /** `Kind namespace/name` of the policy that refused it; empty when it may pass. */
  readonly policy: string;
  /** The request with its claims, for routes. */
  readonly view: RequestView;
}

interface Asked {
  readonly tunnel: Tunnel;
  readonly request: MessageHead;
  readonly trustedProxies: number;
  /** When it came: a token that was valid then stays so. */
  readonly nowSeconds: number;
}

type Judgement =
  | {
      readonly refusal: Extract<Authentication, { kind: 'invalid' }>;
      readonly verdict?: undefined;
      readonly authentication?: undefined;
    }
  | {
      readonly refusal?: undefined;
      readonly verdict: ReturnType<typeof evaluateHttp>;
      readonly authentication: Authentication;
    };

/** The policies that a tunnel's traffic is judged by; undefined: none. */
export function policiesAt(
  snapshot: Services | undefined,
  { host, gateway }: Tunnel,
): CompiledHttpPolicies | undefined {
  if (gateway !== undefined) return snapshot?.gateways?.places.get(gateway.place)?.policies;
  return snapshot?.serviceAt(host)?.policies;
}

/** Changes the head as token rules ask: fields of theirs are taken from clients and set anew. */
export function authorize(
  policies: CompiledHttpPolicies,
  asked: Asked & { readonly isGrpc: boolean },
): Authorized {
  const { request, isGrpc } = asked;
  const { refusal, verdict, authentication } = judge(policies, asked);
  for (const { outputs } of policies.tokenRules)
    for (const name of outputs) if (request.has(name)) request.remove(name);
  if (refusal !== undefined) {
    const note = reasonOf(refusal);
    const answer = unauthenticated(refusal, note, { request, isGrpc });
    const policy = `RequestAuthentication ${refusal.policy}`;
    return { answer, note, policy, view: request };
  }
  const { allow, reason, judged } = verdict;
  const shadow = shadowOf(judged);
  if (!allow) {
    const note = shadow === undefined ? reason : `${reason}; ${shadow}`;
    const as = { details: denialDetails(judged) };
    const answer = answerOfFault('denied', { reason, isGrpc, as });
    const policy = verdict.policy === undefined ? '' : `AuthorizationPolicy ${verdict.policy}`;
    return { answer, note, policy, view: request };
  }
  const note = shadow ?? '';
  if (authentication.kind !== 'valid')
    return { answer: undefined, note, policy: '', view: request };
  passOn(request, authentication);
  const view = withClaims(request, authentication.claims);
  return { answer: undefined, note, policy: '', view };
}

/** A request under way. */
interface Running {
  readonly tunnel: Tunnel;
  /** Routes may have changed it. */
  readonly request: MessageHead;
  readonly originalPath: string;
  readonly originalAuthority: string;
  /** As it was judged; undefined: no policy was there. */
  readonly judged: { readonly head: MessageHead } | undefined;
  readonly forwarding: { readonly isPrepared: boolean } | undefined;
}

/** Why a request that is under way may not go on; undefined: it may. */
export function refusalOf(
  policies: CompiledHttpPolicies,
  run: Running,
  by: Pick<Asked, 'trustedProxies' | 'nowSeconds'>,
): string | undefined {
  const request = run.judged?.head ?? headAsItCame(run);
  const { refusal, verdict } = judge(policies, { ...by, tunnel: run.tunnel, request });
  if (refusal !== undefined) return refusal.isUnknown ? undefined : reasonOf(refusal);
  return verdict.allow ? undefined : verdict.reason;
}

/** Nobody kept it, because there was no policy: fields that its route has set are seen as they are set. */
function headAsItCame(run: Running): MessageHead {
  const head = run.request.clone();
  head.path = run.originalPath;
  head.authority = run.originalAuthority;
  if (run.forwarding?.isPrepared !== true) return head;
  // The last one is who called us.
  const before = head.getAll('x-forwarded-for')?.split(',').slice(0, -1) ?? [];
  if (before.length === 0) head.remove('x-forwarded-for');
  else head.set('x-forwarded-for', before.join(','));
  return head;
}

function judge(policies: CompiledHttpPolicies, asked: Asked): Judgement {
  const { request, tunnel, trustedProxies, nowSeconds } = asked;
  const http = {
    method: request.method,
    authority: request.authority,
    path: request.path,
    header: (name: string) => request.getAll(name),
  };
  const authentication: Authentication = isPreflight(request)
    ? { kind: 'none' }
    : authenticate(policies.tokenRules, http, nowSeconds);
  if (authentication.kind === 'invalid') return { refusal: authentication };
  const claims = authentication.kind === 'valid' ? { claims: authentication.claims } : {};
  const { address } = tunnel.source;
  const remoteIp = clientAddress(request.getAll('x-forwarded-for'), { address, trustedProxies });
  const facts = { ...factsOf(tunnel, tunnel.gateway?.sni), remoteIp, http, ...claims };
  return { verdict: evaluateHttp(policies.policies, facts), authentication };
}

function reasonOf({ policy, reason }: Extract<Authentication, { kind: 'invalid' }>): string {
  return `refused by RequestAuthentication ${policy}: ${reason}`;
}

/** For bytes: fields that need HTTP grant nothing, and keep nothing from being denied. */
export function authorizeConnection(
  policies: CompiledHttpPolicies,
  tunnel: Tunnel,
  sni: string | undefined,
): { allow: boolean; reason: string; details: string } {
  const { allow, reason, judged } = evaluateHttp(policies.policies, factsOf(tunnel, sni));
  return { allow, reason, details: denialDetails(judged) };
}

function factsOf(
  { source, host, port, local, gateway }: Tunnel,
  sni: string | undefined,
): PolicyFacts {
  const own = parseHostPort(local)?.host ?? local;
  return {
    principal: source.principal,
    sourceIp: source.address,
    remoteIp: source.address,
    destinationIp: gateway === undefined ? host : own,
    destinationPort: port,
    ...(sni !== undefined && { sni }),
  };
}

/** Preflights carry no token (Istio: jwt_authn bypass_cors_preflight). */
function isPreflight(request: MessageHead): boolean {
  return (
    request.method === 'OPTIONS' &&
    request.has('origin') &&
    request.has('access-control-request-method')
  );
}

/** A token in a cookie stays there, as Envoy leaves it. */
function passOn(
  request: MessageHead,
  { rule, token, payload }: Extract<Authentication, { kind: 'valid' }>,
): void {
  const { outputPayloadToHeader, outputClaimToHeaders = [], forwardOriginalToken } = rule;
  if (outputPayloadToHeader)
    request.set(outputPayloadToHeader.toLowerCase(), token.text.split('.')[1]);
  for (const { header, claim } of outputClaimToHeaders) {
    const value = claim && claimAt(payload, claim.split('.'));
    const isPlain =
      typeof value === 'string' || typeof value === 'boolean' || Number.isInteger(value);
    if (header && isPlain) request.set(header.toLowerCase(), String(value));
  }
  if (forwardOriginalToken === true) return;
  if (token.header !== undefined) request.remove(token.header);
  if (token.parameter !== undefined) request.path = withoutParameter(request.path, token.parameter);
}

function withoutParameter(path: string, name: string): string {
  const at = path.indexOf('?');
  const kept = path
    .slice(at + 1)
    .split('&')
    .filter((each) => each.split('=', 1)[0] !== name);
  return kept.length === 0 ? path.slice(0, at) : `${path.slice(0, at)}?${kept.join('&')}`;
}

/** A view of its own: a driver uses the head again for the next request, which must not inherit claims. */
function withClaims(request: MessageHead, claims: PolicyFacts['claims']): RequestView {
  const { method, scheme, authority, path } = request;
  const getAll = (name: string) => request.getAll(name);
  const claim = (way: readonly string[]) => routedClaim(claims, way);
  return { method, scheme, authority, path, getAll, claim };
}

/** As Envoy's jwt_authn: its text, and where a token is wanted (RFC 6750 §3). */
function unauthenticated(
  { status, text }: Refusal,
  reason: string,
  { request, isGrpc }: { request: MessageHead; isGrpc: boolean },
): Answer {
  const details = `jwt_authn_access_denied{${text.replaceAll(' ', '_')}}`;
  const answer = answerOfFault('unauthenticated', {
    reason,
    isGrpc,
    as: { status, text, details },
  });
  const url = `${request.scheme}://${request.authority}${request.path.replace(/\?.*$/s, '')}`;
  answer.head.set('www-authenticate', `Bearer realm="${url}", error="invalid_token"`);
  return answer;
}
