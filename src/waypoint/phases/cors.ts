/**
 * Cross-origin requests, as Envoy's CORS filter treats them: a preflight from an allowed origin is answered here, the answers to other
 * requests from one get the fields that a browser looks for. Fetch standard §3.2.
 */
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { Cors } from '#model/route/route-table.ts';
import { TextMatcher } from '#model/route/text-matcher.ts';

export type CorsDecision =
  /** Not a cross-origin request, or one from an origin that is not allowed: it passes untouched. */
  | { readonly kind: 'pass' }
  | { readonly kind: 'preflight'; readonly head: MessageHead }
  /** The answer is decorated for this origin. */
  | { readonly kind: 'actual'; readonly origin: string };

interface CompiledCors {
  readonly origins: readonly TextMatcher[];
  readonly anyOrigin: boolean;
}

const PASS: CorsDecision = { kind: 'pass' };
const compiled = new WeakMap<Cors, CompiledCors>();

export function corsDecision(cors: Cors, request: MessageHead): CorsDecision {
  const origin = request.get('origin');
  if (origin === undefined || origin === '') return PASS;
  const isAllowed = allowsOrigin(cors, origin);
  const wanted = request.get('access-control-request-method');
  const isPreflight = request.method === 'OPTIONS' && wanted !== undefined && wanted !== '';
  if (!isPreflight) return isAllowed ? { kind: 'actual', origin } : PASS;
  if (isAllowed) return { kind: 'preflight', head: preflightHead(cors, request, origin, wanted) };
  if (cors.unmatchedPreflights === 'forward') return PASS;
  const head = MessageHead.response(200);
  head.set('content-length', '0');
  return { kind: 'preflight', head };
}

function preflightHead(
  cors: Cors,
  request: MessageHead,
  origin: string,
  wantedMethod: string,
): MessageHead {
  const head = MessageHead.response(200);
  head.set('content-length', '0');
  decorateAnswer(head, cors, origin);
  const methods = listOf(cors, cors.allowMethods, wantedMethod);
  if (methods !== '') head.set('access-control-allow-methods', methods);
  const wantedHeaders = request.getAll('access-control-request-headers');
  const headers = listOf(cors, cors.allowHeaders, wantedHeaders);
  if (headers !== '') head.set('access-control-allow-headers', headers);
  if (cors.maxAgeSeconds !== undefined) {
    head.set('access-control-max-age', String(cors.maxAgeSeconds));
  }
  return head;
}

/**
 * What every answer to an allowed origin says; it replaces what the application said. The origin is named, never `*`: caches must
 * know that the answer depends on it.
 */
export function decorateAnswer(head: MessageHead, cors: Cors, origin: string): void {
  head.set('access-control-allow-origin', origin);
  if (cors.allowCredentials) head.set('access-control-allow-credentials', 'true');
  if (cors.exposeHeaders.length > 0) {
    head.set('access-control-expose-headers', cors.exposeHeaders.join(','));
  }
  const vary = head.getAll('vary');
  if (vary === undefined) head.set('vary', 'Origin');
  else if (vary !== '*' && !/(^|,)\s*origin\s*(,|$)/i.test(vary)) head.add('vary', 'Origin');
}

/** With credentials `*` is no wildcard to a browser: what was asked for is named instead. */
function listOf(cors: Cors, allowed: readonly string[], wanted: string | undefined): string {
  if (cors.allowCredentials && allowed.includes('*') && wanted !== undefined) return wanted;
  return allowed.join(',');
}

function allowsOrigin(cors: Cors, origin: string): boolean {
  let found = compiled.get(cors);
  if (found === undefined) {
    found = {
      anyOrigin: cors.allowOrigins.some((match) => match.kind === 'exact' && match.value === '*'),
      // An unreadable regex matches nothing; the configuration's findings name it.
      origins: cors.allowOrigins.map((match) => TextMatcher.compile(match, () => undefined)),
    };
    compiled.set(cors, found);
  }
  if (found.anyOrigin) return true;
  for (const matcher of found.origins) if (matcher.test(origin)) return true;
  return false;
}
