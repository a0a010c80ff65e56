import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { formatHeader, type HeaderFormatFacts, parseHeaderFormat } from './header-format.ts';

const FACTS: HeaderFormatFacts = {
  value: (operator) => (operator === 'HOSTNAME' ? undefined : operator.toLowerCase()),
  requestHeader: (name) => (name === 'x-user' ? 'ada' : undefined),
  responseHeader: (name) => (name === 'etag' ? 'v1' : undefined),
  startMs: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678),
};

function format(text: string): string {
  const parsed = parseHeaderFormat(text);
  if ('problem' in parsed) throw new Error(parsed.problem);
  return formatHeader(parsed, FACTS);
}

describe('formatHeader', () => {
  test.each([
    ['plain', 'plain'],
    ['', ''],
    ['100%%', '100%'],
    ['%%REQ(x)%%', '%REQ(x)%'],
    ['%PROTOCOL%', 'protocol'],
    ['a%RESPONSE_CODE%b%RESPONSE_FLAGS%', 'aresponse_codebresponse_flags'],
    ['%REQ(X-User)%', 'ada'],
    ['%REQ(X-None?X-User)%', 'ada'],
    ['%REQ(X-User):2%', 'ad'],
    ['[%REQ(x-none)%]', '[]'],
    ['%RESP(etag)%', 'v1'],
    ['%HOSTNAME%', ''],
    ['%START_TIME%', '2026-01-02T03:04:05.678Z'],
    ['%START_TIME(%s.%3f)%', '1767323045.678'],
    ['%START_TIME(%Y/%m/%dT%H:%M:%S%z)%', '2026/01/02T03:04:05+0000'],
  ])('%j is %j', (text, want) => {
    expect(format(text)).toBe(want);
  });
});

describe('parseHeaderFormat', () => {
  test.each([
    ['50%', 'position 2'],
    ['%NOPE%', 'operator %NOPE% is not known'],
    ['%REQ%', 'operator %REQ% is not known'],
    ['%PROTOCOL(x)%', 'is not known'],
    ['a % b', 'position 2'],
  ])('%j is refused', (text, want) => {
    expect(parseHeaderFormat(text)).toMatchObject({ problem: expect.stringContaining(want) });
  });

  test('a text whose percent signs are doubled comes out as it was', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(format(text.replaceAll('%', '%%'))).toBe(text);
      }),
    );
  });

  test('no text makes it throw', () => {
    const alphabet = fc.constantFrom('%', 'REQ', '(', ')', ':', '1', 'START_TIME', 'x', '?');
    fc.assert(
      fc.property(fc.array(alphabet), (parts) => {
        const parsed = parseHeaderFormat(parts.join(''));
        expect('problem' in parsed || typeof formatHeader(parsed, FACTS) === 'string').toBe(true);
      }),
    );
  });
});
