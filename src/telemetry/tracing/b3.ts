/**
 * B3 (https://github.com/openzipkin/b3-propagation), in one header (`b3`) or several (`x-b3-…`). Pure. Ids of 64 bits become 128 by
 * zeros in front; a decision may come without ids.
 */
import { isHexLower, isZeros } from './hex.ts';
import type { TraceContext } from './trace-context.ts';

export const B3_SINGLE = 'b3';
export const B3_PREFIX = 'x-b3-';
/** Every header that the second form has. */
export const B3_FIELDS = [
  'x-b3-traceid',
  'x-b3-spanid',
  'x-b3-parentspanid',
  'x-b3-sampled',
  'x-b3-flags',
] as const;

/** A context, a decision alone, or `malformed`. */
export type B3Found = TraceContext | { readonly sampled: boolean | undefined } | 'malformed';

/** `{trace id}-{span id}[-{sampled}[-{parent span id}]]`, or `{sampled}` alone. */
export function parseB3Single(text: string): B3Found {
  const parts = text.toLowerCase().split('-');
  if (parts.length === 1) {
    const sampled = singleDecision(parts[0]);
    return sampled === undefined ? 'malformed' : { sampled };
  }
  const [traceId, spanId, state, parent] = parts;
  if (parts.length > 4 || (parent !== undefined && !isId(parent, 16))) return 'malformed';
  const sampled = state === undefined ? undefined : singleDecision(state);
  if (state !== undefined && sampled === undefined) return 'malformed';
  return context(traceId, spanId, sampled);
}

/** `d` is debug: sampled, and nobody may change that. */
function singleDecision(state: string): boolean | undefined {
  if (state === '1' || state === 'd') return true;
  return state === '0' ? false : undefined;
}

export function formatB3Single({ traceId, spanId, sampled }: TraceContext): string {
  return `${traceId}-${spanId}-${sampled === true ? '1' : '0'}`;
}

export interface B3Fields {
  get(name: (typeof B3_FIELDS)[number]): string | undefined;
}

export function parseB3Multi(fields: B3Fields): B3Found {
  const sampled = multiDecision(fields.get('x-b3-sampled'), fields.get('x-b3-flags'));
  if (sampled === 'malformed') return 'malformed';
  const traceId = fields.get('x-b3-traceid');
  const spanId = fields.get('x-b3-spanid');
  const parent = fields.get('x-b3-parentspanid');
  if (traceId === undefined && spanId === undefined) {
    return parent === undefined ? { sampled } : 'malformed';
  }
  if (traceId === undefined || spanId === undefined) return 'malformed';
  if (parent !== undefined && !isId(parent.toLowerCase(), 16)) return 'malformed';
  return context(traceId.toLowerCase(), spanId.toLowerCase(), sampled);
}

/** `true` and `false` are what old tracers send; flags 1 is debug. */
function multiDecision(
  sampled: string | undefined,
  flags: string | undefined,
): boolean | undefined | 'malformed' {
  if (flags === '1') return true;
  switch (sampled?.toLowerCase()) {
    case undefined:
      return undefined;
    case '1':
    case 'true':
      return true;
    case '0':
    case 'false':
      return false;
    default:
      return 'malformed';
  }
}

function context(traceId: string, spanId: string, sampled: boolean | undefined): B3Found {
  const isShort = traceId.length === 16;
  if (!isId(traceId, isShort ? 16 : 32) || !isId(spanId, 16)) return 'malformed';
  return { traceId: isShort ? `${'0'.repeat(16)}${traceId}` : traceId, spanId, sampled };
}

function isId(text: string, length: number): boolean {
  return text.length === length && isHexLower(text, 0, length) && !isZeros(text, 0, length);
}
