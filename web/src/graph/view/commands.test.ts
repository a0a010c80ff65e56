import { expect, test } from 'bun:test';
import { commandsOf } from './commands.ts';

const PLAIN = { type: 'workload', focus: undefined, hasIdle: false, hasWaypoints: false } as const;

test('commandsOf says nothing of what is the default', () => {
  const scope = { namespaces: [], window: '60s', at: undefined };
  expect(commandsOf(scope, PLAIN)).toEqual(['tulle graph', 'tulle graph -o json']);
});

test('commandsOf prints what is shown: namespaces, type, window, moment, neighbourhood, idle and waypoints', () => {
  const scope = { namespaces: ['shop', 'media'], window: '5m', at: '2026-06-01T12:00:00Z' };
  const options = {
    type: 'app',
    focus: 'app/shop/cart',
    hasIdle: true,
    hasWaypoints: true,
  } as const;
  expect(commandsOf(scope, options)[0]).toBe(
    'tulle graph -n shop -n media --type app --window 5m --at 2026-06-01T12:00:00Z --focus app/shop/cart --idle --waypoints',
  );
});
