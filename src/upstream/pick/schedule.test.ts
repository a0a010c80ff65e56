import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { seededRandom } from '#base/random.ts';
import { Schedule } from './schedule.ts';
import { WeightedDraw } from './weighted-draw.ts';

const weights = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 });

test('Schedule gives each item its share at any moment', () => {
  fc.assert(
    fc.property(weights, (list) => {
      const total = list.reduce((sum, weight) => sum + weight, 0);
      const schedule = new Schedule(
        list.map((_, index) => index),
        (index) => list[index],
      );
      const counts = list.map(() => 0);
      for (let turn = 1; turn <= total; turn += 1) {
        counts[schedule.next()] += 1;
        // Turn t stands for at most t + n shares: each item may have been rounded down by one.
        for (const [index, weight] of list.entries())
          expect(counts[index]).toBeLessThanOrEqual(((turn + list.length) * weight) / total + 1);
      }
      for (const [index, weight] of list.entries())
        expect(Math.abs(counts[index] - weight)).toBeLessThanOrEqual(1);
    }),
  );
});

test('WeightedDraw draws by weight', () => {
  fc.assert(
    fc.property(weights, fc.nat(), (list, seed) => {
      const random = seededRandom(seed);
      const draw = new WeightedDraw(
        list.map((_, index) => index),
        list,
      );
      const counts = list.map(() => 0);
      for (let turn = 0; turn < 4000; turn += 1) counts[draw.draw(random)] += 1;
      const total = list.reduce((sum, weight) => sum + weight, 0);
      for (const [index, weight] of list.entries())
        expect(Math.abs(counts[index] / 4000 - weight / total)).toBeLessThan(0.05);
    }),
    { numRuns: 30 },
  );
});
