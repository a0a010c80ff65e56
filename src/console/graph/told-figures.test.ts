import { describe, expect, test } from 'bun:test';
import { FIGURES, ToldFigures } from './told-figures.ts';

const figures = (requests: number, bytes = 1000, seconds = 60) => {
  const all = new Float64Array(FIGURES);
  all[0] = requests;
  all[4] = bytes;
  all[FIGURES - 1] = seconds;
  return all;
};
const SECOND = 15_000;

describe('ToldFigures', () => {
  test.each([
    { title: 'a count within a twentieth and chance', now: figures(114), isNews: false },
    { title: 'a count that moved by more', now: figures(125), isNews: true },
    { title: 'a size within its share', now: figures(100, 1100), isNews: false },
    { title: 'a size that moved by more', now: figures(100, 1200), isNews: true },
    { title: 'a window that grew a little', now: figures(100, 1000, 66), isNews: false },
    { title: 'a window that grew by more', now: figures(100, 1000, 80), isNews: true },
  ])('isNews: $title', ({ now, isNews }) => {
    const told = new ToldFigures();
    told.begin();
    expect(told.isNews(1, figures(100), SECOND)).toBe(true);
    told.begin();
    expect(told.isNews(1, now, SECOND + 1)).toBe(isNews);
  });

  test('isNews: what moved a little is told once within 15 s, what stands still never', () => {
    const told = new ToldFigures();
    told.isNews(3, figures(100), SECOND);
    told.isNews(4, figures(100), SECOND);
    const news = (index: number, now: Float64Array) =>
      Array.from({ length: 30 }, (_, at) => told.isNews(index, now, SECOND + 1 + at)).filter(
        Boolean,
      );
    expect(news(3, figures(101))).toHaveLength(1);
    expect(news(4, figures(100))).toHaveLength(0);
  });

  test('gone: told once, and shown again it is news', () => {
    const told = new ToldFigures();
    const round = (...shown: number[]) => {
      told.begin();
      const news = shown.filter((index) => told.isNews(index, figures(100), SECOND));
      return { news, gone: told.gone() };
    };
    expect(round(1, 2, 500)).toEqual({ news: [1, 2, 500], gone: [] });
    expect(round(1, 500)).toEqual({ news: [], gone: [2] });
    expect(round(1)).toEqual({ news: [], gone: [500] });
    expect(round(1, 2)).toEqual({ news: [2], gone: [] });
    told.clear();
    expect(round(2)).toEqual({ news: [2], gone: [] });
  });
});
