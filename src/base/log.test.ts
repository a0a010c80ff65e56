import { describe, expect, test } from 'bun:test';
import { FakeClock } from '#test/support/fake-clock.ts';
import { createLogger, LogLevels } from './log.ts';

describe('LogLevels', () => {
  test.each([
    ['info', 'node', 'debug', false],
    ['info', 'node', 'info', true],
    ['off', 'node', 'error', false],
    ['trace', 'node', 'debug', true],
    ['warn,access=debug', 'access', 'debug', true],
    ['warn,access=debug', 'node', 'info', false],
    ['info,node.xds=error', 'node.xds', 'warn', false],
    ['info,node.xds=error', 'node.xds.stream', 'warn', false],
    ['info,node.xds=error', 'node.xdsx', 'warn', true],
    ['node=debug', 'other', 'debug', false],
  ] as const)('%s: scope %s at %s', (text, scope, level, want) => {
    expect(new LogLevels(text).allows(scope, level)).toBe(want);
  });

  test.each(['', 'loud', 'info,', 'info,access', 'a=b=c', 'INFO', 'access='])(
    '%j is refused and changes nothing',
    (text) => {
      const levels = new LogLevels('warn');
      expect(levels.set(text)).toBe(false);
      expect(String(levels)).toBe('warn');
    },
  );

  test('a logger and its children follow a change while they run; reset goes back', () => {
    const lines: string[] = [];
    const levels = new LogLevels('info');
    const write = (line: string) => void lines.push(line);
    const log = createLogger('node', { clock: new FakeClock(), level: levels, write }).child('xds');
    log.debug('one');
    levels.set('info,node.xds=debug');
    log.debug('two');
    levels.reset();
    log.debug('three');
    expect(lines.map((line) => line.trim().split('\t').at(-1))).toEqual(['two']);
  });
});
