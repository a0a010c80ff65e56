/**
 * The trace of a request in its head: read from whatever form it came in, sent on in the same forms. A context that is not sampled
 * leaves the head as it came. Nothing malformed is sent on: it is removed, and the request begins a new trace.
 */
import {
  B3_FIELDS,
  B3_PREFIX,
  B3_SINGLE,
  type B3Fields,
  type B3Found,
  formatB3Single,
  parseB3Multi,
  parseB3Single,
} from './b3.ts';
import {
  formatTraceparent,
  parseTraceparent,
  soundTraceState,
  type TraceContext,
} from './trace-context.ts';

/** A head, as far as it matters here. */
export interface TraceFields extends B3Fields {
  get(name: string): string | undefined;
  getAll(name: string): string | undefined;
  hasPrefix(prefix: string): boolean;
  set(name: string, value: string): void;
  /** One more field, of visible ASCII. */
  addPlain(name: string, value: string): void;
  remove(name: string): void;
}

/** Which forms a head has or is to have: bits. */
export const FORM_W3C = 1;
export const FORM_B3_SINGLE = 2;
export const FORM_B3_MULTI = 4;

export interface ExtractedTrace {
  /** Undefined: there is none, or none that is sound. */
  readonly context: TraceContext | undefined;
  /** What was decided without a context (`b3: 0`); that of the context otherwise. */
  readonly sampled: boolean | undefined;
  /** Sound `tracestate`, or empty. */
  readonly traceState: string;
  readonly forms: number;
}

const NOTHING: ExtractedTrace = {
  context: undefined,
  sampled: undefined,
  traceState: '',
  forms: 0,
};

/** Removes from the head what is malformed. W3C comes first, then B3 in one header, then in several. */
export function extractTrace(head: TraceFields): ExtractedTrace {
  const traceparent = head.get('traceparent');
  const single = head.get(B3_SINGLE);
  const hasMulti = head.hasPrefix(B3_PREFIX);
  // Most requests have none of them; most others have the first.
  if (traceparent === undefined && single === undefined && !hasMulti) {
    if (head.get('tracestate') !== undefined) head.remove('tracestate');
    return NOTHING;
  }
  const w3c = traceparent === undefined ? undefined : readTraceparent(head, traceparent);
  const traceState = readTraceState(head, w3c !== undefined);
  const ofSingle = single === undefined ? undefined : readSingle(head, single);
  const ofMulti = hasMulti ? readMulti(head) : undefined;
  const b3 = ofSingle ?? ofMulti;
  const context = w3c ?? contextOf(b3);
  return {
    context,
    sampled: context === undefined ? b3?.sampled : context.sampled,
    traceState,
    forms:
      (w3c === undefined ? 0 : FORM_W3C) |
      (ofSingle === undefined ? 0 : FORM_B3_SINGLE) |
      (ofMulti === undefined ? 0 : FORM_B3_MULTI),
  };
}

/** Without ids it is a decision alone. */
function contextOf(found: Exclude<B3Found, 'malformed'> | undefined): TraceContext | undefined {
  return found !== undefined && 'spanId' in found ? found : undefined;
}

function readTraceparent(head: TraceFields, text: string): TraceContext | undefined {
  const context = parseTraceparent(text);
  // Two of them contradict each other: none is believed.
  const isOne = context !== undefined && head.getAll('traceparent') === text;
  if (!isOne) head.remove('traceparent');
  return isOne ? context : undefined;
}

/** W3C §3.3: it belongs to a traceparent and means nothing without. */
function readTraceState(head: TraceFields, hasParent: boolean): string {
  const text = head.getAll('tracestate');
  if (text === undefined) return '';
  const sound = hasParent ? soundTraceState(text) : '';
  if (sound === '') head.remove('tracestate');
  return sound;
}

function readSingle(head: TraceFields, text: string): Exclude<B3Found, 'malformed'> | undefined {
  const found = parseB3Single(text);
  if (found !== 'malformed') return found;
  head.remove(B3_SINGLE);
  return undefined;
}

function readMulti(head: TraceFields): Exclude<B3Found, 'malformed'> | undefined {
  const found = parseB3Multi(head);
  if (found !== 'malformed') return found;
  for (const name of B3_FIELDS) head.remove(name);
  return undefined;
}

/** Writes the context in each of the forms; `tracestate` stays as it is in the head. */
export function injectTrace(head: TraceFields, context: TraceContext, forms: number): void {
  if ((forms & FORM_W3C) !== 0) head.set('traceparent', formatTraceparent(context));
  if ((forms & FORM_B3_SINGLE) !== 0) head.set(B3_SINGLE, formatB3Single(context));
  if ((forms & FORM_B3_MULTI) === 0) return;
  head.set('x-b3-traceid', context.traceId);
  head.set('x-b3-spanid', context.spanId);
  // Debug stays what it is: it is a decision that nobody may change.
  if (head.get('x-b3-flags') !== '1') {
    head.set('x-b3-sampled', context.sampled === true ? '1' : '0');
  }
  head.remove('x-b3-parentspanid');
}
