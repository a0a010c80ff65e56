/**
 * Members of a query, each checked before it is used. What is wrong is said with the member's name, why, and what would be right; a member that
 * nobody reads is refused as well, since a misspelt filter that is passed over shows more than was asked for.
 */
import {
  LIST_ITEMS_MAX,
  PARAMETER_CHARACTERS_MAX,
  RANGE_SECONDS_MAX,
  WINDOW_SECONDS_DEFAULT,
  WINDOW_SECONDS_MAX,
} from './limits.ts';
import { badParameter } from './problem.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
/** Labels of DNS, joined by dots: names of namespaces, workloads and hosts. Others would only be looked for in vain. */
const NAME = /^[A-Za-z0-9*]([A-Za-z0-9._:*-]{0,251}[A-Za-z0-9*])?$/;
const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/;

export class Parameters {
  readonly #values = new Map<string, string>();

  constructor(query: URLSearchParams, known: readonly string[]) {
    for (const [name, value] of query) {
      if (!known.includes(name))
        throw badParameter(plain(name), 'is not known here', hintFor(known));
      if (this.#values.has(name))
        throw badParameter(name, 'is given twice', 'give it once, lists with commas');
      if (value.length > PARAMETER_CHARACTERS_MAX)
        throw badParameter(
          name,
          `has ${value.length} characters`,
          `at most ${PARAMETER_CHARACTERS_MAX} are read`,
        );
      if (hasControls(value)) throw badParameter(name, 'has control characters', 'leave them out');
      if (value !== '') this.#values.set(name, value);
    }
  }

  text(name: string): string | undefined {
    return this.#values.get(name);
  }

  required(name: string, example: string): string {
    const value = this.text(name);
    if (value === undefined)
      throw badParameter(name, 'is missing', `for example ${name}=${example}`);
    return value;
  }

  oneOf<T extends string>(name: string, choices: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const choice = choices.find((each) => each === value);
    if (choice === undefined)
      throw badParameter(
        name,
        `${shown(value)} is not one of them`,
        `one of ${choices.join(', ')}`,
      );
    return choice;
  }

  flag(name: string): boolean {
    return this.oneOf(name, ['true', 'false']) === 'true';
  }

  integer(name: string, range: { readonly from: number; readonly to: number }): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^\d{1,15}$/.test(value) || number < range.from || number > range.to)
      throw badParameter(
        name,
        `${shown(value)} is no whole number in range`,
        `a number from ${range.from} to ${range.to}`,
      );
    return number;
  }

  /** Names with commas between them. */
  names(name: string): readonly string[] {
    const value = this.text(name);
    if (value === undefined) return [];
    const items = value
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '');
    if (items.length > LIST_ITEMS_MAX)
      throw badParameter(name, `has ${items.length} names`, `at most ${LIST_ITEMS_MAX} at once`);
    const wrong = items.find((each) => !each.split('/').every((part) => NAME.test(part)));
    if (wrong !== undefined)
      throw badParameter(
        name,
        `${shown(wrong)} is no name`,
        'names as in the cluster, commas between them',
      );
    return items;
  }

  /** `30s`, `5m`, `1h`; a bare number is seconds. */
  windowSeconds(name = 'window', fallback = WINDOW_SECONDS_DEFAULT): number {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const [, digits, unit] = /^(\d{1,7})([smhd]?)$/.exec(value) ?? [];
    const seconds = Number(digits) * (UNIT_SECONDS[unit || 's'] ?? Number.NaN);
    if (!(seconds >= 1 && seconds <= WINDOW_SECONDS_MAX))
      throw badParameter(
        name,
        `${shown(value)} is no span of time from 1s to ${WINDOW_SECONDS_MAX / 3600}h`,
        'for example 30s, 5m, 1h',
      );
    return seconds;
  }

  /** RFC 3339, as milliseconds since the epoch. */
  timeMs(name: string): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const time = RFC_3339.test(value) ? Date.parse(value) : Number.NaN;
    if (Number.isNaN(time))
      throw badParameter(
        name,
        `${shown(value)} is no time`,
        'RFC 3339, for example 2026-01-31T08:00:00Z (a + must be written %2B)',
      );
    return time;
  }

  /** `from` and `to`; `to` is now and `from` an hour before it unless they are given. */
  range(nowMs: number, usualSeconds = 3600): { readonly fromMs: number; readonly toMs: number } {
    const toMs = Math.min(this.timeMs('to') ?? nowMs, nowMs);
    const fromMs = this.timeMs('from') ?? toMs - usualSeconds * 1000;
    if (fromMs >= toMs)
      throw badParameter('from', 'is not before to, or not before now', 'give an earlier time');
    if (toMs - fromMs > RANGE_SECONDS_MAX * 1000)
      throw badParameter(
        'from',
        'is too far before to',
        `at most ${RANGE_SECONDS_MAX / 86_400} days are kept`,
      );
    return { fromMs, toMs };
  }
}

function hintFor(known: readonly string[]): string {
  return known.length === 0
    ? 'nothing can be asked for here: leave it out'
    : `one of ${known.join(', ')}`;
}

/** Of foreign text no more than is needed to recognise it. */
export function shown(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** A member's name as it was given, for a message. */
function plain(name: string): string {
  return name.slice(0, 60).replace(/[^\w.-]/g, '?');
}

export function hasControls(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x20 || code === 0x7f) return true;
  }
  return false;
}
