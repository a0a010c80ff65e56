import { describe, expect, test } from 'bun:test';
import { ANSWER_PIECE_CHARS } from '../limits.ts';
import { jsonAnswer, list, value } from './json-stream.ts';

describe('jsonAnswer', () => {
  test.each([
    ['nothing', {}, {}],
    [
      'values and lists',
      { total: value(3), items: list([1, { a: 'b' }]) },
      { total: 3, items: [1, { a: 'b' }] },
    ],
    ['an empty list', { items: list([]) }, { items: [] }],
    ['a value that is not there', { gone: value(undefined), here: value(null) }, { here: null }],
  ])('%s', async (_title, members, want) => {
    const answer = jsonAnswer(members);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(await answer.json()).toEqual(want);
  });

  test('10,000 items are rendered piece by piece, as the reader takes them, other work between', async () => {
    let rendered = 0;
    function* items() {
      for (let index = 0; index < 10_000; index += 1) {
        rendered += 1;
        yield { index, text: 'x'.repeat(200) };
      }
    }
    const reader = jsonAnswer({ items: list(items()) }).body!.getReader();
    const item = 230;
    let turns = 0;
    let pieces = 0;
    let running = true;
    const tick = () => {
      turns += 1;
      if (running) setImmediate(tick);
    };
    setImmediate(tick);
    for (let done = false; !done; ) {
      const before = rendered;
      const { value: piece, done: over } = await reader.read();
      done = over;
      if (piece === undefined) continue;
      pieces += 1;
      expect(piece.length).toBeLessThan(ANSWER_PIECE_CHARS + item);
      // The stream renders one piece ahead at most.
      expect((rendered - before) * 200).toBeLessThanOrEqual(2 * (ANSWER_PIECE_CHARS + item));
    }
    running = false;
    expect(rendered).toBe(10_000);
    expect(pieces).toBeGreaterThan(60);
    expect(turns).toBeGreaterThanOrEqual(pieces);
  });

  test('a reader that goes away ends the rendering', async () => {
    let ended = false;
    function* endless() {
      try {
        for (;;) yield 'x'.repeat(1000);
      } finally {
        ended = true;
      }
    }
    const reader = jsonAnswer({ items: list(endless()) }).body!.getReader();
    await reader.read();
    await reader.cancel();
    expect(ended).toBe(true);
  });
});
