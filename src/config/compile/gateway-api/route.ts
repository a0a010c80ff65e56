/**
 * A route of the Gateway API on its own: checked, defaults filled in, not yet bound to parents and backends
 * (attach.ts, bind.ts). A rule that cannot be honoured answers 500 or, when its matches are not understood, is left out;
 * both are told as problems, which become conditions (RouteConditionPartiallyInvalid of the specification).
 */
import type { RetryPolicy, Rewrite, Route } from '#model/route/route-table.ts';
import { DEFAULT_RETRIES } from '../http-features.ts';
import type { ObjectIdentity } from '../istio-kinds.ts';
import { identityOf } from '../istio-kinds.ts';
import { parseDurationMs } from '../scalars.ts';
import type {
  CompiledFilters,
  FilterContext,
  PendingMirror,
  PendingRedirect,
  RuleProblem,
} from './filters.ts';
import { compileFilters } from './filters.ts';
import type {
  BackendRef,
  BytesRule,
  FilteredBackendRef,
  GrpcRouteObject,
  GrpcRule,
  HttpRouteObject,
  HttpRule,
  ParentRef,
  RouteObject,
  TcpRouteObject,
  TlsRouteObject,
} from './kinds.ts';
import type { RankedMatch } from './match.ts';
import { compileGrpcMatch, compileHttpMatch } from './match.ts';

export type RouteKind = 'HTTPRoute' | 'GRPCRoute' | 'TCPRoute' | 'TLSRoute';

export interface PendingBackend {
  readonly ref: BackendRef;
  readonly weight: number;
  readonly headers?: Route['headers'];
  readonly rewrite?: Rewrite;
  readonly redirect?: PendingRedirect;
  readonly mirrors: readonly PendingMirror[];
  /** One of its filters is not understood: its share is answered 500. */
  readonly failed: boolean;
}

export type PendingAction =
  | { readonly kind: 'forward'; readonly backends: readonly PendingBackend[] }
  | { readonly kind: 'redirect'; readonly redirect: PendingRedirect }
  /** Answered with the kind's error for what it cannot send on. */
  | { readonly kind: 'fail'; readonly reason: string };

export interface PendingRule {
  readonly name: string | undefined;
  readonly index: number;
  /** Of HTTPRoutes and GRPCRoutes; never empty there. */
  readonly matches: readonly RankedMatch[];
  readonly action: PendingAction;
  readonly headers?: Route['headers'];
  readonly rewrite?: Rewrite;
  readonly cors?: Route['cors'];
  readonly mirrors: readonly PendingMirror[];
  /** Undefined: the mesh's. */
  readonly retries?: RetryPolicy;
  readonly timeoutMs?: number;
  readonly perTryTimeoutMs?: number;
}

export interface CompiledRoute extends ObjectIdentity {
  readonly kind: RouteKind;
  readonly generation: number | undefined;
  readonly parentRefs: readonly ParentRef[];
  readonly hostnames: readonly string[];
  readonly rules: readonly PendingRule[];
  readonly ruleCount: number;
  readonly problems: readonly RuleProblem[];
  /** Fields that are accepted and not acted on. */
  readonly notes: readonly { readonly path: string; readonly message: string }[];
}

export function compileHttpRoute(object: HttpRouteObject): CompiledRoute {
  return compileRoute('HTTPRoute', object, (rule: HttpRule, draft) => {
    const matches = compileMatches(
      rule.matches?.length ? rule.matches : [{}],
      draft,
      compileHttpMatch,
    );
    return compileL7Rule(rule, matches, draft, compileTimeouts(rule, draft));
  });
}

export function compileGrpcRoute(object: GrpcRouteObject): CompiledRoute {
  return compileRoute('GRPCRoute', object, (rule: GrpcRule, draft) => {
    const matches = compileMatches(
      rule.matches?.length ? rule.matches : [{}],
      draft,
      compileGrpcMatch,
    );
    return compileL7Rule(rule, matches, draft, {});
  });
}

export function compileTcpRoute(object: TcpRouteObject): CompiledRoute {
  return compileRoute('TCPRoute', object, compileBytesRule);
}

export function compileTlsRoute(object: TlsRouteObject): CompiledRoute {
  return compileRoute('TLSRoute', object, compileBytesRule);
}

type Limits = Pick<PendingRule, 'timeoutMs' | 'perTryTimeoutMs' | 'retries'>;

interface RuleDraft {
  readonly kind: RouteKind;
  readonly index: number;
  /** `spec.rules[0]`. */
  readonly path: string;
  readonly report: (problem: RuleProblem) => void;
  readonly note: (path: string, message: string) => void;
}

function compileRoute<R extends { name?: string }>(
  kind: RouteKind,
  object: RouteObject<R>,
  compileRule: (rule: R, draft: RuleDraft) => PendingRule | undefined,
): CompiledRoute {
  const spec = object.spec ?? {};
  const problems: RuleProblem[] = [];
  const notes: CompiledRoute['notes'][number][] = [];
  if (spec.useDefaultGateways !== undefined && spec.useDefaultGateways !== 'None')
    notes.push({
      path: 'spec.useDefaultGateways',
      message: 'no Gateway of ours is a default one: name Gateways in parentRefs',
    });
  // Without rules every request matches, and there is nowhere to send it (HTTPRouteSpec.rules).
  const specs = spec.rules ?? [{} as R];
  const rules = specs.flatMap(
    (rule, index) =>
      compileRule(rule, {
        kind,
        index,
        path: `spec.rules[${index}]`,
        report: (problem) => problems.push(problem),
        note: (path, message) => notes.push({ path, message }),
      }) ?? [],
  );
  return {
    ...identityOf(object),
    kind,
    generation: object.metadata.generation,
    parentRefs: spec.parentRefs ?? [],
    hostnames: (spec.hostnames ?? []).map((hostname) => hostname.toLowerCase()),
    rules,
    ruleCount: specs.length,
    problems,
    notes,
  };
}

function compileMatches<M>(
  specs: readonly M[],
  { index, path, report }: RuleDraft,
  compile: (spec: M, complain: (field: string, message: string) => void) => RankedMatch | undefined,
): RankedMatch[] {
  return specs.flatMap((spec, at) => {
    const complain = (field: string, message: string) =>
      report({
        rule: index,
        path: `${path}.matches[${at}].${field}`,
        condition: 'Accepted',
        reason: 'UnsupportedValue',
        message,
      });
    return compile(spec, complain) ?? [];
  });
}

function compileL7Rule(
  rule: HttpRule | GrpcRule,
  matches: readonly RankedMatch[],
  draft: RuleDraft,
  limits: Limits | undefined,
): PendingRule | undefined {
  if (matches.length === 0) return undefined;
  const { index, path, report, note } = draft;
  const kind = draft.kind === 'GRPCRoute' ? 'GRPCRoute' : 'HTTPRoute';
  const common = { kind, rule: index, matches, report } as const;
  const filters = compileFilters(rule.filters, {
    ...common,
    level: 'rule',
    path: `${path}.filters`,
  });
  if (rule.sessionPersistence !== undefined)
    note(
      `${path}.sessionPersistence`,
      'session persistence is not enforced: use a DestinationRule with consistentHash',
    );
  const { headers, rewrite, cors, mirrors } = filters;
  const failed = filters.failed || limits === undefined;
  return {
    name: rule.name,
    index,
    matches,
    action: compileAction(
      rule.backendRefs ?? [],
      { ...filters, failed },
      {
        ...common,
        path: `${path}.backendRefs`,
      },
    ),
    ...(headers && { headers }),
    ...(rewrite && { rewrite }),
    ...(cors && { cors }),
    mirrors,
    ...limits,
  };
}

function compileAction(
  backendRefs: readonly FilteredBackendRef[],
  filters: CompiledFilters,
  context: Omit<FilterContext, 'level'>,
): PendingAction {
  if (filters.failed)
    return { kind: 'fail', reason: 'a filter or field of the rule is not supported' };
  if (filters.redirect !== undefined) return { kind: 'redirect', redirect: filters.redirect };
  const backends = backendRefs.map((ref, at): PendingBackend => {
    const path = `${context.path}[${at}].filters`;
    const own = compileFilters(ref.filters, { ...context, level: 'backend', path });
    return { ...own, ref, weight: ref.weight ?? 1 };
  });
  return forwardTo(backends);
}

/** As Istio: zero-weight backends are not even looked up. */
function forwardTo(all: readonly PendingBackend[]): PendingAction {
  const backends = all.filter(({ weight }) => weight > 0);
  if (backends.length > 0) return { kind: 'forward', backends };
  const reason = all.length === 0 ? 'the rule has no backends' : 'all backends have weight 0';
  return { kind: 'fail', reason };
}

function compileBytesRule(rule: BytesRule, { index }: RuleDraft): PendingRule {
  const backends = (rule.backendRefs ?? []).map((ref) => ({
    ref,
    weight: ref.weight ?? 1,
    mirrors: [],
    failed: false,
  }));
  const action = forwardTo(backends);
  return { name: rule.name, index, matches: [], action, mirrors: [] };
}

/** Undefined when a duration cannot be read. */
function compileTimeouts(
  { timeouts, retry }: HttpRule,
  { index, path, report }: RuleDraft,
): Limits | undefined {
  let isValid = true;
  const duration = (text: string | undefined, field: string) => {
    if (text === undefined) return undefined;
    const valueMs = parseDurationMs(text);
    if (valueMs === undefined) {
      isValid = false;
      report({
        rule: index,
        path: `${path}.${field}`,
        condition: 'Accepted',
        reason: 'UnsupportedValue',
        message: `${JSON.stringify(text)} is not a duration such as 10s or 200ms`,
      });
    }
    // Zero: no limit.
    return valueMs || undefined;
  };
  const timeoutMs = duration(timeouts?.request, 'timeouts.request');
  const perTryTimeoutMs = duration(timeouts?.backendRequest, 'timeouts.backendRequest');
  const backoffMs = duration(retry?.backoff, 'retry.backoff');
  if (!isValid) return undefined;
  const { attempts = DEFAULT_RETRIES.attempts, codes = [] } = retry ?? {};
  const retries: RetryPolicy = {
    attempts,
    on: [...RETRY_ON, ...(codes.length > 0 ? ['retriable-status-codes'] : [])],
    statusCodes: codes,
    backoffBaseMs: backoffMs ?? DEFAULT_RETRIES.backoffBaseMs,
  };
  return {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(perTryTimeoutMs !== undefined && { perTryTimeoutMs }),
    ...(retry !== undefined && { retries }),
  };
}

/** HTTPRouteRetry: on connection errors (disconnect, reset, timeout, TCP failure) whenever a retry stanza is there. */
const RETRY_ON = ['connect-failure', 'refused-stream', 'unavailable', 'cancelled', 'reset'];
