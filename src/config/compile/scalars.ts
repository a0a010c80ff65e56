/** Durations as Istio's resources write them: Go's notation ("1h30m", "1.5s"), of which protobuf's is a part. */

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
