/**
 * What is wrong with one `http` rule of a VirtualService, as Istio's webhook judges it
 * (pkg/config/validation/virtualservice.go). Nothing is compiled here, and nothing is looked up.
 */
import type { Findings } from './finding.ts';
import { matchNameProblem } from './header-names.ts';
import { gatewayNameProblem, isDnsLabel, labelProblems, portProblem } from './names.ts';
import { checkedDuration, statusProblem } from './scalars.ts';
import { checkTextMatch, regexProblem } from './text-match.ts';
import { checkHttpDestinations } from './validate-destinations.ts';
import { checkAuthorityOnce, checkHeaders } from './validate-headers.ts';
import { checkCors, checkFault, checkMirrors, checkRetries } from './validate-http-features.ts';
import type {
  DirectResponseSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  RedirectSpec,
  RewriteSpec,
} from './virtual-service-kinds.ts';

/** The webhook allows 3xx; a proxy can send these only (route.go ApplyRedirect gives up on others). */
const REDIRECT_STATUSES = [301, 302, 303, 307, 308];
const RESPONSE_BODY_BYTES_MAX = 1024 * 1024;

export function checkHttpRule(
  spec: HttpRouteSpec,
  path: string,
  context: { findings: Findings; isDelegate: boolean },
): void {
  const { findings } = context;
  checkAction(spec, path, context);
  for (const [at, match] of (spec.match ?? []).entries())
    if (match !== null) checkMatch(match, `${path}.match[${at}]`, findings);
  checkHeaders(spec.headers, `${path}.headers`, findings);
  checkAuthorityOnce(spec, path, findings);
  checkCors(spec.corsPolicy, `${path}.corsPolicy`, findings);
  checkFault(spec.fault, `${path}.fault`, findings);
  checkMirrors(spec, path, findings);
  checkRedirect(spec, `${path}.redirect`, findings);
  checkDirectResponse(spec.directResponse, `${path}.directResponse`, findings);
  checkRewrite(spec.rewrite, `${path}.rewrite`, findings);
  checkRetries(spec.retries, `${path}.retries`, findings);
  checkHttpDestinations(spec.route, `${path}.route`, findings);
  checkedDuration(spec.timeout, `${path}.timeout`, findings);
}

/** A rule does one thing, and what does not go with it is refused. */
function checkAction(
  spec: HttpRouteSpec,
  path: string,
  { findings, isDelegate }: { findings: Findings; isDelegate: boolean },
): void {
  const refuse = (field: 'route' | 'fault' | 'rewrite' | 'directResponse', action: string) => {
    const value = spec[field];
    if (Array.isArray(value) ? value.length > 0 : value !== undefined)
      findings.invalid(`${path}.${field}`, `${field} and ${action} exclude each other`);
  };
  if (spec.delegate !== undefined && isDelegate)
    findings.invalid(
      `${path}.delegate`,
      'a VirtualService without hosts is a delegate itself, and delegates no further',
    );
  else if (spec.delegate !== undefined) {
    refuse('route', 'delegate');
    if (spec.redirect !== undefined)
      findings.invalid(`${path}.redirect`, 'redirect and delegate exclude each other');
    return;
  }
  if (spec.redirect !== undefined) {
    for (const field of ['route', 'fault', 'rewrite', 'directResponse'] as const)
      refuse(field, 'redirect');
  } else if (spec.directResponse !== undefined) {
    for (const field of ['route', 'fault', 'rewrite'] as const) refuse(field, 'directResponse');
  } else if (spec.route === undefined)
    findings.invalid(path, 'one of route, redirect, directResponse and delegate is required');
  else if (spec.route.length === 0)
    findings.invalid(`${path}.route`, 'a rule needs at least one destination');
}

function checkMatch(spec: HttpMatchSpec, path: string, findings: Findings): void {
  for (const [name, match] of Object.entries(spec.headers ?? {})) {
    const at = `${path}.headers[${name}]`;
    if (match === null) findings.invalid(at, 'a header match cannot be null');
    findings.check(at, matchNameProblem(name));
    checkTextMatch(match, at, findings);
  }
  for (const [name, match] of Object.entries(spec.withoutHeaders ?? {})) {
    const at = `${path}.withoutHeaders[${name}]`;
    findings.check(at, matchNameProblem(name));
    checkTextMatch(match, at, findings, { presence: true });
  }
  for (const [name, match] of Object.entries(spec.queryParams ?? {}))
    checkTextMatch(match, `${path}.queryParams[${name}]`, findings);
  checkTextMatch(spec.uri, `${path}.uri`, findings, { anyPrefix: true });
  for (const field of ['scheme', 'method', 'authority'] as const)
    checkTextMatch(spec[field], `${path}.${field}`, findings);
  checkSource(spec, path, findings);
  if (spec.sourceNamespace && !isDnsLabel(spec.sourceNamespace))
    findings.invalid(`${path}.sourceNamespace`, `${spec.sourceNamespace} is no namespace`);
}

/** What matches of HTTP, TLS and TCP rules have in common. */
export function checkSource(
  spec: { port?: number; sourceLabels?: Record<string, string>; gateways?: string[] },
  path: string,
  findings: Findings,
): void {
  if (spec.port) findings.check(`${path}.port`, portProblem(spec.port));
  for (const problem of labelProblems(spec.sourceLabels))
    findings.invalid(`${path}.sourceLabels`, problem);
  for (const [at, name] of (spec.gateways ?? []).entries())
    findings.check(`${path}.gateways[${at}]`, gatewayNameProblem(name));
}

function checkRedirect(
  { redirect, match }: { redirect?: RedirectSpec; match?: HttpRouteSpec['match'] },
  path: string,
  findings: Findings,
): void {
  if (redirect === undefined) return;
  const { uri, prefixRewrite, authority, scheme, port, derivePort, redirectCode } = redirect;
  if (uri && prefixRewrite) findings.invalid(path, 'uri and prefixRewrite exclude each other');
  if (prefixRewrite && match?.some((each) => each?.uri && each.uri.prefix === undefined))
    findings.invalid(path, 'prefixRewrite needs matches by prefix');
  if (port !== undefined && derivePort !== undefined)
    findings.invalid(path, 'port and derivePort exclude each other');
  const hasPort = port !== undefined || derivePort !== undefined;
  if (!uri && !prefixRewrite && !authority && !scheme && !hasPort)
    findings.invalid(path, 'one of uri, authority, scheme and port is required');
  if (redirectCode && !REDIRECT_STATUSES.includes(redirectCode))
    findings.invalid(`${path}.redirectCode`, `${redirectCode} is none of ${REDIRECT_STATUSES}`);
  if (scheme && scheme !== 'http' && scheme !== 'https')
    findings.invalid(`${path}.scheme`, `${scheme} is neither http nor https`);
  if (port) findings.check(`${path}.port`, portProblem(port));
}

function checkDirectResponse(
  spec: DirectResponseSpec | undefined,
  path: string,
  findings: Findings,
): void {
  if (spec === undefined) return;
  const { status = 0, body } = spec;
  findings.check(`${path}.status`, statusProblem(status));
  const sizeBytes =
    body?.string === undefined
      ? Buffer.byteLength(body?.bytes ?? '', 'base64')
      : Buffer.byteLength(body.string);
  if (sizeBytes > RESPONSE_BODY_BYTES_MAX)
    findings.invalid(`${path}.body`, `the body has ${sizeBytes} bytes, more than 1 MiB`);
}

function checkRewrite(spec: RewriteSpec | undefined, path: string, findings: Findings): void {
  if (spec === undefined) return;
  const { uri, authority, uriRegexRewrite: regex } = spec;
  if (uri && regex) findings.invalid(path, 'uri and uriRegexRewrite exclude each other');
  if (!uri && !regex && !authority)
    findings.invalid(path, 'one of uri, uriRegexRewrite and authority is required');
  if (regex === undefined) return;
  findings.check(`${path}.uriRegexRewrite.match`, regexProblem(regex.match ?? ''));
  if (!regex.rewrite) findings.invalid(`${path}.uriRegexRewrite.rewrite`, 'a rewrite is required');
}
