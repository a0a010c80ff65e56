import { describe, expect, test } from 'bun:test';
import type { LogLine } from '#console/api/lists.ts';
import { joinLog, logSlices, matcherOf } from './joined-log.ts';

const line = (at: string, from: LogLine['from'], text: string): LogLine => ({
  at: `2026-01-01T00:00:${at}Z`,
  from,
  text,
});
const lines = [
  line('02.100', 'mesh', 'GET /list 503 2 ms, a → b UF'),
  line('01.000', 'application', 'listening'),
  line('01.500', 'application', 'WARN slow database'),
  line('04.000', 'span', 'waypoint GET /list'),
];
const all = {
  sources: new Set<LogLine['from']>(['application', 'mesh', 'span']),
  show: '',
  hide: '',
};

describe('joinLog', () => {
  test('joinLog orders by time and says how long nothing was said', () => {
    expect(joinLog(lines, all).map((each) => [each.text, each.gapMs, each.level])).toEqual([
      ['listening', 0, 'plain'],
      ['WARN slow database', 500, 'warning'],
      ['GET /list 503 2 ms, a → b UF', 600, 'error'],
      ['waypoint GET /list', 1900, 'plain'],
    ]);
  });

  test('joinLog keeps the sources, texts and patterns that are asked for', () => {
    const texts = (filter: Partial<typeof all>) =>
      joinLog(lines, { ...all, ...filter }).map((each) => each.text);
    expect(texts({ sources: new Set(['application']) })).toEqual([
      'listening',
      'WARN slow database',
    ]);
    expect(texts({ show: '/list' })).toEqual([
      'GET /list 503 2 ms, a → b UF',
      'waypoint GET /list',
    ]);
    expect(texts({ show: '/^get|^warn/' })).toEqual([
      'WARN slow database',
      'GET /list 503 2 ms, a → b UF',
    ]);
    expect(texts({ hide: 'list' })).toEqual(['WARN slow database']);
  });

  test('joinLog keeps a line without a time behind the one before it', () => {
    const trace = { ...line('01.000', 'application', '  at main'), at: '' };
    const joined = joinLog([lines[1], trace, lines[2]], all);
    expect(joined.map((each) => each.text)).toEqual([
      'listening',
      '  at main',
      'WARN slow database',
    ]);
    expect(joined[1].gapMs).toBe(0);
  });

  test('joinLog takes bytes and durations of records for no errors', () => {
    const texts = [
      'tcp a:1 512 B out, 500 B in 503.1 ms, a → b',
      'GET /a no answer 3.0 ms, a → b UF: x',
    ];
    const levels = joinLog(
      texts.map((text) => line('01.000', 'mesh', text)),
      all,
    );
    expect(levels.map((each) => each.level)).toEqual(['plain', 'error']);
  });

  test('matcherOf a broken pattern says so and hides nothing', () => {
    const { matches, problem } = matcherOf('/(/', true);
    expect(problem).not.toBe('');
    expect(matches('anything')).toBe(true);
  });
});

test('logSlices count every line once', () => {
  const slices = logSlices(joinLog(lines, all), 3);
  expect(slices.map((slice) => slice.counts)).toEqual([
    { application: 2, mesh: 0, span: 0 },
    { application: 0, mesh: 1, span: 0 },
    { application: 0, mesh: 0, span: 1 },
  ]);
  expect(slices.map((slice) => slice.errors)).toEqual([0, 1, 0]);
  expect(logSlices([], 3)).toEqual([]);
});
