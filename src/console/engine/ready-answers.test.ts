import { describe, expect, test } from 'bun:test';
import type { GraphRequest } from '../console-data.ts';
import { ReadyAnswers } from './ready-answers.ts';

const MIB = 1024 * 1024;
const ask = (focus?: string) => ({ windowSeconds: 60, focus }) as GraphRequest;

/** Answers of so many bytes, and what was made of them. */
function rig(bytes = 1) {
  const made: string[] = [];
  const answers = new ReadyAnswers(({ focus }, packing) => {
    if (focus === 'broken') throw new Error('cannot be made');
    made.push(`${focus ?? 'all'} ${packing}`);
    return new Uint8Array(bytes);
  });
  const prepareAll = () => {
    while (answers.prepare());
    return made.splice(0);
  };
  return { answers, made, prepareAll };
}

describe('ReadyAnswers', () => {
  test('one answer serves all who ask the same within a second, each packing its own', () => {
    const { answers, made } = rig();
    const first = answers.get(ask(), 'zstd');
    expect(answers.get(ask(), 'zstd')).toBe(first);
    answers.get(ask(), 'gzip');
    answers.get(ask('a'), 'zstd');
    expect(made).toEqual(['all zstd', 'all gzip', 'a zstd']);
    answers.nextSecond();
    expect(answers.get(ask(), 'zstd')).not.toBe(first);
  });

  test('what is asked again and again is made ahead, until nobody asks; what was asked once is not', () => {
    const { answers, made, prepareAll } = rig();
    answers.get(ask('once'), 'zstd');
    answers.get(ask(), 'zstd');
    answers.nextSecond();
    expect(made.splice(0)).toEqual(['once zstd', 'all zstd']);
    expect(prepareAll()).toEqual([]);
    answers.get(ask(), 'zstd');
    made.length = 0;
    for (const want of [['all zstd'], ['all zstd'], [], []]) {
      answers.nextSecond();
      expect(prepareAll()).toEqual(want);
    }
    // Who comes back after a pause is a new one.
    answers.get(ask(), 'zstd');
    made.length = 0;
    answers.nextSecond();
    expect(prepareAll()).toEqual([]);
  });

  test('no more than four are made ahead a second, and none that cannot be held', () => {
    const many = rig();
    const large = rig(13 * MIB);
    for (let second = 0; second < 2; second++) {
      for (let each = 0; each < 9; each++) many.answers.get(ask(`${each}`), 'zstd');
      for (const focus of ['a', 'b']) large.answers.get(ask(focus), 'identity');
      many.answers.nextSecond();
      large.answers.nextSecond();
    }
    many.made.length = 0;
    expect(many.prepareAll()).toHaveLength(4);
    large.made.length = 0;
    expect(large.prepareAll()).toEqual(['a identity']);
  });

  test('what cannot be answered is not made ahead', () => {
    const { answers, prepareAll } = rig();
    for (let second = 0; second < 3; second++) {
      expect(() => answers.get(ask('broken'), 'zstd')).toThrow('cannot be made');
      answers.nextSecond();
    }
    expect(prepareAll()).toEqual([]);
  });

  test('forget: the mesh is another, and everything is made anew', () => {
    const { answers, made } = rig();
    answers.get(ask(), 'zstd');
    answers.forget();
    answers.get(ask(), 'zstd');
    expect(made).toHaveLength(2);
  });
});
