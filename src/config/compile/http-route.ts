/**
 * One `http` rule of a VirtualService in the model's words, but not yet bound to services: hosts are full names,
 * destinations are not looked up, conditions on the source stand beside each match. Of a rule without errors
 * (validate-http-rule.ts). Bound by bind-route.ts.
 */
import type { Cors, Fault, RetryPolicy, Route } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import { isAuthority } from './header-names.ts';
import { compileHeaders } from './header-operations.ts';
import type { PendingMirror } from './http-features.ts';
import { compileCors, compileFault, compileMirrors, compileRetries } from './http-features.ts';
import type { PendingMatch } from './http-match.ts';
import { compileMatch } from './http-match.ts';
import { duration } from './scalars.ts';
import type { PendingTarget } from './target.ts';
import { targetOf } from './target.ts';
import type {
  DirectResponseSpec,
  HeadersSpec,
  HttpRouteSpec,
  RedirectSpec,
  RouteDestinationSpec,
} from './virtual-service-kinds.ts';

export interface PendingDestination extends PendingTarget {
  readonly weight: number;
  readonly headers: Route['headers'];
  readonly authority: string | undefined;
}

type RespondAction = Extract<Route['action'], { kind: 'respond' }>;

export type PendingAction =
  | { readonly kind: 'forward'; readonly destinations: readonly PendingDestination[] }
  | { readonly kind: 'redirect'; readonly redirect: RedirectSpec; readonly status: number }
  | RespondAction;

export interface PendingRoute {
  /** As configured, with the names of a root and its delegate joined. */
  readonly name: string | undefined;
  /** Of the rule in its VirtualService. */
  readonly index: number;
  /** What `why` and the log call the rule. */
  readonly rule: string | number;
  /** Empty: every request. */
  readonly matches: readonly PendingMatch[];
  readonly action: PendingAction;
  readonly rewrite: Route['rewrite'];
  readonly headers: Route['headers'];
  readonly mirrors: readonly PendingMirror[];
  readonly fault: Fault | undefined;
  readonly cors: Cors | undefined;
  readonly timeoutMs: number | undefined;
  /** Undefined: the mesh's default. */
  readonly retries: RetryPolicy | undefined;
}

export interface RulePlace {
  readonly index: number;
  readonly path: string;
  readonly rule: string | number;
}

/** Names in `spec` are full (full-names.ts). */
export function compileHttpRule(
  spec: HttpRouteSpec,
  place: RulePlace,
  findings: Findings,
): PendingRoute {
  const { path, index } = place;
  const matches = (spec.match ?? []).map((match, at) =>
    compileMatch(match, `${path}.match[${at}]`, findings),
  );
  return {
    name: spec.name || undefined,
    index,
    rule: spec.name || place.rule,
    matches,
    action: compileAction(spec, path, findings),
    ...compileRewrite(spec, path, findings),
    mirrors: compileMirrors(spec, path),
    fault: compileFault(spec.fault, `${path}.fault`, findings),
    cors: compileCors(spec.corsPolicy, `${path}.corsPolicy`, findings),
    timeoutMs: duration(spec.timeout, `${path}.timeout`, findings) || undefined,
    retries: spec.retries && compileRetries(spec.retries, `${path}.retries`, findings),
  };
}

function compileAction(spec: HttpRouteSpec, path: string, findings: Findings): PendingAction {
  const { redirect, directResponse } = spec;
  if (redirect !== undefined)
    return { kind: 'redirect', redirect, status: redirect.redirectCode || 301 };
  if (directResponse !== undefined) return compileResponse(directResponse);
  const specs = spec.route ?? [];
  const used = specs.flatMap((each, at) => {
    // Istio ignores the weight of a single destination, and of several those without one.
    const weight = specs.length === 1 ? 1 : (each.weight ?? 0);
    if (weight === 0) return [];
    return [{ ...compileDestination(each, `${path}.route[${at}]`, findings), weight }];
  });
  return { kind: 'forward', destinations: used };
}

function compileResponse({ status = 0, body }: DirectResponseSpec): RespondAction {
  return {
    kind: 'respond',
    status,
    ...(body?.string !== undefined && { body: body.string }),
    ...(body?.string === undefined && body?.bytes !== undefined && { bodyBytes: body.bytes }),
  };
}

function compileDestination(
  spec: RouteDestinationSpec,
  path: string,
  findings: Findings,
): Omit<PendingDestination, 'weight'> {
  const headers = compileHeaders(spec.headers, `${path}.headers`, findings);
  return {
    ...targetOf(spec.destination, `${path}.destination`),
    headers,
    authority: authorityOf(spec.headers),
  };
}

function compileRewrite(
  spec: HttpRouteSpec,
  path: string,
  findings: Findings,
): Pick<PendingRoute, 'rewrite' | 'headers'> {
  const { rewrite } = spec;
  const authority = rewrite?.authority || authorityOf(spec.headers);
  const regex = rewrite?.uriRegexRewrite;
  const compiled: Route['rewrite'] = {
    ...(regex && { regex: { match: regex.match ?? '', rewrite: regex.rewrite ?? '' } }),
    ...(rewrite?.uri && !regex && { path: rewrite.uri }),
    ...(authority !== undefined && { authority }),
  };
  return {
    rewrite: Object.keys(compiled).length > 0 ? compiled : undefined,
    headers: compileHeaders(spec.headers, `${path}.headers`, findings),
  };
}

/** Setting Host on a request rewrites its authority (Istio: route.go TranslateHeadersOperations). */
function authorityOf(headers: HeadersSpec | undefined): string | undefined {
  for (const operations of [headers?.request?.set, headers?.request?.add])
    for (const [name, value] of Object.entries(operations ?? {}))
      if (isAuthority(name) && value !== '') return String(value);
  return undefined;
}
