/**
 * Filters of a rule or of one backend, in the model's words. What cannot be done is told with the condition that reports
 * it; a filter is never skipped: the rule then answers 500 (HTTPRouteFilter.type of the specification).
 */
import type {
  Cors,
  HeaderOperations,
  Redirect,
  Rewrite,
  Route,
  TextMatch,
} from '#model/route/route-table.ts';
import type {
  BackendRef,
  CorsFilter,
  HeaderModifier,
  MirrorFilter,
  PathModifier,
  RedirectFilter,
  RouteFilter,
} from './kinds.ts';
import type { RankedMatch } from './match.ts';

/** What is wrong with a rule, under the condition of the route that says so. */
export interface RuleProblem {
  readonly rule: number;
  /** `spec.rules[0].filters[1].type`. */
  readonly path: string;
  readonly condition: 'Accepted' | 'ResolvedRefs';
  readonly reason: string;
  readonly message: string;
}

export interface PendingMirror {
  readonly ref: BackendRef;
  readonly percent: number;
}

/** A redirect whose port is not known before the listener is: absent = the scheme's, without a scheme the listener's. */
export type PendingRedirect = Redirect;

export interface CompiledFilters {
  readonly headers?: Route['headers'];
  readonly rewrite?: Rewrite;
  readonly redirect?: PendingRedirect;
  readonly mirrors: readonly PendingMirror[];
  readonly cors?: Cors;
  /** Requests are answered 500: a filter is not understood. */
  readonly failed: boolean;
}

export interface FilterContext {
  readonly kind: 'HTTPRoute' | 'GRPCRoute';
  readonly level: 'rule' | 'backend';
  readonly rule: number;
  /** `spec.rules[0].filters`. */
  readonly path: string;
  readonly matches: readonly RankedMatch[];
  readonly report: (problem: RuleProblem) => void;
}

interface Draft {
  headers?: { request?: HeaderOperations; response?: HeaderOperations };
  rewrite?: Rewrite;
  redirect?: PendingRedirect;
  mirrors: PendingMirror[];
  cors?: Cors;
  failed: boolean;
}

const GRPC_FILTERS = ['RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestMirror'];
const REDIRECT_STATUSES = [301, 302, 303, 307, 308];
/** HTTPRequestRedirectFilter.statusCode. */
const REDIRECT_STATUS_DEFAULT = 302;
/** HTTPCORSFilter.maxAge. */
const MAX_AGE_SECONDS_DEFAULT = 5;

export function compileFilters(
  filters: readonly RouteFilter[] | undefined,
  context: FilterContext,
): CompiledFilters {
  const draft: Draft = { mirrors: [], failed: false };
  for (const [index, filter] of (filters ?? []).entries()) {
    const path = `${context.path}[${index}]`;
    const fail = (field: string, message: string, reason = 'UnsupportedValue') => {
      draft.failed = true;
      const condition = reason === 'InvalidKind' ? 'ResolvedRefs' : 'Accepted';
      const at = field === '' ? path : `${path}.${field}`;
      context.report({ rule: context.rule, path: at, condition, reason, message });
    };
    applyFilter(filter, draft, context, fail);
  }
  if (draft.rewrite !== undefined && draft.redirect !== undefined) {
    const message = 'URLRewrite and RequestRedirect exclude each other';
    const { rule, path, report } = context;
    report({ rule, path, condition: 'Accepted', reason: 'IncompatibleFilters', message });
    draft.failed = true;
  }
  return draft;
}

type Fail = (field: string, message: string, reason?: string) => void;

function applyFilter(filter: RouteFilter, draft: Draft, context: FilterContext, fail: Fail): void {
  const { type, requestHeaderModifier, responseHeaderModifier } = filter;
  const isKnown = context.kind === 'HTTPRoute' || GRPC_FILTERS.includes(type);
  if (isKnown && type === 'RequestHeaderModifier' && requestHeaderModifier)
    applyRequestHeaders(requestHeaderModifier, draft, fail);
  else if (isKnown && type === 'ResponseHeaderModifier' && responseHeaderModifier)
    draft.headers = {
      ...draft.headers,
      response: operations(responseHeaderModifier, fail, 'responseHeaderModifier'),
    };
  else if (isKnown && type === 'RequestMirror' && filter.requestMirror)
    draft.mirrors.push({
      ref: filter.requestMirror.backendRef,
      percent: mirrorPercent(filter.requestMirror),
    });
  else if (isKnown && type === 'RequestRedirect' && filter.requestRedirect)
    draft.redirect = compileRedirect(filter.requestRedirect, context, fail);
  else if (isKnown && type === 'URLRewrite' && filter.urlRewrite) {
    const { hostname, path } = filter.urlRewrite;
    const rewrite = {
      ...compilePathModifier(path, 'urlRewrite.path', context, fail),
      ...(hostname && { authority: hostname }),
    };
    // A Host that a header filter set gives way to the rewrite, whichever comes first.
    draft.rewrite = { ...draft.rewrite, ...rewrite };
  } else if (isKnown && type === 'CORS' && filter.cors && context.level === 'rule')
    draft.cors = compileCors(filter.cors);
  else if (type === 'ExtensionRef') {
    const { group = '', kind = '' } = filter.extensionRef ?? {};
    fail(
      'extensionRef',
      `no filter of kind ${group}/${kind} is known: the rule answers 500`,
      'InvalidKind',
    );
  } else
    fail(
      'type',
      `the filter ${type} is not supported for ${context.level === 'rule' ? 'rules' : 'backends'} of a ${context.kind}, or lacks its settings: the rule answers 500`,
    );
}

function applyRequestHeaders(spec: HeaderModifier, draft: Draft, fail: Fail): void {
  const { host, ...set } = operations(spec, fail, 'requestHeaderModifier').set;
  const { add, remove } = operations(spec, () => undefined, '');
  draft.headers = { ...draft.headers, request: { set, add, remove } };
  // Istio: a Host that is set is an authority rewrite (route.go TranslateRoute).
  if (host !== undefined) draft.rewrite = { authority: host, ...draft.rewrite };
}

/** Of equivalent names the first counts (HTTPHeader.name). */
function operations(spec: HeaderModifier, fail: Fail, field: string): HeaderOperations {
  const map = (list: 'set' | 'add') => {
    const result: Record<string, string> = {};
    for (const [index, { name, value }] of (spec[list] ?? []).entries()) {
      const key = name.toLowerCase();
      if (Object.hasOwn(result, key)) continue;
      // biome-ignore lint/suspicious/noControlCharactersInRegex: these characters are what is looked for
      if (/[\u0000-\u0008\u000a-\u001f\u007f]/.test(value))
        fail(`${field}.${list}[${index}].value`, 'the value holds control characters');
      else result[key] = value;
    }
    return result;
  };
  return {
    set: map('set'),
    add: map('add'),
    remove: (spec.remove ?? []).map((name) => name.toLowerCase()),
  };
}

function mirrorPercent({ percent, fraction }: MirrorFilter): number {
  if (fraction !== undefined) return (100 * fraction.numerator) / (fraction.denominator || 100);
  return percent ?? 100;
}

function compileRedirect(
  spec: RedirectFilter,
  context: FilterContext,
  fail: Fail,
): PendingRedirect {
  const { scheme, hostname, port, statusCode: status = REDIRECT_STATUS_DEFAULT } = spec;
  if (!REDIRECT_STATUSES.includes(status))
    fail('requestRedirect.statusCode', `${status} is none of ${REDIRECT_STATUSES.join(', ')}`);
  if (scheme !== undefined && scheme !== 'http' && scheme !== 'https')
    fail('requestRedirect.scheme', `${scheme} is none of http, https`);
  const { fullPath, prefix } = compilePathModifier(
    spec.path,
    'requestRedirect.path',
    context,
    fail,
  );
  return {
    status,
    ...(fullPath !== undefined && { path: fullPath }),
    ...(prefix !== undefined && { prefix }),
    ...(hostname && { authority: hostname }),
    ...(scheme && { scheme }),
    ...(port !== undefined && { port }),
  };
}

function compilePathModifier(
  spec: PathModifier | undefined,
  field: string,
  { matches }: FilterContext,
  fail: Fail,
): Pick<Rewrite, 'fullPath' | 'prefix'> {
  if (spec === undefined) return {};
  const { type, replaceFullPath, replacePrefixMatch } = spec;
  if (type === 'ReplaceFullPath' && replaceFullPath !== undefined)
    return { fullPath: replaceFullPath.startsWith('/') ? replaceFullPath : `/${replaceFullPath}` };
  if (type !== 'ReplacePrefixMatch' || replacePrefixMatch === undefined) {
    fail(
      `${field}.type`,
      `${type} is none of ReplaceFullPath, ReplacePrefixMatch, or has no value`,
    );
    return {};
  }
  if (matches.some(({ match }) => match.path?.kind !== 'path-prefix'))
    fail(field, 'ReplacePrefixMatch needs a PathPrefix in every match of the rule');
  return { prefix: replacePrefixMatch };
}

function compileCors(spec: CorsFilter): Cors {
  return {
    allowOrigins: (spec.allowOrigins ?? []).map(originMatch),
    allowMethods: spec.allowMethods ?? [],
    allowHeaders: spec.allowHeaders ?? [],
    exposeHeaders: spec.exposeHeaders ?? [],
    maxAgeSeconds: spec.maxAge || MAX_AGE_SECONDS_DEFAULT,
    allowCredentials: spec.allowCredentials ?? false,
    unmatchedPreflights: 'ignore',
  };
}

/** `*` stands for any characters; alone for every origin, which is `scheme://host[:port]` (RFC 6454 §4). */
function originMatch(origin: string): TextMatch {
  if (origin === '*') return { kind: 'regex', value: '[a-zA-Z][a-zA-Z0-9+.-]*://[^/\\s?#]+' };
  if (!origin.includes('*')) return { kind: 'exact', value: origin };
  const pieces = origin.split('*').map((piece) => piece.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'));
  return { kind: 'regex', value: pieces.join('.*') };
}
