import { describe, expect, test } from 'bun:test';
import { mustPaint, type PaintedBefore } from './picture.ts';

const VIEW = { x: 0, y: 0, zoom: 1, width: 1000, height: 600 };
const SLOW: PaintedBefore = {
  view: { x: -300, y: -180, zoom: 1, width: 1600, height: 960 },
  isStale: false,
  tookMs: 60,
  atMs: 1000,
};
const QUICK = { ...SLOW, tookMs: 3 };
const moving = { isMoving: true, atMs: 1050 };
const resting = { isMoving: false, atMs: 1400 };

describe('mustPaint', () => {
  test('paints the first time, and not again while nothing changed', () => {
    expect(mustPaint(undefined, VIEW, resting)).toBe(true);
    expect(mustPaint(SLOW, VIEW, resting)).toBe(false);
    expect(mustPaint(QUICK, VIEW, moving)).toBe(false);
  });

  test('moves and scales what is slow to paint until the hand rests, even when it changed', () => {
    for (const view of [
      { ...VIEW, x: 250 },
      { ...VIEW, zoom: 4 },
    ]) {
      expect(mustPaint({ ...SLOW, isStale: true }, view, moving)).toBe(false);
      expect(mustPaint({ ...SLOW, isStale: true }, view, resting)).toBe(true);
    }
  });

  test('paints what is quick each time that it changed', () => {
    expect(mustPaint({ ...QUICK, isStale: true }, VIEW, moving)).toBe(true);
    expect(mustPaint(QUICK, { ...VIEW, zoom: 1.2 }, moving)).toBe(true);
  });

  test('paints under a moving hand what is too blurred to be read, and what no longer covers the view for too long', () => {
    expect(mustPaint(SLOW, { ...VIEW, zoom: 6 }, moving)).toBe(true);
    expect(mustPaint(SLOW, { ...VIEW, x: 400 }, moving)).toBe(false);
    expect(mustPaint(SLOW, { ...VIEW, x: 400 }, { isMoving: true, atMs: 1300 })).toBe(true);
  });
});
