/** What is wrong with a DestinationRule, as Istio's webhook judges it (pkg/config/validation ValidateDestinationRule). */
import type { DestinationRuleSpec } from './destination-rule-kinds.ts';
import type { Findings } from './finding.ts';
import { exportToProblems, isDnsLabel, labelProblems, wildcardDomainProblem } from './names.ts';
import { checkTrafficPolicy } from './validate-traffic-policy.ts';

export function checkDestinationRule(
  spec: DestinationRuleSpec,
  namespace: string,
  findings: Findings,
): void {
  const scope = { findings, namespace };
  findings.check('spec.host', wildcardDomainProblem(spec.host ?? ''));
  checkTrafficPolicy(spec.trafficPolicy, 'spec.trafficPolicy', scope);
  const names = new Set<string>();
  for (const [at, subset] of (spec.subsets ?? []).entries()) {
    const path = `spec.subsets[${at}]`;
    if (!subset) {
      findings.invalid(path, 'a subset cannot be null');
      continue;
    }
    const { name = '' } = subset;
    if (name === '') findings.invalid(`${path}.name`, 'a subset needs a name');
    else if (!isDnsLabel(name))
      findings.invalid(`${path}.name`, `${JSON.stringify(name)} is no name of a subset`);
    if (names.has(name)) findings.invalid(`${path}.name`, `the subset ${name} is defined twice`);
    names.add(name);
    for (const problem of labelProblems(subset.labels)) findings.invalid(`${path}.labels`, problem);
    checkTrafficPolicy(subset.trafficPolicy, `${path}.trafficPolicy`, scope);
  }
  for (const problem of exportToProblems(spec.exportTo, namespace))
    findings.invalid('spec.exportTo', problem);
  if (spec.workloadSelector) checkSelector(spec, namespace, findings);
}

function checkSelector(spec: DestinationRuleSpec, namespace: string, findings: Findings): void {
  const { exportTo = [], workloadSelector } = spec;
  const isOwn = exportTo.every((target) => target === '.' || target === namespace);
  if (!isOwn)
    findings.invalid('spec.exportTo', 'a rule with workloadSelector is for its own namespace only');
  const labels = Object.entries(workloadSelector?.matchLabels ?? {});
  const path = 'spec.workloadSelector.matchLabels';
  for (const [key, value] of labels) {
    if (key === '') findings.invalid(path, 'an empty key is not allowed');
    if (key.includes('*') || value.includes('*')) findings.invalid(path, '* is not allowed');
  }
  if (labels.length === 0) findings.ineffective(path, 'a selector without labels');
}
