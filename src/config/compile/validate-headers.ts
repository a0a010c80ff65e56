/** What is wrong with header operations of a VirtualService (Istio: validateHTTPRoute, validateAuthorityRewrite). */
import type { Findings } from './finding.ts';
import { changeNameProblem, isAuthority, valueProblem } from './header-names.ts';
import type { HeadersSpec, HttpRouteSpec } from './virtual-service-kinds.ts';

export function checkHeaders(
  spec: HeadersSpec | null | undefined,
  path: string,
  findings: Findings,
): void {
  for (const direction of ['request', 'response'] as const) {
    const operations = spec?.[direction];
    const host = direction === 'request' ? 'authority' : 'refused';
    for (const verb of ['add', 'set'] as const)
      for (const [name, value] of Object.entries(operations?.[verb] ?? {})) {
        const at = `${path}.${direction}.${verb}[${name}]`;
        findings.check(at, changeNameProblem(name, host));
        findings.check(at, valueProblem(String(value)));
      }
    for (const [at, name] of (operations?.remove ?? []).entries())
      findings.check(`${path}.${direction}.remove[${at}]`, changeNameProblem(name, 'refused'));
  }
}

/** The authority may be written at one place of a rule only. */
export function checkAuthorityOnce(spec: HttpRouteSpec, path: string, findings: Findings): void {
  const { set = {}, add = {} } = spec.headers?.request ?? {};
  const values = [...Object.entries(set), ...Object.entries(add)].filter(([name]) =>
    isAuthority(name),
  );
  if (values.length + (spec.rewrite?.authority ? 1 : 0) > 1)
    findings.invalid(`${path}.headers.request`, 'the authority is set more than once');
}
