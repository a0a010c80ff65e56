import { describe, expect, test } from 'bun:test';
import { type Random, seededRandom, systemRandom } from './random.ts';

const rows: [title: string, random: Random][] = [
  ['systemRandom', systemRandom],
  ['seededRandom', seededRandom(7)],
];

describe.each(rows)('%s', (_title, random) => {
  test('hex gives as many digits as were asked for, lower case, and none twice', () => {
    for (const digits of [1, 15, 16, 32, 4095, 4096, 10_000])
      expect(random.hex(digits)).toMatch(new RegExp(`^[0-9a-f]{${digits}}$`));
    // More than are drawn ahead at a time.
    const ids = Array.from({ length: 2000 }, () => random.hex(16));
    expect(new Set(ids).size).toBe(2000);
  });

  test('hex has every digit at every place about as often', () => {
    const count = 8000;
    const seen = new Map<string, number>();
    for (let index = 0; index < count; index++)
      for (const [at, digit] of [...random.hex(16)].entries())
        seen.set(`${at}${digit}`, (seen.get(`${at}${digit}`) ?? 0) + 1);
    expect(seen.size).toBe(16 * 16);
    // 500 expected, standard deviation 22.
    for (const times of seen.values()) expect(Math.abs(times - count / 16)).toBeLessThan(150);
  });

  test('uuid is one of version 4', () => {
    const form = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
    expect(random.uuid()).toMatch(form);
  });
});
