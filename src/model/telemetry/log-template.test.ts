import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import {
  compileJsonTemplate,
  compileTextTemplate,
  jsonTemplateProblem,
  type LogFacts,
  type LogTemplateOptions,
  logTemplateProblem,
} from './log-template.ts';
import type { JsonTemplate } from './settings.ts';

const VALUES: Record<string, string | number> = {
  RESPONSE_CODE: 200,
  BYTES_SENT: 0,
  PROTOCOL: 'HTTP/1.1',
  TRACE_ID: '4bf92f3577b34da6a3ce929d0e0e4736',
  DOWNSTREAM_REMOTE_ADDRESS: '198.18.1.5:41000',
};
const HEADERS: Record<string, string> = {
  'request :path': '/x?y=1',
  'request user-agent': 'curl/8',
  'response server': 'echo',
  'trailer grpc-status': '0',
};
const FACTS: LogFacts = {
  value: (operator) => VALUES[operator],
  header: (of, name) => HEADERS[`${of} ${name}`],
  environment: (name) => (name === 'REGION' ? 'north' : undefined),
  startMs: Date.UTC(2026, 0, 2, 3, 4, 5, 7),
};
const OPTIONS: LogTemplateOptions = { omitsEmpty: false, clean: (text) => text };

describe('compileTextTemplate', () => {
  const rows: [template: string, want: string][] = [
    ['plain', 'plain\n'],
    ['ended\n', 'ended\n'],
    ['', '\n'],
    ['%RESPONSE_CODE% %PROTOCOL%', '200 HTTP/1.1\n'],
    ['100%% %BYTES_SENT%', '100% 0\n'],
    ['%REQ(:PATH)%', '/x?y=1\n'],
    ['%REQ(X-NONE?USER-AGENT)%', 'curl/8\n'],
    ['%REQ(X-NONE)% %REQ(X-NONE?X-NEITHER)%', '- -\n'],
    ['%REQ_WITHOUT_QUERY(X-ENVOY-ORIGINAL-PATH?:PATH)%', '/x\n'],
    ['%REQ(USER-AGENT):4%', 'curl\n'],
    ['%RESP(server)%/%TRAILER(GRPC-STATUS)%', 'echo/0\n'],
    ['%START_TIME%', '2026-01-02T03:04:05.007Z\n'],
    ['%START_TIME(%Y/%m/%d %s.%3f)%', '2026/01/02 1767323045.007\n'],
    ['%ENVIRONMENT(REGION)%-%ENVIRONMENT(ZONE)%', 'north--\n'],
    ['%TRACE_ID:8% %SPAN_ID%', '4bf92f35 -\n'.replace('4bf92f35', '4bf92f35')],
    ['%UPSTREAM_HOST%', '-\n'],
  ];
  for (const [template, want] of rows) {
    test(JSON.stringify(template), () => {
      expect(compileTextTemplate(template, OPTIONS)(FACTS)).toBe(want);
    });
  }

  test('what is not there is nothing where that is asked for', () => {
    const options = { ...OPTIONS, omitsEmpty: true };
    expect(compileTextTemplate('[%UPSTREAM_HOST%]', options)(FACTS)).toBe('[]\n');
  });

  test('what is not known stays as it is', () => {
    expect(compileTextTemplate('%NO_SUCH%', OPTIONS)(FACTS)).toBe('%NO_SUCH%\n');
  });
});

describe('logTemplateProblem', () => {
  const rows: [template: string, want: string | undefined][] = [
    ['%RESPONSE_CODE%', undefined],
    ['100 %', 'the % at position 4 begins no operator: write %% for a percent'],
    ['%NO_SUCH%', 'operator %NO_SUCH% is not known'],
    ['%REQ%', 'operator %REQ% is not known'],
    ['%REQ()%', 'operator %REQ()% is not known'],
    ['%RESPONSE_CODE(1)%', 'operator %RESPONSE_CODE(1)% is not known'],
    ['%response_code%', 'the % at position 0 begins no operator: write %% for a percent'],
    ['%DYNAMIC_METADATA(a:b)%', 'operator %DYNAMIC_METADATA(a:b)% is not known'],
  ];
  test.each(rows)('%s', (template, want) =>
    expect(logTemplateProblem(template)).toBe(want as string),
  );

  test('tells which member of JSON is meant', () => {
    const template: JsonTemplate = { a: 1, b: { c: ['%PROTOCOL%', '%NO%'] } };
    expect(jsonTemplateProblem(template)).toBe('b: c: 1: operator %NO% is not known');
    expect(jsonTemplateProblem({ a: '%PROTOCOL%' })).toBeUndefined();
  });

  test('no template makes it, or what is compiled of it, throw', () => {
    const operators = fc.constantFrom(
      '%',
      '%%',
      '%REQ(',
      ')%',
      ':4%',
      '%PROTOCOL%',
      '%START_TIME(%Y',
      'x',
    );
    const template = fc.array(fc.oneof(operators, fc.string({ maxLength: 5 })), { maxLength: 8 });
    const property = fc.property(template, (parts) => {
      const text = parts.join('');
      logTemplateProblem(text);
      expect(compileTextTemplate(text, OPTIONS)(FACTS)).toEndWith('\n');
      const line = compileJsonTemplate({ a: text }, OPTIONS)(FACTS);
      expect(Object.keys(JSON.parse(line))).toEqual(['a']);
    });
    fc.assert(property, { numRuns: 500 });
  });
});

describe('compileJsonTemplate', () => {
  const of = (template: JsonTemplate, options = OPTIONS) =>
    JSON.parse(compileJsonTemplate(template, options)(FACTS));

  test('values of one operator keep their type, others are text; literals stay', () => {
    expect(
      of({
        code: '%RESPONSE_CODE%',
        sent: '%BYTES_SENT%',
        line: '%PROTOCOL% %RESPONSE_CODE%',
        fixed: 'a"b',
        number: 7,
        flag: true,
        none: null,
        deep: { agent: '%REQ(user-agent)%', list: ['%TRACE_ID%', 1] },
      }),
    ).toEqual({
      code: 200,
      sent: 0,
      line: 'HTTP/1.1 200',
      fixed: 'a"b',
      number: 7,
      flag: true,
      none: null,
      deep: { agent: 'curl/8', list: [VALUES.TRACE_ID, 1] },
    });
  });

  test('what is not there is null, or left out', () => {
    const template = { host: '%UPSTREAM_HOST%', code: '%RESPONSE_CODE%' };
    expect(of(template)).toEqual({ host: null, code: 200 });
    expect(of(template, { ...OPTIONS, omitsEmpty: true })).toEqual({ code: 200 });
  });
});
