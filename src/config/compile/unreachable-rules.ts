/**
 * Rules of a VirtualService that no request reaches, and matches that an earlier one takes all of, as Istio's webhook
 * warns of them (pkg/config/validation analyzeUnreachableHTTPRules). They are taken over all the same.
 */
import type { Findings } from './finding.ts';
import type { HttpMatchSpec, HttpRouteSpec, StringMatchSpec } from './virtual-service-kinds.ts';

interface Rule {
  readonly name?: string;
  readonly match?: readonly (object | null)[] | null;
}

/** Of `http`, `tls` or `tcp`, in order. */
export function findUnreachable(
  rules: readonly (Rule | null)[],
  path: string,
  findings: Findings,
): void {
  const seen = new Map<string, number>();
  let forAll = -1;
  for (const [index, rule] of rules.entries()) {
    if (rule === null) continue;
    const here = `${path}[${index}]`;
    const matches = rule.match ?? [];
    if (forAll !== -1) {
      findings.unreachable(
        here,
        `rule ${nameOf(rules[forAll], forAll)} before it takes everything`,
      );
      continue;
    }
    if (matches.length === 0) forAll = index;
    let repeated = 0;
    for (const [at, match] of matches.entries()) {
      const text = textOf(match);
      const earlier = seen.get(text);
      if (earlier === undefined) seen.set(text, index);
      else {
        repeated++;
        findings.shadowed(
          `${here}.match[${at}]`,
          `rule ${nameOf(rules[earlier], earlier)} has the same match`,
        );
      }
    }
    if (matches.length > 0 && repeated === matches.length)
      findings.unreachable(here, 'all its matches are those of earlier rules');
  }
}

function nameOf(rule: Rule | null, index: number): string {
  return rule?.name ? JSON.stringify(rule.name) : `#${index}`;
}

/** The same for the same conditions, whatever the order of their fields; names do not count. */
function textOf(match: object | null): string {
  const { name: _, ...conditions } = (match ?? {}) as { name?: string };
  return JSON.stringify(conditions, (_key, value) =>
    value !== null && typeof value === 'object' && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1)))
      : value,
  );
}

interface PrefixMatch {
  readonly path: string;
  readonly rule: string;
  readonly prefix: string;
  readonly port: number;
  /** `exact:` or `prefix:` and the value; a method is GET when none is given, as Istio has it. */
  readonly conditions: readonly Readonly<Record<string, string>>[];
}

/** Matches by prefix that an earlier match by a shorter prefix takes all of. */
export function findShadowed(rules: readonly HttpRouteSpec[], findings: Findings): void {
  const all = rules.flatMap((rule, index) =>
    (rule?.match ?? []).flatMap((match, at): PrefixMatch[] => {
      if (!match?.uri?.prefix) return [];
      return [
        {
          path: `spec.http[${index}].match[${at}]`,
          rule: nameOf(rule, index),
          prefix: match.uri.prefix,
          port: match.port ?? 0,
          conditions: conditionsOf(match),
        },
      ];
    }),
  );
  for (const [at, later] of all.entries()) {
    const earlier = all.slice(0, at).find((each) => takesAllOf(each, later));
    if (earlier !== undefined)
      findings.shadowed(
        later.path,
        `prefix ${later.prefix} is within prefix ${earlier.prefix} of rule ${earlier.rule}`,
      );
  }
}

function conditionsOf(match: HttpMatchSpec): PrefixMatch['conditions'] {
  const own = { method: written(match.method) || 'exact:GET', authority: written(match.authority) };
  const maps = [match.headers, match.queryParams, match.withoutHeaders].map((specs) =>
    Object.fromEntries(Object.entries(specs ?? {}).map(([name, each]) => [name, written(each)])),
  );
  return [own, ...maps];
}

function written(match: StringMatchSpec | null | undefined): string {
  if (match?.exact) return `exact:${match.exact}`;
  return match?.prefix ? `prefix:${match.prefix}` : '';
}

function takesAllOf(earlier: PrefixMatch, later: PrefixMatch): boolean {
  if (earlier.prefix === later.prefix || !later.prefix.startsWith(earlier.prefix)) return false;
  if (earlier.port !== later.port) return false;
  return earlier.conditions.every((conditions, at) => {
    const others = later.conditions[at];
    const names = Object.keys(conditions);
    return (
      names.length === Object.keys(others).length &&
      names.every((name) => name in others && conditions[name].startsWith(others[name]))
    );
  });
}
