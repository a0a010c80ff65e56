/**
 * An application's lines, the mesh's records and spans on one axis of time: what is shown of them, and how many of each fell into
 * each slice. Pure.
 */
import type { LogLine } from '#console/api/lists.ts';

export interface LogFilter {
  readonly sources: ReadonlySet<LogLine['from']>;
  /** A part of the text; `/…/` is a pattern. */
  readonly show: string;
  readonly hide: string;
}

export interface JoinedLine extends LogLine {
  readonly atMs: number;
  readonly level: 'error' | 'warning' | 'plain';
  /** Milliseconds since the line before it. */
  readonly gapMs: number;
}

export interface LogSlice {
  readonly fromMs: number;
  readonly counts: Readonly<Record<LogLine['from'], number>>;
  readonly errors: number;
}

export interface Matcher {
  readonly matches: (text: string) => boolean;
  /** The pattern is not one: what is wrong with it. */
  readonly problem: string;
}

export function matcherOf(text: string, whenEmpty: boolean): Matcher {
  const wanted = text.trim();
  if (wanted === '') return { matches: () => whenEmpty, problem: '' };
  const pattern = /^\/(.+)\/$/.exec(wanted)?.[1];
  if (pattern === undefined) {
    const lower = wanted.toLowerCase();
    return { matches: (line) => line.toLowerCase().includes(lower), problem: '' };
  }
  try {
    const expression = new RegExp(pattern, 'i');
    return { matches: (line) => expression.test(line), problem: '' };
  } catch (error) {
    return { matches: () => whenEmpty, problem: (error as Error).message };
  }
}

export function joinLog(
  lines: readonly LogLine[],
  { sources, show, hide }: LogFilter,
): JoinedLine[] {
  const shown = matcherOf(show, true);
  const hidden = matcherOf(hide, false);
  const kept = timed(lines)
    .filter(
      (line) => sources.has(line.from) && shown.matches(line.text) && !hidden.matches(line.text),
    )
    .sort((a, b) => a.atMs - b.atMs);
  return kept.map((line, index) => ({
    ...line,
    gapMs: index === 0 ? 0 : line.atMs - kept[index - 1].atMs,
  }));
}

/** A line that tells no time, the second of a stack trace, was written with the one before it. */
function timed(lines: readonly LogLine[]) {
  let lastMs = Number.NaN;
  return lines.map((line) => {
    const ownMs = Date.parse(line.at);
    const atMs = Number.isNaN(ownMs) ? lastMs : ownMs;
    lastMs = atMs;
    return { ...line, atMs: Number.isNaN(atMs) ? 0 : atMs, level: levelOf(line) };
  });
}

const ERROR = /\b(error|fatal|panic|exception|failed)\b/i;
const WARNING = /\bwarn(ing)?\b/i;
/** As the control plane writes records: `GET /cart 503 3.2 ms, … → … UF: reason`. */
const BAD_RECORD = /\b(5\d\d|no answer)( grpc \d+)? [\d.]+ ms\b|→ \S+ [A-Z]{2,}\b/;

function levelOf({ from, text }: LogLine): JoinedLine['level'] {
  if (from !== 'application') return BAD_RECORD.test(text) ? 'error' : 'plain';
  if (ERROR.test(text)) return 'error';
  return WARNING.test(text) ? 'warning' : 'plain';
}

export function logSlices(lines: readonly JoinedLine[], count: number): LogSlice[] {
  if (lines.length === 0) return [];
  const fromMs = lines[0].atMs;
  const widthMs = Math.max(1, (lines.at(-1)!.atMs - fromMs + 1) / count);
  const slices = Array.from({ length: count }, (_, index) => ({
    fromMs: fromMs + index * widthMs,
    counts: { application: 0, mesh: 0, span: 0 },
    errors: 0,
  }));
  for (const line of lines) {
    const slice = slices[Math.min(count - 1, Math.floor((line.atMs - fromMs) / widthMs))];
    slice.counts[line.from]++;
    if (line.level === 'error') slice.errors++;
  }
  return slices;
}
