/** Istio's StringMatch to the model's TextMatch. */
import { RE2JS } from 're2js';
import { messageOf } from '#base/errors.ts';
import type { TextMatch } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import type { StringMatchSpec } from './istio-kinds.ts';

/** Undefined (and a finding) when the match is malformed. The empty match is presence, as is the regex `*`. */
export function compileTextMatch(
  spec: StringMatchSpec,
  path: string,
  findings: Findings,
): TextMatch | undefined {
  const kinds = (['exact', 'prefix', 'regex'] as const).filter((kind) => spec[kind] !== undefined);
  if (kinds.length > 1) {
    findings.invalid(
      path,
      `only one of exact, prefix and regex may be set, not ${kinds.join(' and ')}`,
    );
    return undefined;
  }
  if (kinds.length === 0) return { kind: 'present' };
  const [kind] = kinds;
  const value = spec[kind] ?? '';
  if (kind !== 'regex') return { kind, value };
  if (value === '*') return { kind: 'present' };
  const problem = regexProblem(value);
  if (problem === undefined) return { kind, value };
  findings.invalid(`${path}.regex`, `not an RE2 expression: ${problem}`);
  return undefined;
}

export function regexProblem(expression: string): string | undefined {
  try {
    RE2JS.compile(expression);
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

export function compileTextMatches(
  specs: Record<string, StringMatchSpec> | undefined,
  path: string,
  findings: Findings,
): { name: string; match: TextMatch }[] {
  const result: { name: string; match: TextMatch }[] = [];
  for (const [name, spec] of Object.entries(specs ?? {})) {
    const match = compileTextMatch(spec ?? {}, `${path}[${name}]`, findings);
    if (match !== undefined) result.push({ name, match });
  }
  return result;
}
