import { describe, expect, test } from 'bun:test';
import { celEnv, celMap, isCelError, parse, plan } from '@bufbuild/cel';
import fc from 'fast-check';
import type { AttributeName, Attributes } from '#model/telemetry/expression/attributes.ts';
import { flagBits } from '#model/telemetry/expression/attributes.ts';
import { compileExpression, compileFilter } from '#model/telemetry/expression/evaluate.ts';
import { compileFilterText, compileTagText } from './expression.ts';
import { EXPRESSION_CHARS_MAX, EXPRESSION_NODES_MAX } from './limits.ts';

const VALUES: Partial<Record<AttributeName, string | number | boolean>> = {
  'request.method': 'GET',
  'request.path': '/a?b=1',
  'request.url_path': '/a',
  'request.duration': 1500,
  'request.size': 10,
  'response.code': 503,
  'response.flags': flagBits('UF,URX'),
  'connection.mtls': true,
  'source.namespace': 'shop',
};
const HEADERS: Record<string, string> = { 'x-a': '1', tenant: 'blue' };
const REQUEST: Attributes = {
  value: (name) => VALUES[name],
  header: (of, name) => (of === 'request' ? HEADERS[name] : undefined),
};

function resultOf(text: string) {
  const compiled = compileTagText(text);
  if ('reason' in compiled) throw new Error(compiled.reason);
  return compileExpression(JSON.parse(JSON.stringify(compiled)))(REQUEST);
}

describe('expressions', () => {
  test.each([
    ['response.code >= 500', true],
    ['response.code >= 500 && connection.mtls', true],
    ['response.code == 200 || request.method == "GET"', true],
    ['!(request.path.startsWith("/b"))', true],
    ['request.url_path in ["/a", "/c"]', true],
    ['request.headers["X-A"] == "1"', true],
    ['request.headers.tenant', 'blue'],
    ['request.headers["none"]', undefined],
    ['"none" in request.headers', false],
    ['"x-a" in request.headers', true],
    ['has(request.method) && !has(request.useragent)', true],
    ['has(request.headers.tenant)', true],
    ['request.headers["none"] == "1" || response.code == 503', true],
    ['request.headers["none"] == "1" && response.code == 503', undefined],
    ['request.headers["none"] == "1" && response.code == 200', false],
    ['response.code == 200 ? "good" : "bad"', 'bad'],
    ['request.duration > duration("1s")', true],
    ['response.code / 100', 5],
    ['response.code % 100', 3],
    ['request.size / 0', undefined],
    ['string(response.code) + "!"', '503!'],
    ['int("12") + 1', 13],
    ['int("x") + 1', undefined],
    ['request.path.matches("^/[a-z]\\\\?")', true],
    ['request.method.lowerAscii()', 'get'],
    ['size("aé😀")', 3],
    ['response.flags != 0', true],
    ["'v1'", 'v1'],
  ])('%s', (text, want) => {
    expect(resultOf(text)).toEqual(want as never);
  });

  test.each([
    ['request.', true, 'end of input'],
    ['request', false, 'request.method'],
    ['version1', false, "'version1'"],
    ['xds.cluster_name == "a"', false, 'xds.cluster_name'],
    ['[1, 2].exists(x, x == 1)', false, 'loops'],
    ['request.method == 1', false, 'string and int'],
    ['request.headers', true, 'a filter is true or false'],
    ['response.code', true, 'int'],
    ['request.path.matches(request.method)', false, 'written out'],
    ['request.path.matches("(")', false, 'regular expression'],
    ['request.path.matches("(?=a)")', false, 'regular expression'],
    ['getHours(request.time) == 1', false, 'getHours'],
    ['"a" == "b" ? 1 : "c"', false, 'int and string'],
    [`"${'x'.repeat(EXPRESSION_CHARS_MAX)}" == ""`, false, 'characters'],
    [Array(EXPRESSION_NODES_MAX).fill('true').join('||'), false, 'parts'],
    ['toString == 1', false, 'toString'],
    ['constructor(1)', false, 'constructor'],
    ['request.constructor == 1', false, 'request.constructor'],
  ])('a filter that cannot be judged is told with its reason: %s', (text, malformed, word) => {
    const compiled = compileFilterText(text);
    if (!('reason' in compiled)) throw new Error('it was taken');
    expect(compiled.malformed).toBe(malformed);
    expect(compiled.reason).toContain(word);
  });

  test('a filter lets nothing pass that cannot be decided', () => {
    const compiled = compileFilterText('request.headers["none"] == "1"');
    if ('reason' in compiled) throw new Error(compiled.reason);
    expect(compileFilter(compiled)(REQUEST)).toBe(false);
  });

  test('every expression has the value that the CEL library gives it', () => {
    const bool: fc.Arbitrary<string> = fc.letrec((tie) => ({
      text: fc.oneof(
        fc.constantFrom('request.method', 'request.path', '"GET"', '"/a"', '""', '"é"'),
        fc.constantFrom('request.headers["tenant"]', 'request.headers["none"]'),
        fc.tuple(tie('text'), tie('text')).map(([a, b]) => `(${a} + ${b})`),
      ),
      int: fc.oneof(
        fc.constantFrom('response.code', '1', '500', '0', '-3'),
        fc
          .tuple(tie('int'), fc.constantFrom('+', '-', '*', '/', '%'), tie('int'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        tie('text').map((text) => `size(${text})`),
      ),
      bool: fc.oneof(
        fc.constantFrom('true', 'false', 'connection.mtls'),
        fc
          .tuple(tie('int'), fc.constantFrom('==', '!=', '<', '<=', '>', '>='), tie('int'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc
          .tuple(tie('text'), fc.constantFrom('startsWith', 'endsWith', 'contains'), tie('text'))
          .map(([a, op, b]) => `${a}.${op}(${b})`),
        fc
          .tuple(tie('bool'), fc.constantFrom('&&', '||'), tie('bool'))
          .map(([a, op, b]) => `(${a} ${op} ${b})`),
        fc.tuple(tie('bool'), tie('bool'), tie('bool')).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
        tie('bool').map((a) => `!${a}`),
      ),
    })).bool as fc.Arbitrary<string>;
    const env = celEnv({});
    const context = {
      request: celMap(
        new Map<string, never>(
          Object.entries({
            method: 'GET',
            path: '/a?b=1',
            headers: celMap(new Map(Object.entries(HEADERS))),
          }) as never,
        ),
      ),
      response: celMap(new Map([['code', 503n]])),
      connection: celMap(new Map([['mtls', true]])),
    };
    fc.assert(
      fc.property(bool, (text) => {
        const compiled = compileFilterText(text);
        fc.pre(!('reason' in compiled && compiled.reason.includes('parts')));
        if ('reason' in compiled) throw new Error(compiled.reason);
        const want = plan(env, parse(text))(context as never);
        expect(compileExpression(compiled)(REQUEST)).toEqual(
          isCelError(want) ? undefined : (want as boolean),
        );
      }),
      { numRuns: 500 },
    );
  });
});
