/**
 * The open streams of a connection by their number: a table of slots, each stream in the first free one from that of its number on.
 * Not a `Map`: see base/roster.ts. Numbers ascend by two, so nearly every stream is in its own slot.
 */
import type { H2Stream } from './stream.ts';

const SLOTS_MIN = 16;

export class StreamTable {
  size = 0;
  /** A power of two of them, at most half full: a search always ends at a free one. */
  private slots = free(SLOTS_MIN);

  get(id: number): H2Stream | undefined {
    const { slots } = this;
    const mask = slots.length - 1;
    for (let at = (id >>> 1) & mask; ; at = (at + 1) & mask) {
      const stream = slots[at];
      if (stream === undefined || stream.id === id) return stream;
    }
  }

  /** One of a number that is not in it. */
  add(stream: H2Stream): void {
    this.size++;
    if (this.size * 2 > this.slots.length) this.grow();
    put(this.slots, stream);
  }

  /** False when it was not in it. */
  remove(stream: H2Stream): boolean {
    const { slots } = this;
    const mask = slots.length - 1;
    let gap = (stream.id >>> 1) & mask;
    while (slots[gap] !== stream) {
      if (slots[gap] === undefined) return false;
      gap = (gap + 1) & mask;
    }
    this.size--;
    // Those behind it that could be nearer to their own slot move up, else a search would end before them.
    for (let at = (gap + 1) & mask; ; at = (at + 1) & mask) {
      const next = slots[at];
      if (next === undefined) break;
      const distance = (at - (next.id >>> 1)) & mask;
      if (distance < ((at - gap) & mask)) continue;
      slots[gap] = next;
      gap = at;
    }
    slots[gap] = undefined;
    return true;
  }

  /** Oldest first. A copy: streams may end while it is gone through. */
  all(): H2Stream[] {
    return this.slots.filter((stream) => stream !== undefined).sort((a, b) => a.id - b.id);
  }

  private grow(): void {
    const slots = free(this.slots.length * 2);
    for (const stream of this.slots) if (stream !== undefined) put(slots, stream);
    this.slots = slots;
  }
}

function put(slots: (H2Stream | undefined)[], stream: H2Stream): void {
  const mask = slots.length - 1;
  let at = (stream.id >>> 1) & mask;
  while (slots[at] !== undefined) at = (at + 1) & mask;
  slots[at] = stream;
}

function free(count: number): (H2Stream | undefined)[] {
  return new Array<H2Stream | undefined>(count).fill(undefined);
}
