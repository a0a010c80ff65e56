import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { type B3Found, formatB3Single, parseB3Multi, parseB3Single } from './b3.ts';

const TRACE = '80f198ee56343ba864fe8b2a57d3eff7';
const SHORT = '64fe8b2a57d3eff7';
const SPAN = 'e457b5a2e4d86bd1';
const PARENT = '05e3ac9a4f6e3b90';
const of = (sampled: boolean | undefined, traceId = TRACE): B3Found => ({
  traceId,
  spanId: SPAN,
  sampled,
});
const WIDE = `${'0'.repeat(16)}${SHORT}`;

describe('parseB3Single', () => {
  const rows: { text: string; want: B3Found }[] = [
    { text: `${TRACE}-${SPAN}`, want: of(undefined) },
    { text: `${TRACE}-${SPAN}-1`, want: of(true) },
    { text: `${TRACE}-${SPAN}-0`, want: of(false) },
    { text: `${TRACE}-${SPAN}-d`, want: of(true) },
    { text: `${TRACE}-${SPAN}-1-${PARENT}`, want: of(true) },
    { text: `${SHORT}-${SPAN}-1`, want: of(true, WIDE) },
    { text: `${TRACE.toUpperCase()}-${SPAN}-1`, want: of(true) },
    { text: '0', want: { sampled: false } },
    { text: '1', want: { sampled: true } },
    { text: 'd', want: { sampled: true } },
    { text: '', want: 'malformed' },
    { text: '2', want: 'malformed' },
    { text: TRACE, want: 'malformed' },
    { text: `${TRACE}-`, want: 'malformed' },
    { text: `${TRACE}-${SPAN}-`, want: 'malformed' },
    { text: `${TRACE}-${SPAN}-2`, want: 'malformed' },
    { text: `${TRACE}-${SPAN}-1-`, want: 'malformed' },
    { text: `${TRACE}-${SPAN}-1-${PARENT}-1`, want: 'malformed' },
    { text: `${TRACE}-${SPAN.slice(1)}-1`, want: 'malformed' },
    { text: `${TRACE.slice(1)}-${SPAN}-1`, want: 'malformed' },
    { text: `${'0'.repeat(32)}-${SPAN}-1`, want: 'malformed' },
    { text: `${TRACE}-${'0'.repeat(16)}-1`, want: 'malformed' },
    { text: `${TRACE.replace('8', 'x')}-${SPAN}-1`, want: 'malformed' },
  ];
  for (const { text, want } of rows) {
    test(`"${text}"`, () => expect(parseB3Single(text)).toEqual(want));
  }

  test('never throws', () => {
    fc.assert(fc.property(fc.string(), (text) => void parseB3Single(text)));
  });

  test('reads what formatB3Single writes', () => {
    const context = { traceId: TRACE, spanId: SPAN, sampled: true };
    expect(parseB3Single(formatB3Single(context))).toEqual(context);
  });
});

describe('parseB3Multi', () => {
  const rows: { title: string; fields: Record<string, string>; want: B3Found }[] = [
    {
      title: 'ids and decision',
      fields: { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': '1' },
      want: of(true),
    },
    {
      title: 'no decision',
      fields: { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-parentspanid': PARENT },
      want: of(undefined),
    },
    {
      title: 'a short id, old spelling of the decision',
      fields: { 'x-b3-traceid': SHORT, 'x-b3-spanid': SPAN, 'x-b3-sampled': 'false' },
      want: of(false, WIDE),
    },
    {
      title: 'debug',
      fields: { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-flags': '1' },
      want: of(true),
    },
    { title: 'a decision alone', fields: { 'x-b3-sampled': '0' }, want: { sampled: false } },
    { title: 'debug alone', fields: { 'x-b3-flags': '1' }, want: { sampled: true } },
    { title: 'no span id', fields: { 'x-b3-traceid': TRACE }, want: 'malformed' },
    { title: 'no trace id', fields: { 'x-b3-spanid': SPAN }, want: 'malformed' },
    { title: 'a parent alone', fields: { 'x-b3-parentspanid': PARENT }, want: 'malformed' },
    {
      title: 'a decision that is none',
      fields: { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-sampled': 'maybe' },
      want: 'malformed',
    },
    {
      title: 'a broken parent',
      fields: { 'x-b3-traceid': TRACE, 'x-b3-spanid': SPAN, 'x-b3-parentspanid': 'x' },
      want: 'malformed',
    },
    {
      title: 'a broken span id',
      fields: { 'x-b3-traceid': TRACE, 'x-b3-spanid': `${SPAN}0` },
      want: 'malformed',
    },
  ];
  for (const { title, fields, want } of rows) {
    test(title, () => expect(parseB3Multi({ get: (name) => fields[name] })).toEqual(want));
  }
});
