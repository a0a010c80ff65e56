import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ScriptedNames } from '#test/support/scripted-names.ts';
import {
  RESOLVE_RETRY_MAX_MS,
  RESOLVE_RETRY_MIN_MS,
  RESOLVE_TTL_CEILING_MS,
  RESOLVE_TTL_FLOOR_MS,
} from '../limits.ts';
import { NameCache } from './name-cache.ts';

function setup() {
  const clock = new FakeClock();
  const service = new ScriptedNames();
  const cache = new NameCache({ clock, random: seededRandom(3), service });
  let changes = 0;
  const watch = cache.watch('DB.test', () => {
    changes += 1;
  });
  return { clock, service, cache, watch, changes: () => changes };
}

describe('NameCache', () => {
  test('asks once for all who watch a name, and lets go of it with the last', () => {
    const { clock, service, cache, watch } = setup();
    const other = cache.watch('db.test', () => undefined);
    expect(service.asked).toEqual(['db.test']);
    service.answer('db.test', ['198.18.0.1']);
    expect(other.addresses).toEqual(['198.18.0.1']);
    watch.cancel();
    expect(cache.size).toBe(1);
    other.cancel();
    other.cancel();
    expect([cache.size, clock.pending]).toEqual([0, 0]);
  });

  test('an answer that comes when nobody watches any more changes nothing', () => {
    const { clock, service, watch, changes } = setup();
    watch.cancel();
    service.answer('db.test', ['198.18.0.1']);
    expect([changes(), clock.pending]).toEqual([0, 0]);
  });

  test.each([
    ['as long as it says', 60_000, 60_000],
    ['not below the floor', 0, RESOLVE_TTL_FLOOR_MS],
    ['not above the ceiling', 86_400_000, RESOLVE_TTL_CEILING_MS],
  ])('keeps an answer %s', (_title, ttlMs, waitMs) => {
    const { clock, service } = setup();
    service.answer('db.test', ['198.18.0.1'], ttlMs);
    clock.advance(waitMs - 1);
    expect(service.asked).toHaveLength(1);
    clock.advance(1);
    expect(service.asked).toHaveLength(2);
  });

  test('tells of the first answer and of other addresses, not of another order', () => {
    const { clock, service, watch, changes } = setup();
    expect(watch.isPending).toBe(true);
    const next = (addresses: string[]) => {
      service.answer('db.test', addresses, 0);
      clock.advance(RESOLVE_TTL_FLOOR_MS);
      return changes();
    };
    expect(next(['198.18.0.1', '198.18.0.2'])).toBe(1);
    expect(next(['198.18.0.2', '198.18.0.1'])).toBe(1);
    expect(watch.addresses).toEqual(['198.18.0.2', '198.18.0.1']);
    expect(next(['198.18.0.3'])).toBe(2);
  });

  test('a failure keeps the last good answer and is tried again, ever more rarely', () => {
    const { clock, service, watch, changes } = setup();
    service.answer('db.test', ['198.18.0.1'], 0);
    clock.advance(RESOLVE_TTL_FLOOR_MS);
    const waits: number[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      service.fail('db.test', 'the name server failed');
      const asked = service.asked.length;
      let waitedMs = 0;
      while (service.asked.length === asked) {
        clock.advance(100);
        waitedMs += 100;
      }
      waits.push(waitedMs);
    }
    expect(watch.addresses).toEqual(['198.18.0.1']);
    expect(watch.failure).toBe('the name server failed');
    expect(changes()).toBe(1);
    for (const [turn, waitedMs] of waits.entries()) {
      const boundMs = Math.min(RESOLVE_RETRY_MAX_MS, RESOLVE_RETRY_MIN_MS * 2 ** turn);
      expect(waitedMs).toBeLessThanOrEqual(boundMs + 100);
      expect(waitedMs).toBeGreaterThanOrEqual(boundMs / 2);
    }
    service.answer('db.test', ['198.18.0.1']);
    expect(watch.failure).toBeUndefined();
  });

  test('a first failure is told, too: who waits need not wait on', () => {
    const { service, watch, changes } = setup();
    service.fail('db.test');
    expect([changes(), watch.isPending, watch.failure]).toEqual([1, false, 'no such name']);
  });
});
