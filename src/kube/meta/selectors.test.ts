import { describe, expect, test } from 'bun:test';
import { matchFields, parseFieldSelector } from './field-selector.ts';
import {
  compileLabelSelector,
  formatLabelSelector,
  matchLabels,
  parseLabelSelector,
  SelectorSyntaxError,
} from './label-selector.ts';

const LABELS = { app: 'web', tier: 'front', size: '10', 'example.com/zone': 'a' };

describe('parseLabelSelector and matchLabels', () => {
  const rows: [selector: string, matches: boolean][] = [
    ['', true],
    ['app=web', true],
    ['app==web', true],
    ['app = web , tier=front', true],
    ['app=api', false],
    ['app=web,tier=back', false],
    ['app!=api', true],
    ['absent!=x', true],
    ['app in (api, web)', true],
    ['app in (api)', false],
    ['absent in (a)', false],
    ['app notin (api,db)', true],
    ['absent notin (a)', true],
    ['app notin (web)', false],
    ['tier', true],
    ['absent', false],
    ['!absent', true],
    ['!tier', false],
    ['size>9', true],
    ['size<10', false],
    ['example.com/zone=a', true],
    ['absent=', false],
    ['toString', false],
  ];
  for (const [selector, matches] of rows)
    test(`"${selector}" ${matches ? 'matches' : 'does not match'}`, () => {
      expect(matchLabels(parseLabelSelector(selector), LABELS)).toBe(matches);
    });

  for (const selector of [
    'app in (a',
    'a)b',
    '-app=x',
    'app=x y',
    'a>b',
    'app=a,,b=c',
    'a/b/c=d',
    `app=${'x'.repeat(64)}`,
  ])
    test(`"${selector.slice(0, 20)}" is refused`, () => {
      expect(() => parseLabelSelector(selector)).toThrow(SelectorSyntaxError);
    });
});

test('compileLabelSelector joins labels and expressions; formatLabelSelector writes what parses back', () => {
  const selector = {
    matchLabels: { app: 'web' },
    matchExpressions: [
      { key: 'tier', operator: 'In' as const, values: ['front', 'edge'] },
      { key: 'gone', operator: 'DoesNotExist' as const },
    ],
  };
  const compiled = compileLabelSelector(selector);
  expect(matchLabels(compiled, LABELS)).toBe(true);
  expect(formatLabelSelector(selector)).toBe('app=web,tier in (front,edge),!gone');
  expect(parseLabelSelector(formatLabelSelector(selector))).toEqual(compiled);
});

describe('parseFieldSelector and matchFields', () => {
  const object = {
    metadata: { name: 'a,b' },
    status: { phase: 'Running' },
    spec: { hostNetwork: true },
  };
  const rows: [selector: string, matches: boolean][] = [
    ['', true],
    ['status.phase=Running', true],
    ['status.phase!=Running', false],
    ['status.phase!=Failed,spec.hostNetwork=true', true],
    ['spec.nodeName=', true],
    ['spec.nodeName!=', false],
    ['metadata.name=a\\,b', true],
  ];
  for (const [selector, matches] of rows)
    test(`"${selector}" ${matches ? 'matches' : 'does not match'}`, () => {
      expect(matchFields(parseFieldSelector(selector), object)).toBe(matches);
    });
  test('text without a sign is refused', () => {
    expect(() => parseFieldSelector('status.phase')).toThrow(SelectorSyntaxError);
  });
});
