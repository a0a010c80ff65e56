/**
 * RE2 patterns: linear time on hostile input. Both `pattern` of schemas and `matches` of CEL use this cache.
 */

import { RE2JS } from 're2js';
import { MeshError } from '#base/errors.ts';
import { SCHEMA_ERRORS } from './errors.ts';
import { PATTERN_CACHE_MAX, PATTERN_CHARS_MAX } from './limits.ts';

export interface Pattern {
  /** Unanchored search, as Go's MatchString. */
  test(text: string): boolean;
  /** The leftmost match. */
  find(text: string): string | undefined;
  findAll(text: string): string[];
}

const cache = new Map<string, Pattern>();

export function compilePattern(source: string): Pattern {
  const known = cache.get(source);
  if (known !== undefined) return known;
  const pattern = build(source);
  if (cache.size >= PATTERN_CACHE_MAX) cache.clear();
  cache.set(source, pattern);
  return pattern;
}

function build(source: string): Pattern {
  if (source.length > PATTERN_CHARS_MAX) {
    throw patternError(source, `longer than ${PATTERN_CHARS_MAX} characters`);
  }
  try {
    const compiled = RE2JS.compile(source);
    return {
      test: (text) => compiled.matcher(text).find(),
      find: (text) => matches(compiled, text, 1)[0],
      findAll: (text) => matches(compiled, text, Number.POSITIVE_INFINITY),
    };
  } catch (error) {
    throw patternError(source, error);
  }
}

function matches(compiled: RE2JS, text: string, countMax: number): string[] {
  const matcher = compiled.matcher(text);
  const found: string[] = [];
  while (found.length < countMax && matcher.find()) found.push(matcher.group() ?? '');
  return found;
}

function patternError(source: string, cause: unknown): MeshError {
  return new MeshError(
    'SCHEMA_PATTERN_INVALID',
    `not a valid RE2 pattern: ${source.slice(0, 200)}`,
    { side: 'config', hint: SCHEMA_ERRORS.SCHEMA_PATTERN_INVALID, cause },
  );
}
