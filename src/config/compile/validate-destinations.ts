/** What is wrong with the destinations of VirtualService rules (Istio: validateDestination, validateHTTPRouteDestinations). */
import type { Findings } from './finding.ts';
import type { DestinationSpec } from './istio-kinds.ts';
import { isDnsLabel, portProblem, wildcardDomainProblem } from './names.ts';
import { checkHeaders } from './validate-headers.ts';
import type { RouteDestinationSpec } from './virtual-service-kinds.ts';

export function checkHttpDestinations(
  specs: readonly RouteDestinationSpec[] | undefined,
  path: string,
  findings: Findings,
): void {
  checkDestinations(specs, path, findings);
  for (const [at, spec] of (specs ?? []).entries())
    checkHeaders(spec?.headers, `${path}[${at}].headers`, findings);
}

/** Of TLS and TCP rules: weights and where to, nothing else. */
export function checkDestinations(
  specs: readonly RouteDestinationSpec[] | undefined,
  path: string,
  findings: Findings,
): void {
  let total = 0;
  for (const [at, spec] of (specs ?? []).entries()) {
    const here = `${path}[${at}]`;
    if (!spec?.destination) findings.invalid(`${here}.destination`, 'a destination is required');
    else checkDestination(spec.destination, `${here}.destination`, findings);
    const weight = spec?.weight ?? 0;
    if (weight < 0) findings.invalid(`${here}.weight`, `${weight} is negative`);
    total += weight;
  }
  if ((specs?.length ?? 0) > 1 && total === 0)
    findings.invalid(
      path,
      'the weights of all destinations are 0',
      'give at least one destination a weight',
    );
}

export function checkDestination(spec: DestinationSpec, path: string, findings: Findings): void {
  const { host = '', subset, port } = spec;
  const problem = host === '*' ? 'the host * is no destination' : wildcardDomainProblem(host);
  findings.check(`${path}.host`, problem);
  if (subset && !isDnsLabel(subset))
    findings.invalid(`${path}.subset`, `${JSON.stringify(subset)} is no name of a subset`);
  if (port) findings.check(`${path}.port.number`, portProblem(port.number));
}
