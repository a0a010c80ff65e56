/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): `traceparent` and `tracestate`. Pure. What is malformed is told from what
 * is absent by nobody: both mean that there is no trace to go on with.
 */
import { TRACE_STATE_CHARS_MAX, TRACE_STATE_MEMBERS_MAX } from '../limits.ts';
import { isHexLower, isZeros } from './hex.ts';

/** Where a request or connection stands in a trace. */
export interface TraceContext {
  /** 32 hexadecimal digits, lower case. */
  readonly traceId: string;
  /** 16 of them: the span that sent it. */
  readonly spanId: string;
  /** Undefined: whoever gets it decides (B3 alone can say so). */
  readonly sampled: boolean | undefined;
}

const TRACEPARENT_CHARS = 55;
const SAMPLED = 0x01;

/** Undefined for what is malformed: W3C §3.2. */
export function parseTraceparent(text: string): TraceContext | undefined {
  if (!isTraceparent(text)) return undefined;
  const flags = digit(text.charCodeAt(54));
  return {
    traceId: text.slice(3, 35),
    spanId: text.slice(36, 52),
    sampled: (flags & SAMPLED) !== 0,
  };
}

function isTraceparent(text: string): boolean {
  if (text.length < TRACEPARENT_CHARS) return false;
  if (text[2] !== '-' || text[35] !== '-' || text[52] !== '-') return false;
  if (!isHexLower(text, 0, 2) || !isHexLower(text, 3, 35)) return false;
  if (!isHexLower(text, 36, 52) || !isHexLower(text, 53, 55)) return false;
  if (isZeros(text, 3, 35) || isZeros(text, 36, 52)) return false;
  // §3.2.2.1: version ff is forbidden; a later one may say more behind these fields, this one may not.
  if (text[0] === 'f' && text[1] === 'f') return false;
  if (text.length === TRACEPARENT_CHARS) return true;
  return text[TRACEPARENT_CHARS] === '-' && !(text[0] === '0' && text[1] === '0');
}

function digit(code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x57;
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
  return `00-${traceId}-${spanId}-${sampled === true ? '01' : '00'}`;
}

const KEY = /^[a-z0-9][a-z0-9_\-*/]{0,255}(@[a-z][a-z0-9_\-*/]{0,13})?$/;
/** Printable ASCII without comma and equals sign, no space at the end (§3.3.2.2.2). */
const VALUE = /^[ -+\--<>-~]{0,255}[!-+\--<>-~]$/;

/** The list as it may be sent on; empty when one member is malformed, as §3.3.1 allows no half of it. */
export function soundTraceState(text: string): string {
  if (text.length > TRACE_STATE_CHARS_MAX) return '';
  const seen = new Set<string>();
  const members: string[] = [];
  for (const part of text.split(',')) {
    const member = part.replace(/^[ \t]+|[ \t]+$/g, '');
    // §3.3.1.1: empty members are allowed, and mean nothing.
    if (member === '') continue;
    const equals = member.indexOf('=');
    const key = member.slice(0, Math.max(equals, 0));
    if (!KEY.test(key) || !VALUE.test(member.slice(equals + 1)) || seen.has(key)) return '';
    seen.add(key);
    members.push(member);
  }
  return members.length > TRACE_STATE_MEMBERS_MAX ? '' : members.join(',');
}
