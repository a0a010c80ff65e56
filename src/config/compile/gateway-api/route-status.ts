/** The conditions of a route for each of its parents (RouteConditionType of the specification, Istio's ResolvedWaypoints). Pure. */
import type { Finding } from '../finding.ts';
import { Findings } from '../finding.ts';
import type { Fault, StatusCondition } from './conditions.ts';
import { condition, verdict } from './conditions.ts';
import type { RuleProblem } from './filters.ts';
import type { ParentRef } from './kinds.ts';
import type { RouteParent } from './parents.ts';
import type { CompiledRoute } from './route.ts';

/** Istio's, as its users' tools expect: every parent of ours is reported under it. */
export const GATEWAY_CONTROLLER = 'istio.io/gateway-controller';

export interface ParentStatus {
  readonly parentRef: ParentRef;
  readonly conditions: readonly StatusCondition[];
}

/** Why no rule of the route is honoured; its requests are then answered as errors all the same. */
export function routeFault(route: CompiledRoute): Fault | undefined {
  const problems = acceptedProblems(route);
  const lost = lostRules(route, problems);
  if (route.ruleCount === 0 || lost.size < route.ruleCount) return undefined;
  return { reason: problems[0].reason, message: describe(problems) };
}

export function parentStatus(
  route: CompiledRoute,
  parent: RouteParent,
  refs: Fault | undefined,
): ParentStatus {
  const whole = routeFault(route);
  const notes = route.notes.map(({ path, message }) => `; ${path}: ${message}`).join('');
  const count = parent.attachments.length;
  const bound = count > 1 ? `, bound to ${count} parents` : '';
  const good = { reason: 'Accepted', message: `Route was valid${bound}${notes}` };
  const fault = parent.fault ?? whole;
  const conditions = [verdict('Accepted', fault, good)];
  const problems = acceptedProblems(route);
  if (problems.length > 0 && fault === undefined) {
    // "Dropped Rule" is the prefix that the specification asks for.
    const message = `Dropped Rule(s): ${describe(problems)}`;
    conditions.push(condition('PartiallyInvalid', 'True', 'UnsupportedValue', message));
  }
  conditions.push(
    verdict('ResolvedRefs', refs, { reason: 'ResolvedRefs', message: 'All references resolved' }),
  );
  if (parent.waypoint !== undefined) {
    const { served, reason, message } = parent.waypoint;
    conditions.push(condition('ResolvedWaypoints', served ? 'True' : 'False', reason, message));
  }
  return { parentRef: parent.ref, conditions };
}

/** What `tulle status` lists of a route. `refs` are the faults of its references, however it is bound. */
export function routeFindings(
  route: CompiledRoute,
  parents: readonly RouteParent[],
  refs: readonly Fault[],
): Finding[] {
  const findings = new Findings(route.kind, route);
  for (const { path, message } of route.problems) findings.invalid(path, message);
  for (const { path, message } of route.notes) findings.ineffective(path, message);
  for (const { ref, fault, waypoint } of parents) {
    const path = `spec.parentRefs[${ref.name}]`;
    const told = fault ?? (waypoint?.served === false ? waypoint : undefined);
    if (told !== undefined)
      findings.missing(
        path,
        `${told.reason}: ${told.message}`,
        'correct the parentRef, or the parent',
      );
  }
  const named = new Set(route.problems.map(({ message }) => message));
  for (const { reason, message } of refs)
    if (!named.has(message))
      findings.missing(
        'spec.rules',
        `${reason}: ${message}: its requests are answered as errors`,
        'correct the backendRef, or create what it names',
      );
  const handled = parents.map(({ ref }) => ref);
  for (const ref of route.parentRefs)
    if (!handled.includes(ref))
      findings.missing(
        `spec.parentRefs[${ref.name}]`,
        `no ${ref.kind ?? 'Gateway'} ${ref.name} of ours takes the route`,
        'create the Gateway with the class tulle or istio, or correct the parentRef',
      );
  return findings.list;
}

function acceptedProblems({ problems }: CompiledRoute): RuleProblem[] {
  return problems.filter((each) => each.condition === 'Accepted');
}

/** Rules of which nothing is left, or that only answer errors. */
function lostRules(route: CompiledRoute, problems: readonly RuleProblem[]): Set<number> {
  const lost = new Set<number>();
  for (const { rule } of problems) {
    const left = route.rules.find(({ index }) => index === rule);
    if (left === undefined || left.action.kind === 'fail') lost.add(rule);
  }
  return lost;
}

function describe(problems: readonly RuleProblem[]): string {
  return problems.map(({ path, message }) => `${path}: ${message}`).join('; ');
}
