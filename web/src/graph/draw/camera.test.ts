import { describe, expect, test } from 'bun:test';
import { MAP_OVERHANG } from '../layout/types.ts';
import { firstView, fit } from './camera.ts';

const WIDE = { x: 0, y: 0, zoom: 1, width: 1200, height: 600 };
const PHONE = { x: 0, y: 0, zoom: 1, width: 390, height: 520 };
const BOUNDS = { x: -40, y: 10, width: 1800, height: 700 };
const FAILING = { x: 900, y: 200, width: 160, height: 44 };

describe('firstView', () => {
  test('is of all of it where names can be read then', () => {
    expect(firstView(WIDE, BOUNDS, FAILING)).toEqual(fit(WIDE, BOUNDS));
  });

  test('of a graph too large for that is at what matters most, in its middle', () => {
    const view = firstView(WIDE, { ...BOUNDS, width: 5000 }, FAILING);
    expect(view.zoom).toBeCloseTo(0.7);
    expect(view.x + view.width / view.zoom / 2).toBeCloseTo(980);
  });

  test('on a phone is a map of all of it, with room for the names that stand out at its sides', () => {
    const view = firstView(PHONE, BOUNDS, FAILING);
    expect(view.x).toBeCloseTo(BOUNDS.x - MAP_OVERHANG);
    expect(view.width / view.zoom).toBeCloseTo(BOUNDS.width + 2 * MAP_OVERHANG);
    const middle = view.y + view.height / view.zoom / 2;
    expect(middle).toBeCloseTo(BOUNDS.y + BOUNDS.height / 2);
  });

  test('on a phone, too, is at what matters where a map would be dust', () => {
    expect(firstView(PHONE, { ...BOUNDS, width: 9000 }, FAILING).zoom).toBeCloseTo(0.7);
  });
});
