/** Matches of a VirtualService's `http` rule in the model's words. */
import type { RouteMatch } from '#model/route/route-table.ts';
import type { Findings } from './finding.ts';
import { claimPath } from './header-names.ts';
import type { SourceCondition } from './source-condition.ts';
import { sourceCondition } from './source-condition.ts';
import { textMatchOf } from './text-match.ts';
import type { HttpMatchSpec, StringMatchSpec } from './virtual-service-kinds.ts';

export interface PendingMatch {
  readonly name: string | undefined;
  readonly match: RouteMatch;
  readonly source: SourceCondition;
  /** Of the match in its object, for findings. */
  readonly path: string;
}

type Named = RouteMatch['headers'];

export function compileMatch(
  spec: HttpMatchSpec | null,
  path: string,
  findings: Findings,
): PendingMatch {
  const { uri, ignoreUriCase, name, statPrefix, ...rest } = spec ?? {};
  if (statPrefix)
    findings.ineffective(`${path}.statPrefix`, 'routes have no statistics of their own here', {
      level: 'info',
    });
  const claims = [...claimsOf(rest.headers, false), ...claimsOf(rest.withoutHeaders, true)];
  // A match on these without any condition is presence: always so.
  const text = (match: StringMatchSpec | undefined) =>
    match === undefined || isEmpty(match) ? undefined : textMatchOf(match);
  return {
    name: name || undefined,
    path,
    source: sourceCondition(rest),
    match: {
      path: text(uri),
      ignorePathCase: ignoreUriCase || undefined,
      method: text(rest.method),
      scheme: text(rest.scheme),
      authority: text(rest.authority),
      headers: headersOf(rest.headers),
      withoutHeaders: headersOf(rest.withoutHeaders),
      queryParams: Object.entries(rest.queryParams ?? {}).map(([param, match]) => ({
        name: param,
        match: textMatchOf(match),
      })),
      ...(claims.length > 0 && { claims }),
    },
  };
}

function isEmpty(spec: StringMatchSpec): boolean {
  return spec.exact === undefined && spec.prefix === undefined && spec.regex === undefined;
}

function headersOf(specs: HttpMatchSpec['headers']): Named {
  return Object.entries(specs ?? {})
    .filter(([name]) => claimPath(name) === undefined)
    .map(([name, match]) => ({ name: name.toLowerCase(), match: textMatchOf(match) }));
}

function claimsOf(
  specs: HttpMatchSpec['headers'],
  negated: boolean,
): NonNullable<RouteMatch['claims']> {
  return Object.entries(specs ?? {}).flatMap(([name, match]) => {
    const path = claimPath(name);
    return path === undefined ? [] : [{ path, match: textMatchOf(match), negated }];
  });
}
