import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { checkRules } from './cel/rules.ts';
import { fillDefaults } from './defaults.ts';
import { unknownMembers } from './prune.ts';
import type { Schema } from './schema.ts';
import { checkStructural } from './structural.ts';
import { validateValue } from './validate.ts';

const text: Schema = { type: 'string' };

function show(schema: Schema, value: unknown): string[] {
  return validateValue(schema, value, 'spec').map(({ field, message }) => `${field}: ${message}`);
}

interface Row {
  title: string;
  schema: Schema;
  value: unknown;
  want: string[];
}

const rows: Row[] = [
  {
    title: 'accepts a number for an integer-valued number',
    schema: { type: 'number' },
    value: 3,
    want: [],
  },
  {
    title: 'names both types',
    schema: { type: 'integer' },
    value: 'x',
    want: ['spec: Invalid value: "string": spec in body must be of type integer: "string"'],
  },
  {
    title: 'refuses null',
    schema: { type: 'object' },
    value: null,
    want: ['spec: Invalid value: "null": spec in body must be of type object: "null"'],
  },
  {
    title: 'takes null where nullable',
    schema: { type: 'string', nullable: true },
    value: null,
    want: [],
  },
  {
    title: 'asks for required members',
    schema: { type: 'object', required: ['host'], properties: { host: text } },
    value: {},
    want: ['spec.host: Required value'],
  },
  {
    title: 'lists the supported values',
    schema: { type: 'string', enum: ['A', 'B'] },
    value: 'X',
    want: ['spec: Unsupported value: "X": supported values: "A", "B"'],
  },
  {
    title: 'bounds numbers',
    schema: { type: 'integer', minimum: 0, maximum: 5 },
    value: -1,
    want: ['spec: Invalid value: -1: spec in body should be greater than or equal to 0'],
  },
  {
    title: 'checks int32',
    schema: { type: 'integer', format: 'int32' },
    value: 2 ** 31,
    want: ['spec: Invalid value: 2147483648: spec in body must be of type int32: "2147483648"'],
  },
  {
    title: 'counts runes',
    schema: { type: 'string', minLength: 2, maxLength: 2 },
    value: '😀',
    want: ['spec: Invalid value: "😀": spec in body should be at least 2 chars long'],
  },
  {
    title: 'matches patterns',
    schema: { type: 'string', pattern: '^[a-z]+$' },
    value: 'A',
    want: [`spec: Invalid value: "A": spec in body should match '^[a-z]+$'`],
  },
  {
    title: 'checks formats',
    schema: { type: 'string', format: 'date-time' },
    value: 'yesterday',
    want: ['spec: Invalid value: "yesterday": spec in body must be of type date-time: "yesterday"'],
  },
  {
    title: 'bounds lists',
    schema: { type: 'array', items: text, maxItems: 1 },
    value: ['a', 'b'],
    want: ['spec: Too many: 2: must have at most 1 items'],
  },
  {
    title: 'finds duplicates in sets',
    schema: { type: 'array', items: text, 'x-kubernetes-list-type': 'set' },
    value: ['a', 'a'],
    want: ['spec[1]: Duplicate value: "a"'],
  },
  {
    title: 'finds duplicate keys',
    schema: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items: { type: 'object', properties: { name: text, n: { type: 'integer' } } },
    },
    value: [
      { name: 'a', n: 1 },
      { name: 'a', n: 2 },
    ],
    want: ['spec[1]: Duplicate value: {"name":"a"}'],
  },
  {
    title: 'takes an integer or a string',
    schema: { 'x-kubernetes-int-or-string': true },
    value: true,
    want: [
      'spec: Invalid value: "boolean": spec in body must be of type integer,string: "boolean"',
    ],
  },
  {
    title: 'wants exactly one alternative',
    schema: {
      type: 'object',
      properties: { a: text, b: text },
      oneOf: [{ required: ['a'] }, { required: ['b'] }],
    },
    value: { a: '', b: '' },
    want: [
      'spec: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives',
    ],
  },
  {
    title: 'bounds properties from below',
    schema: { type: 'object', minProperties: 1, additionalProperties: text },
    value: {},
    want: ['spec: Invalid value: {}: spec in body should have at least 1 properties'],
  },
];

describe('validateValue', () => {
  for (const row of rows) {
    test(row.title, () => expect(show(row.schema, row.value)).toEqual(row.want));
  }

  test('stops at a bound of findings', () => {
    const schema: Schema = { type: 'array', items: text };
    expect(show(schema, new Array(5000).fill(1)).length).toBeLessThanOrEqual(101);
  });
});

describe('CEL rules', () => {
  const ruleRows: {
    title: string;
    schema: Schema;
    value: unknown;
    old?: unknown;
    want: string[];
  }[] = [
    {
      title: 'report the declared type and the message',
      schema: {
        type: 'object',
        'x-kubernetes-validations': [{ rule: 'has(self.a)', message: 'a must be set' }],
      },
      value: {},
      want: [': Invalid value: "object": a must be set'],
    },
    {
      title: 'compute their message',
      schema: {
        type: 'integer',
        'x-kubernetes-validations': [
          { rule: 'self < 3', messageExpression: '"got " + string(self)' },
        ],
      },
      value: 4,
      want: [': Invalid value: "integer": got 4'],
    },
    {
      title: 'say why they could not run',
      schema: {
        type: 'string',
        'x-kubernetes-validations': [{ rule: 'int(self) > 0', message: 'positive' }],
      },
      value: 'x',
      want: [
        `: Invalid value: "string": type conversion error from 'string' to 'int' evaluating rule: positive`,
      ],
    },
    {
      title: 'see the old value of a transition',
      schema: {
        type: 'string',
        'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'immutable' }],
      },
      value: 'b',
      old: 'a',
      want: [': Invalid value: "string": immutable'],
    },
    {
      title: 'skip transitions on create',
      schema: {
        type: 'string',
        'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'immutable' }],
      },
      value: 'b',
      want: [],
    },
    {
      title: 'correlate items of keyed lists',
      schema: {
        type: 'array',
        'x-kubernetes-list-type': 'map',
        'x-kubernetes-list-map-keys': ['k'],
        items: {
          type: 'object',
          properties: { k: text, v: text },
          'x-kubernetes-validations': [{ rule: 'self.v == oldSelf.v', message: 'fixed' }],
        },
      },
      value: [
        { k: 'b', v: '1' },
        { k: 'a', v: '2' },
      ],
      old: [
        { k: 'a', v: '1' },
        { k: 'b', v: '1' },
      ],
      want: ['[1]: Invalid value: "object": fixed'],
    },
    {
      title: 'escape reserved names',
      schema: {
        type: 'object',
        properties: { namespace: text, 'a-b': text },
        'x-kubernetes-validations': [{ rule: 'self.__namespace__ == self.a__dash__b' }],
      },
      value: { namespace: 'x', 'a-b': 'x' },
      want: [],
    },
    {
      title: 'know the Kubernetes functions',
      schema: {
        type: 'string',
        'x-kubernetes-validations': [
          {
            rule: `isURL(self) && url(self).getHost() == 'h:1' && !isIP(self) && quantity('1Ki').isGreaterThan(quantity('1k')) && [1, 2].sum() == 3 && sets.contains([1, 2], [1]) && self.find('[0-9]') == '1'`,
          },
        ],
      },
      value: 'http://h:1/p',
      want: [],
    },
    {
      title: 'end on their budget',
      schema: {
        type: 'array',
        items: { type: 'integer' },
        'x-kubernetes-validations': [
          { rule: 'self.all(a, self.all(b, self.all(c, a + b + c >= 0)))', message: 'slow' },
        ],
      },
      value: new Array(400).fill(1),
      want: [
        ': Invalid value: "array": operation cancelled: actual cost limit exceeded evaluating rule: slow',
      ],
    },
  ];
  for (const row of ruleRows) {
    test(row.title, () => {
      const found = checkRules(row.schema, row.value, row.old);
      expect(found.map(({ field, message }) => `${field}: ${message}`)).toEqual(row.want);
    });
  }
});

describe('checkStructural', () => {
  const base = (schema: Schema): Schema => ({ type: 'object', properties: { spec: schema } });
  const structuralRows: [title: string, schema: Schema, field: string][] = [
    ['wants a type', {}, 'x.properties[spec].type'],
    ['wants items', { type: 'array' }, 'x.properties[spec].items'],
    [
      'wants list keys',
      { type: 'array', items: { type: 'object' }, 'x-kubernetes-list-type': 'map' },
      'x.properties[spec].x-kubernetes-list-map-keys',
    ],
    ['refuses bad patterns', { type: 'string', pattern: '(' }, 'x.properties[spec].pattern'],
    [
      'refuses rules that do not parse',
      { type: 'string', 'x-kubernetes-validations': [{ rule: 'self ==' }] },
      'x.properties[spec].x-kubernetes-validations[0].rule',
    ],
    [
      'refuses unknown functions',
      { type: 'string', 'x-kubernetes-validations': [{ rule: 'nope(self)' }] },
      'x.properties[spec].x-kubernetes-validations[0].rule',
    ],
    [
      'refuses unknown variables',
      { type: 'string', 'x-kubernetes-validations': [{ rule: 'other == 1' }] },
      'x.properties[spec].x-kubernetes-validations[0].rule',
    ],
  ];
  for (const [title, schema, field] of structuralRows) {
    test(title, () =>
      expect(checkStructural(base(schema), 'x').map((finding) => finding.field)).toEqual([field]),
    );
  }
  test('accepts a structural schema', () => expect(checkStructural(base(text), 'x')).toEqual([]));
});

const schemaOf = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom<Schema>(
      text,
      { type: 'integer', default: 1 },
      { type: 'boolean' },
      { 'x-kubernetes-int-or-string': true },
    ),
    fc.record({ type: fc.constant('array' as const), items: tie('schema') }),
    fc.record({
      type: fc.constant('object' as const),
      properties: fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('schema')),
    }),
  ),
}));

describe('prune, defaults and validate together', () => {
  test('never throw, and pruning twice finds nothing more', () => {
    fc.assert(
      fc.property(schemaOf.schema, fc.jsonValue(), (schema, raw) => {
        const value = structuredClone(raw);
        unknownMembers(schema, value, { prune: true });
        expect(unknownMembers(schema, value, { prune: false })).toEqual([]);
        fillDefaults(schema, value);
        const once = JSON.stringify(value);
        fillDefaults(schema, value);
        expect(JSON.stringify(value)).toBe(once);
        expect(Array.isArray(validateValue(schema, value))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});
