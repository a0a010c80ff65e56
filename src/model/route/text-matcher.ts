/**
 * A compiled `TextMatch`. Regexes are RE2 (linear time, Istio's dialect), compiled once with the snapshot and matched against
 * the whole string. `*` as a regex means presence, as Istio reads it.
 */
import { RE2JS } from 're2js';
import { messageOf } from '#base/errors.ts';
import type { TextMatch } from './route-table.ts';

const EXACT = 0;
const PREFIX = 1;
const REGEX = 2;
const PRESENT = 3;
const NEVER = 4;
const PATH_PREFIX = 5;
const SLASH = 0x2f;

export class TextMatcher {
  readonly #kind: number;
  readonly #value: string;
  readonly #regex: RE2JS | undefined;
  readonly #ignoreCase: boolean;
  /** Matches any value, the empty one included; only a missing value fails. */
  readonly isPresence: boolean;

  private constructor(parts: {
    kind: number;
    value?: string;
    regex?: RE2JS;
    ignoreCase?: boolean;
  }) {
    const value = parts.value ?? '';
    this.#kind = parts.kind;
    this.#ignoreCase = parts.ignoreCase ?? false;
    this.#value = this.#ignoreCase ? value.toLowerCase() : value;
    this.#regex = parts.regex;
    this.isPresence = parts.kind === PRESENT;
  }

  /** `onProblem` gets what is wrong with a regex; such a matcher matches nothing. */
  static compile(
    match: TextMatch,
    onProblem: (problem: string) => void,
    ignoreCase = false,
  ): TextMatcher {
    switch (match.kind) {
      case 'present':
        return new TextMatcher({ kind: PRESENT });
      case 'exact':
        return new TextMatcher({ kind: EXACT, value: match.value, ignoreCase });
      case 'prefix':
        return new TextMatcher({ kind: PREFIX, value: match.value, ignoreCase });
      case 'path-prefix': {
        const value = match.value.replace(/\/+$/, '');
        return new TextMatcher({ kind: PATH_PREFIX, value, ignoreCase });
      }
      case 'regex': {
        if (match.value === '*') return new TextMatcher({ kind: PRESENT });
        const regex = compileRegex(match.value, onProblem);
        return regex === undefined
          ? new TextMatcher({ kind: NEVER })
          : new TextMatcher({ kind: REGEX, regex });
      }
    }
  }

  test(text: string): boolean {
    switch (this.#kind) {
      case EXACT:
        return (this.#ignoreCase ? text.toLowerCase() : text) === this.#value;
      case PREFIX:
        return this.#ignoreCase
          ? text.slice(0, this.#value.length).toLowerCase() === this.#value
          : text.startsWith(this.#value);
      case PATH_PREFIX: {
        const value = this.#value;
        const next = text.charCodeAt(value.length);
        // The text ends with the prefix, or a segment does.
        if (text.length > value.length && next !== SLASH) return false;
        return this.#ignoreCase
          ? text.slice(0, value.length).toLowerCase() === value
          : text.startsWith(value);
      }
      case REGEX:
        return this.#regex?.testExact(text) ?? false;
      case PRESENT:
        return true;
      default:
        return false;
    }
  }
}

export function compileRegex(
  source: string,
  onProblem: (problem: string) => void,
): RE2JS | undefined {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    onProblem(`regex ${JSON.stringify(source)} is not valid RE2: ${messageOf(error)}`);
    return undefined;
  }
}

/** `exact "true"`, for reasons. */
export function describeMatch(match: TextMatch): string {
  return match.kind === 'present' ? 'is present' : `${match.kind} ${JSON.stringify(match.value)}`;
}
