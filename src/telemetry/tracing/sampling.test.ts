import { describe, expect, test } from 'bun:test';
import { seededRandom } from '#base/random.ts';
import { decideSampling, markSampled, type SamplingFacts } from './sampling.ts';

const FACTS: SamplingFacts = {
  parent: undefined,
  isForced: false,
  requestId: undefined,
  percent: 1,
  fraction: 0.5,
};
/** Its first eight digits say 50 of 10,000: half a percent. */
const LOW = '00000032-1111-4111-8111-111111111111';
const HIGH = '0000270f-1111-4111-8111-111111111111';

describe('decideSampling', () => {
  const rows: { title: string; facts: Partial<SamplingFacts>; sampled: boolean; reason: string }[] =
    [
      {
        title: 'a parent that is sampled',
        facts: { parent: true, percent: 0 },
        sampled: true,
        reason: 'parent',
      },
      {
        title: 'a parent that is not',
        facts: { parent: false, percent: 100 },
        sampled: false,
        reason: 'parent',
      },
      {
        title: 'a parent wins over force',
        facts: { parent: false, isForced: true },
        sampled: false,
        reason: 'parent',
      },
      { title: 'forced', facts: { isForced: true, percent: 0 }, sampled: true, reason: 'forced' },
      {
        title: 'an id that falls into the share',
        facts: { requestId: LOW },
        sampled: true,
        reason: 'request-id',
      },
      {
        title: 'an id that does not',
        facts: { requestId: HIGH, fraction: 0 },
        sampled: false,
        reason: 'request-id',
      },
      {
        title: 'an id at 100 percent',
        facts: { requestId: HIGH, percent: 100 },
        sampled: true,
        reason: 'request-id',
      },
      {
        title: 'an id at 0 percent',
        facts: { requestId: LOW.replace('32', '00'), percent: 0 },
        sampled: false,
        reason: 'request-id',
      },
      {
        title: 'an id that says so',
        facts: { requestId: markSampled(HIGH), percent: 0 },
        sampled: true,
        reason: 'request-id',
      },
      {
        title: 'an id that was forced',
        facts: { requestId: HIGH.replace('-4', '-a') },
        sampled: true,
        reason: 'request-id',
      },
      {
        title: 'an id of another kind leaves it to chance',
        facts: { requestId: 'req-17', fraction: 0.009 },
        sampled: true,
        reason: 'chance',
      },
      {
        title: 'an id in upper case too',
        facts: { requestId: 'ABCDEF00-1111-4111-8111-111111111111' },
        sampled: false,
        reason: 'chance',
      },
      {
        title: 'chance at 100 percent',
        facts: { percent: 100, fraction: 0.9999 },
        sampled: true,
        reason: 'chance',
      },
      {
        title: 'chance at 0 percent',
        facts: { percent: 0, fraction: 0 },
        sampled: false,
        reason: 'chance',
      },
    ];
  for (const { title, facts, sampled, reason } of rows) {
    test(title, () => {
      expect(decideSampling({ ...FACTS, ...facts })).toEqual({ sampled, reason } as never);
    });
  }

  test('takes its share of random ids', () => {
    const random = seededRandom(7);
    const ids = Array.from({ length: 20_000 }, () => random.uuid());
    const taken = ids.filter(
      (requestId) => decideSampling({ ...FACTS, requestId, percent: 10 }).sampled,
    );
    expect(Math.abs(taken.length / ids.length - 0.1)).toBeLessThan(0.01);
  });
});

describe('markSampled', () => {
  test('is told by the next proxy, is idempotent, and leaves other ids alone', () => {
    const marked = markSampled(HIGH);
    expect(marked).toBe('0000270f-1111-9111-8111-111111111111');
    expect(markSampled(marked)).toBe(marked);
    expect(markSampled('req-17')).toBe('req-17');
  });
});
