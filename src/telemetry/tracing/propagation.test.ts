import { describe, expect, test } from 'bun:test';
import { MessageHead } from '#http/dispatch/message-head.ts';
import {
  extractTrace,
  FORM_B3_MULTI,
  FORM_B3_SINGLE,
  FORM_W3C,
  injectTrace,
} from './propagation.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const OTHER = '11f92f3577b34da6a3ce929d0e0e4711';
const SPAN = '00f067aa0ba902b7';
const NEXT = 'aaaaaaaaaaaaaaaa';
const W3C = `00-${TRACE}-${SPAN}-01`;
const CONTEXT = { traceId: TRACE, spanId: SPAN, sampled: true };

function headOf(fields: readonly [name: string, value: string][]): MessageHead {
  const head = MessageHead.request('GET', 'a', '/');
  for (const [name, value] of fields) head.add(name, value);
  return head;
}

function fieldsOf(head: MessageHead): Record<string, string> {
  const fields: Record<string, string> = {};
  head.forEach((name, value) => {
    fields[name] = value;
  });
  return fields;
}

describe('extractTrace', () => {
  const rows: {
    title: string;
    fields: [string, string][];
    context?: object;
    sampled?: boolean;
    traceState?: string;
    forms: number;
    /** Names that are gone afterwards. */
    removed?: string[];
  }[] = [
    { title: 'nothing', fields: [['x-a', '1']], forms: 0 },
    {
      title: 'traceparent and tracestate',
      fields: [
        ['traceparent', W3C],
        ['tracestate', 'a=1'],
        ['tracestate', 'b=2'],
      ],
      context: CONTEXT,
      sampled: true,
      traceState: 'a=1,b=2',
      forms: FORM_W3C,
    },
    {
      title: 'a malformed traceparent takes its tracestate along',
      fields: [
        ['traceparent', `${W3C}-x`],
        ['tracestate', 'a=1'],
      ],
      forms: 0,
      removed: ['traceparent', 'tracestate'],
    },
    {
      title: 'two traceparents are none',
      fields: [
        ['traceparent', W3C],
        ['traceparent', W3C],
      ],
      forms: 0,
      removed: ['traceparent'],
    },
    {
      title: 'a malformed tracestate goes alone',
      fields: [
        ['traceparent', W3C],
        ['tracestate', 'A'],
      ],
      context: CONTEXT,
      sampled: true,
      forms: FORM_W3C,
      removed: ['tracestate'],
    },
    {
      title: 'tracestate without traceparent means nothing',
      fields: [['tracestate', 'a=1']],
      forms: 0,
      removed: ['tracestate'],
    },
    {
      title: 'b3 in one header',
      fields: [['b3', `${TRACE}-${SPAN}-1`]],
      context: CONTEXT,
      sampled: true,
      forms: FORM_B3_SINGLE,
    },
    {
      title: 'b3 in several',
      fields: [
        ['x-b3-traceid', TRACE],
        ['x-b3-spanid', SPAN],
        ['x-b3-sampled', '1'],
      ],
      context: CONTEXT,
      sampled: true,
      forms: FORM_B3_MULTI,
    },
    {
      title: 'a decision without a trace',
      fields: [['b3', '0']],
      sampled: false,
      forms: FORM_B3_SINGLE,
    },
    {
      title: 'W3C wins over B3',
      fields: [
        ['b3', `${OTHER}-${SPAN}-0`],
        ['traceparent', W3C],
      ],
      context: CONTEXT,
      sampled: true,
      forms: FORM_W3C | FORM_B3_SINGLE,
    },
    {
      title: 'a malformed traceparent leaves the word to B3',
      fields: [
        ['b3', `${TRACE}-${SPAN}-1`],
        ['traceparent', 'x'],
      ],
      context: CONTEXT,
      sampled: true,
      forms: FORM_B3_SINGLE,
      removed: ['traceparent'],
    },
    {
      title: 'malformed B3 is removed, all of it',
      fields: [
        ['b3', 'x'],
        ['x-b3-traceid', TRACE],
        ['x-b3-sampled', '1'],
      ],
      forms: 0,
      removed: ['b3', 'x-b3-traceid', 'x-b3-sampled'],
    },
  ];
  for (const { title, fields, removed = [], ...want } of rows) {
    test(title, () => {
      const head = headOf(fields);
      const { context, sampled, traceState, forms } = extractTrace(head);
      expect({ context, sampled, traceState, forms }).toEqual({
        context: undefined,
        sampled: undefined,
        traceState: '',
        ...want,
      } as never);
      expect(fields.map(([name]) => name).filter((name) => !head.has(name))).toEqual(
        fields.map(([name]) => name).filter((name) => removed.includes(name)),
      );
    });
  }
});

describe('injectTrace', () => {
  const next = { traceId: TRACE, spanId: NEXT, sampled: true };

  test('writes the forms that are asked for, and those only', () => {
    const head = headOf([]);
    injectTrace(head, next, FORM_W3C | FORM_B3_SINGLE);
    expect(fieldsOf(head)).toEqual({
      traceparent: `00-${TRACE}-${NEXT}-01`,
      b3: `${TRACE}-${NEXT}-1`,
    });
  });

  test('replaces what came; a parent’s parent is not ours to tell', () => {
    const head = headOf([
      ['x-b3-traceid', TRACE],
      ['x-b3-spanid', SPAN],
      ['x-b3-parentspanid', SPAN],
    ]);
    injectTrace(head, { ...next, sampled: false }, FORM_B3_MULTI);
    expect(fieldsOf(head)).toEqual({
      'x-b3-traceid': TRACE,
      'x-b3-spanid': NEXT,
      'x-b3-sampled': '0',
    });
  });

  test('debug stays debug', () => {
    const head = headOf([['x-b3-flags', '1']]);
    injectTrace(head, next, FORM_B3_MULTI);
    expect([head.get('x-b3-flags'), head.has('x-b3-sampled')]).toEqual(['1', false]);
  });
});
