import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { FORM_B3_MULTI, FORM_W3C } from './propagation.ts';
import { beginTrace, newSpanId, newTraceId, type RequestTrace } from './request-trace.ts';
import { parseTraceparent } from './trace-context.ts';
import type { CompiledTracing } from './tracing-rules.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const RULES: CompiledTracing = {
  samplingPercent: 0,
  usesRequestId: true,
  stopsContext: false,
  reports: true,
  provider: undefined,
  tags: [],
  istioTags: true,
  pathCharsMax: 256,
  semanticServiceName: false,
};
const ID = 'ffffffff-1111-4111-8111-111111111111';

function begun(
  fields: Record<string, string>,
  rules: Partial<CompiledTracing> = {},
  more: object = {},
) {
  const head = MessageHead.request('GET', 'a', '/');
  for (const name in fields) head.add(name, fields[name]);
  const trace = beginTrace({
    head,
    rules: { ...RULES, ...rules },
    random: seededRandom(1),
    requestId: fields['x-request-id'],
    ...more,
  });
  if (trace === undefined) throw new Error('no trace has begun');
  return { head, trace };
}

function told(trace: RequestTrace, head: MessageHead): string {
  const spanId = trace.childId();
  trace.tell(head, spanId);
  return spanId;
}

function headFields(head: MessageHead): string[] {
  const fields: string[] = [];
  head.forEach((name, value) => {
    fields.push(`${name}: ${value}`);
  });
  return fields;
}

describe('beginTrace', () => {
  test('a trace that is not sampled goes on byte for byte', () => {
    const traceparent = `00-${TRACE}-${SPAN}-00`;
    const { head, trace } = begun(
      { traceparent, tracestate: 'a=1 , b=2' },
      { samplingPercent: 100 },
    );
    expect([head.get('traceparent'), head.get('tracestate')]).toEqual([traceparent, 'a=1 , b=2']);
    expect([trace.traceId, trace.parentSpanId, trace.sampled]).toEqual([TRACE, SPAN, false]);
    expect([told(trace, head), head.get('traceparent'), trace.exemplar]).toEqual([
      '',
      traceparent,
      '',
    ]);
  });

  test('one that is sampled tells each try’s own span', () => {
    const { head, trace } = begun({ traceparent: `00-${TRACE}-${SPAN}-01` });
    const spans = [told(trace, head), told(trace, head)];
    expect(new Set([SPAN, trace.spanId, ...spans]).size).toBe(4);
    expect(head.getAll('traceparent')).toBe(`00-${TRACE}-${spans[1]}-01`);
    expect([trace.parentSpanId, trace.exemplar]).toEqual([SPAN, TRACE]);
  });

  test('without a trace one begins, and the decision is told', () => {
    const { head, trace } = begun({});
    const told = parseTraceparent(head.get('traceparent') ?? '');
    expect(told).toEqual({ traceId: trace.traceId, spanId: trace.spanId, sampled: false });
    expect([trace.parentSpanId, trace.forms]).toEqual(['', FORM_W3C]);
  });

  test('what is malformed is replaced', () => {
    const { head, trace } = begun({ traceparent: 'x', tracestate: 'a=1', b3: 'y' });
    expect(head.getAll('traceparent')).toContain(trace.traceId);
    expect([head.get('tracestate'), head.get('b3')]).toEqual([undefined, undefined]);
  });

  test('a trace of B3 goes on in B3', () => {
    const fields = { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' };
    const { head, trace } = begun(fields);
    const span = told(trace, head);
    expect([head.get('x-b3-traceid'), head.get('x-b3-spanid')]).toEqual([TRACE, span]);
    expect([trace.forms, head.get('traceparent')]).toEqual([FORM_B3_MULTI, undefined]);
  });

  test('a B3 context without a decision is decided on here', () => {
    const fields = { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN };
    const { head, trace } = begun(fields, { samplingPercent: 100 });
    expect([trace.traceId, trace.parentSpanId, trace.sampled]).toEqual([TRACE, SPAN, true]);
    expect(head.get('x-b3-sampled')).toBe('1');
  });

  test('a decision without a trace is kept', () => {
    expect(begun({ b3: '0' }, { samplingPercent: 100 }).trace.sampled).toBe(false);
    expect(begun({ b3: '1' }).trace.sampled).toBe(true);
  });

  test('x-request-id decides and is told, where it may', () => {
    const all = { samplingPercent: 100 };
    const { head, trace } = begun({ 'x-request-id': ID }, all);
    expect([trace.sampled, head.get('x-request-id')]).toEqual([true, ID.replace('-4', '-9')]);
    expect(begun({ 'x-request-id': ID.replace('-4', '-9') }).trace.sampled).toBe(true);
    const apart = begun({ 'x-request-id': ID }, { ...all, usesRequestId: false });
    expect([apart.trace.sampled, apart.head.get('x-request-id')]).toEqual([true, ID]);
  });

  test('x-envoy-force-trace forces', () => {
    expect(begun({ 'x-envoy-force-trace': '1' }).trace.sampled).toBe(true);
  });

  test('the first request of a connection that is traced belongs to its trace, unless it knows better', () => {
    const connection = { traceId: TRACE, spanId: SPAN, sampled: true };
    const first = begun({}, {}, { connection });
    expect([first.trace.traceId, first.trace.parentSpanId, first.trace.sampled]).toEqual([
      TRACE,
      SPAN,
      true,
    ]);
    expect(begun({ b3: '0' }, {}, { connection }).trace.sampled).toBe(false);
    const other = begun(
      { traceparent: `00-${TRACE.replace('4', '5')}-${SPAN}-00` },
      {},
      { connection },
    );
    expect(other.trace.traceId).not.toBe(TRACE);
    const untraced = begun({}, {}, { connection: { ...connection, sampled: false } });
    expect([untraced.trace.traceId === TRACE, untraced.trace.parentSpanId]).toEqual([false, '']);
  });

  test('where no spans are made a trace passes through as it came', () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    const { head, trace } = begun({ traceparent }, { reports: false });
    expect([trace.sampled, trace.records, told(trace, head)]).toEqual([true, false, '']);
    expect(head.get('traceparent')).toBe(traceparent);
  });

  test('where no spans are made none begins, and who comes behind may decide', () => {
    const connection = { traceId: TRACE, spanId: SPAN, sampled: true };
    const rules = { ...RULES, samplingPercent: 0, reports: false };
    const head = MessageHead.request('GET', 'a', '/');
    head.add('tracestate', 'a=1');
    const random = seededRandom(1);
    expect(beginTrace({ head, rules, random })).toBeUndefined();
    expect(headFields(head)).toEqual([]);
    // A decision that came is one, and a connection that is traced goes on.
    expect(begun({ b3: '0' }, rules).trace.sampled).toBe(false);
    expect(begun({}, rules, { connection }).trace.traceId).toBe(TRACE);
  });

  test('where context ends nothing of it goes on, and nothing new begins in the head', () => {
    const ends = { stopsContext: true };
    const { head, trace } = begun(
      { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: 'a=1' },
      ends,
    );
    expect([trace.sampled, told(trace, head)]).toEqual([true, expect.any(String)]);
    expect([head.get('traceparent'), head.get('tracestate')]).toEqual([undefined, undefined]);
    expect(begun({}, ends).head.get('traceparent')).toBeUndefined();
  });
});

test('ids are hexadecimal, of their length, and differ in every digit', () => {
  const random = seededRandom(5);
  const of = (make: typeof newTraceId) => Array.from({ length: 500 }, () => make(random));
  for (const [make, length] of [
    [newTraceId, 32],
    [newSpanId, 16],
  ] as const) {
    const ids = of(make);
    expect(new Set(ids).size).toBe(500);
    for (const id of ids) expect(id).toMatch(new RegExp(`^[0-9a-f]{${length}}$`));
    const constant = Array.from({ length }, (_, at) => new Set(ids.map((id) => id[at])).size === 1);
    expect(constant).not.toContain(true);
  }
});
