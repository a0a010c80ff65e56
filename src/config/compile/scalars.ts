/** Durations and percentages as Istio's resources write them. Durations are Go's ("1h30m", "1.5s"), protobuf's among them. */
import type { Findings } from './finding.ts';

const UNIT_MS: Record<string, number> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};
const TERM = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/y;

/** Milliseconds; undefined when the text is no non-negative duration. */
export function parseDurationMs(text: string): number | undefined {
  if (typeof text !== 'string') return undefined;
  if (text === '0') return 0;
  let totalMs = 0;
  let end = 0;
  for (TERM.lastIndex = 0; end < text.length; end = TERM.lastIndex) {
    const term = TERM.exec(text);
    if (term === null) return undefined;
    totalMs += Number(term[1]) * UNIT_MS[term[2]];
  }
  return end === 0 || !Number.isFinite(totalMs) ? undefined : totalMs;
}

/** Undefined when absent or malformed, the latter with a finding. */
export function duration(
  text: string | undefined,
  path: string,
  findings: Findings,
): number | undefined {
  if (text === undefined || text === '') return undefined;
  const valueMs = parseDurationMs(text);
  if (valueMs === undefined)
    findings.invalid(path, `${JSON.stringify(text)} is not a duration such as 1.5s or 200ms`);
  return valueMs;
}

/** Whole milliseconds, one at least (Istio: ValidateDuration). Says what is wrong with another value. */
export function checkedDuration(text: string | undefined, path: string, findings: Findings): void {
  const valueMs = duration(text, path, findings);
  if (valueMs === undefined) return;
  // Fractions of a nanosecond come from floating point, not from the text.
  const valueNs = Math.round(valueMs * 1e6);
  if (valueNs < 1e6) findings.invalid(path, `${text} is shorter than 1ms`);
  else if (valueNs % 1e6 !== 0)
    findings.invalid(path, `${text} is no whole number of milliseconds`);
}

/** A double of protobuf's JSON; NaN for what is none. */
export function parseDouble(value: number | string | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  return typeof value === 'string' && value.trim() === '' ? Number.NaN : Number(value);
}

/** As Istio: 600 passes its check. No proxy can send it, so it is refused here. */
export function statusProblem(status: number): string | undefined {
  return Number.isInteger(status) && status >= 200 && status <= 599
    ? undefined
    : `${status} is not within 200 to 599`;
}
