/** Istio's StringMatch: what is wrong with one, and the model's TextMatch of it. */
import { RE2JS } from 're2js';
import { messageOf } from '#base/errors.ts';
import type { TextMatch } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import type { StringMatchSpec } from './virtual-service-kinds.ts';

/** Envoy bounds the compiled size of an expression; Istio takes its length for it (validateStringRegexp). */
const REGEX_CHARACTERS_MAX = 1024;

/** The empty match is presence, as is the regex `*`, which is no RE2 expression. Of a match without errors. */
export function textMatchOf(spec: StringMatchSpec | null | undefined): TextMatch {
  if (spec?.exact !== undefined) return { kind: 'exact', value: spec.exact };
  if (spec?.prefix !== undefined) return { kind: 'prefix', value: spec.prefix };
  if (spec?.regex !== undefined && spec.regex !== '*') return { kind: 'regex', value: spec.regex };
  return { kind: 'present' };
}

/** `anyPrefix`: the empty prefix, which every path has. `presence`: the regex `*`. */
export function checkTextMatch(
  spec: StringMatchSpec | null | undefined,
  path: string,
  findings: Findings,
  allow: { anyPrefix?: boolean; presence?: boolean } = {},
): void {
  const kinds = (['exact', 'prefix', 'regex'] as const).filter(
    (kind) => spec?.[kind] !== undefined,
  );
  if (kinds.length > 1)
    findings.invalid(
      path,
      `only one of exact, prefix and regex may be set, not ${kinds.join(' and ')}`,
    );
  else if (spec?.prefix === '' && !allow.anyPrefix)
    findings.invalid(`${path}.prefix`, 'a prefix must not be empty');
  else if (spec?.regex !== undefined && !(spec.regex === '*' && allow.presence))
    findings.check(`${path}.regex`, regexProblem(spec.regex));
}

export function regexProblem(expression: string): string | undefined {
  if (expression === '') return 'a regex must not be empty';
  if (expression.length > REGEX_CHARACTERS_MAX)
    return `the regex is longer than ${REGEX_CHARACTERS_MAX} characters`;
  try {
    RE2JS.compile(expression);
    return undefined;
  } catch (error) {
    return `not an RE2 expression: ${messageOf(error)}`;
  }
}
