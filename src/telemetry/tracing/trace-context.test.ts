import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatTraceparent, parseTraceparent, soundTraceState } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

describe('parseTraceparent', () => {
  const good: { title: string; text: string; sampled: boolean }[] = [
    { title: 'sampled', text: `00-${TRACE}-${SPAN}-01`, sampled: true },
    { title: 'not sampled', text: `00-${TRACE}-${SPAN}-00`, sampled: false },
    { title: 'flags of the future are ignored', text: `00-${TRACE}-${SPAN}-fe`, sampled: false },
    { title: 'all flags', text: `00-${TRACE}-${SPAN}-ff`, sampled: true },
    { title: 'a later version', text: `01-${TRACE}-${SPAN}-01`, sampled: true },
    { title: 'a later version that says more', text: `cc-${TRACE}-${SPAN}-01-x.y`, sampled: true },
  ];
  for (const { title, text, sampled } of good) {
    test(title, () => {
      expect(parseTraceparent(text)).toEqual({ traceId: TRACE, spanId: SPAN, sampled });
    });
  }

  const bad: { title: string; text: string }[] = [
    { title: 'empty', text: '' },
    { title: 'version ff', text: `ff-${TRACE}-${SPAN}-01` },
    { title: 'version 00 with more behind it', text: `00-${TRACE}-${SPAN}-01-x` },
    { title: 'a later version with more, but no dash', text: `01-${TRACE}-${SPAN}-01x` },
    { title: 'one digit short', text: `00-${TRACE}-${SPAN}-0` },
    { title: 'upper case', text: `00-${TRACE.toUpperCase()}-${SPAN}-01` },
    { title: 'no hexadecimal digit', text: `00-${TRACE.replace('4', 'g')}-${SPAN}-01` },
    { title: 'trace id of zeros', text: `00-${'0'.repeat(32)}-${SPAN}-01` },
    { title: 'span id of zeros', text: `00-${TRACE}-${'0'.repeat(16)}-01` },
    { title: 'another separator', text: `00_${TRACE}-${SPAN}-01` },
    { title: 'flags that are no number', text: `00-${TRACE}-${SPAN}-0x` },
    { title: 'a space in front', text: ` 00-${TRACE}-${SPAN}-01` },
    { title: 'two values in one', text: `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01` },
  ];
  for (const { title, text } of bad) {
    test(`refuses ${title}`, () => expect(parseTraceparent(text)).toBeUndefined());
  }

  const hex = (length: number) =>
    fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`)).filter((text) => !/^0+$/.test(text));

  test('reads what formatTraceparent writes', () => {
    const property = fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, sampled) => {
      const context = { traceId, spanId, sampled };
      expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
    });
    fc.assert(property);
  });

  test('takes nothing that is not as the specification’s pattern says, and never throws', () => {
    const shape =
      /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;
    const near = fc.tuple(fc.nat(60), fc.string({ maxLength: 3 })).map(([at, text]) => {
      const whole = `00-${TRACE}-${SPAN}-01`;
      return `${whole.slice(0, at)}${text}${whole.slice(at + text.length)}`;
    });
    const property = fc.property(fc.oneof(near, fc.string()), (text) => {
      const matches = shape.test(text) && !(text.startsWith('00') && text.length > 55);
      expect(parseTraceparent(text) !== undefined).toBe(matches && !text.includes('\n'));
    });
    fc.assert(property, { numRuns: 500 });
  });
});

describe('soundTraceState', () => {
  const rows: { title: string; text: string; want: string }[] = [
    { title: 'one member', text: 'rojo=00f067aa0ba902b7', want: 'rojo=00f067aa0ba902b7' },
    { title: 'spaces between members go', text: 'a=1 , b=2', want: 'a=1,b=2' },
    { title: 'empty members go', text: 'a=1,,b=2,', want: 'a=1,b=2' },
    { title: 'a multi-tenant key', text: 'fw529a3039@dt=F;1', want: 'fw529a3039@dt=F;1' },
    { title: 'a value with a space inside', text: 'a=b c', want: 'a=b c' },
    { title: 'empty', text: '', want: '' },
    { title: 'no equals sign', text: 'a', want: '' },
    { title: 'no key', text: '=1', want: '' },
    { title: 'no value', text: 'a=', want: '' },
    { title: 'an upper-case key', text: 'A=1', want: '' },
    { title: 'an equals sign in the value', text: 'a=b=c', want: '' },
    { title: 'a control character', text: 'a=b\u0001', want: '' },
    { title: 'a line break', text: 'a=b\r\nx: y', want: '' },
    { title: 'not ASCII', text: 'a=ä', want: '' },
    { title: 'a key twice', text: 'a=1,a=2', want: '' },
    { title: 'one bad member of two', text: 'a=1,b', want: '' },
    { title: 'a key of 257 characters', text: `${'k'.repeat(257)}=1`, want: '' },
    { title: 'a value of 257 characters', text: `k=${'v'.repeat(257)}`, want: '' },
    {
      title: '33 members',
      text: Array.from({ length: 33 }, (_, index) => `k${index}=1`).join(),
      want: '',
    },
    { title: 'more than fits', text: `a=1,${','.repeat(3000)}`, want: '' },
  ];
  for (const { title, text, want } of rows) {
    test(title, () => expect(soundTraceState(text)).toBe(want));
  }
});
