/**
 * Where lanes stand to each other. A small mesh has one scale of columns for all: each lane keeps its columns and takes the free
 * height nearest to what it talks to. A large one has lanes of their own columns, put into as many stacks as fill a screen.
 */
import { FIELD_GAP, FIELD_HEAD, FIELD_PAD } from './types.ts';

export interface Block {
  /** Of what is drawn inside, without the field around. */
  readonly x: number;
  readonly width: number;
  readonly height: number;
  readonly hasField: boolean;
  /** Indices of the blocks that it talks to, and at which height inside it and inside them. */
  readonly ties: readonly Tie[];
}

export interface Tie {
  readonly other: number;
  readonly ownY: number;
  readonly otherY: number;
  readonly weight: number;
}

interface Taken {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

/** Tops of the blocks' insides. The first block is the heaviest: the others gather around it. */
export function packByFlow(blocks: readonly Block[]): number[] {
  const tops = new Array<number | undefined>(blocks.length).fill(undefined);
  const taken: Taken[] = [];
  const order = blocks
    .map((_, at) => at)
    .sort((a, b) => area(blocks[b]) - area(blocks[a]) || a - b);
  for (const at of order) {
    const block = blocks[at];
    const wanted = wantedTop(block, tops);
    const top = freeTop(block, wanted, taken);
    tops[at] = top;
    taken.push(fieldOf(block, top));
  }
  return tops.map((top) => top ?? 0);
}

const area = (block: Block): number => (block.hasField ? block.width * block.height : 0);

function wantedTop(block: Block, tops: readonly (number | undefined)[]): number {
  let sum = 0;
  let weights = 0;
  for (const { other, ownY, otherY, weight } of block.ties) {
    const top = tops[other];
    if (top === undefined) continue;
    sum += (top + otherY - ownY) * weight;
    weights += weight;
  }
  return weights === 0 ? 0 : sum / weights;
}

function fieldOf({ x, width, height, hasField }: Block, top: number): Taken {
  const [pad, head] = hasField ? [FIELD_PAD, FIELD_HEAD] : [0, 0];
  return { left: x - pad, right: x + width + pad, top: top - head, bottom: top + height + pad };
}

/** The height nearest to the wanted one at which it covers nothing. */
function freeTop(block: Block, wanted: number, taken: readonly Taken[]): number {
  const own = fieldOf(block, 0);
  const near = taken.filter(
    (each) => each.left < own.right + FIELD_GAP && own.left < each.right + FIELD_GAP,
  );
  const fits = (top: number) =>
    near.every(
      (each) =>
        top + own.bottom + FIELD_GAP <= each.top || top + own.top - FIELD_GAP >= each.bottom,
    );
  const candidates = [
    wanted,
    ...near.flatMap((each) => [
      each.top - FIELD_GAP - own.bottom,
      each.bottom + FIELD_GAP - own.top,
    ]),
  ];
  const free = candidates.filter(fits).sort((a, b) => Math.abs(a - wanted) - Math.abs(b - wanted));
  return Math.round(free[0]);
}

/** Corners of the insides, in stacks from left to right whose heights are alike; `aspect` is width by height of the whole. */
export function packInStacks(blocks: readonly Block[], aspect: number): { x: number; y: number }[] {
  const fields = blocks.map((block) => fieldOf({ ...block, x: 0 }, 0));
  const sizes = fields.map((field) => ({
    width: field.right - field.left + 2 * FIELD_GAP,
    height: field.bottom - field.top + FIELD_GAP,
  }));
  const total = sizes.reduce((sum, size) => sum + size.width * size.height, 0);
  const limit = Math.max(Math.sqrt(total / aspect), ...sizes.map((size) => size.height));
  let [x, y, widest] = [0, 0, 0];
  return sizes.map((size, at) => {
    if (y > 0 && y + size.height > limit * 1.05) {
      x += widest;
      [y, widest] = [0, 0];
    }
    const corner = { x: x - fields[at].left, y: y - fields[at].top };
    y += size.height;
    widest = Math.max(widest, size.width);
    return corner;
  });
}
