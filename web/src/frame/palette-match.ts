/** Which entries of the palette a text means, the best first. Pure. */

export interface PaletteItem {
  readonly id: string;
  readonly kind: string;
  readonly title: string;
  readonly detail: string;
  readonly key?: string;
  readonly run: () => void;
}

/** Every word has to be found, in the title, the detail or the kind; beginnings of titles come first. */
export function matching(items: readonly PaletteItem[], text: string): readonly PaletteItem[] {
  const words = text
    .toLowerCase()
    .split(/[\s/]+/)
    .filter((word) => word !== '');
  if (words.length === 0) return items;
  const scored = items.flatMap((item, at) => {
    const scores = words.map((word) => wordScore(item, word));
    if (scores.includes(0)) return [];
    return [{ item, at, score: scores.reduce((sum, each) => sum + each, 0) }];
  });
  return scored
    .sort((a, b) => b.score - a.score || a.item.title.length - b.item.title.length || a.at - b.at)
    .map((each) => each.item);
}

function wordScore(item: PaletteItem, word: string): number {
  const title = item.title.toLowerCase();
  if (title.startsWith(word)) return 8;
  if (title.includes(`-${word}`) || title.includes(` ${word}`)) return 6;
  if (title.includes(word)) return 4;
  if (item.detail.toLowerCase().startsWith(word)) return 3;
  return item.kind.toLowerCase().startsWith(word) ? 2 : 0;
}
