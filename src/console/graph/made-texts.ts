/**
 * Texts of the nodes and edges of one view, each made once a second and put together for whoever asks for it: the graphs of a namespace, of a neighbourhood and of
 * all have them in common. What was asked for lately is made before it is asked for again, a piece a call, so that others are answered between.
 */
import { putEdge } from './edge-text.ts';
import type { GraphSums } from './graph-sums.ts';
import { JsonBytes } from './json-bytes.ts';
import { nodeMark } from './marks.ts';
import type { MeshPicture } from './mesh-picture.ts';
import { putNode } from './node-text.ts';
import type { EdgeSlot, NodeSlot } from './shape.ts';

/** What was asked for in so many seconds before is made ahead. */
export const AHEAD_SECONDS = 2;
/** Texts that one call of `prepare` makes: some 5 ms. */
export const PIECE = 2000;

/** Who takes texts: one who may come again, or followers, who are told only what has changed. */
export type Taker = 'asked' | 'followed';

/** Which texts of a view were asked for lately: the same for all that are made of the view, as one second follows the other. */
export class Lately {
  readonly nodes = new Rounds();
  readonly edges = new Rounds();
}

/** Rounds begin with 1: 0 is never. */
class Rounds {
  last = AHEAD_SECONDS + 1;
  /** By number, the round in which it was asked for last. */
  asked = new Uint32Array(0);
}

/** Texts by number, one behind the other, with a comma after each. */
class Texts<Slot extends { readonly index: number }> {
  readonly #put: (bytes: JsonBytes, slot: Slot) => void;
  readonly #rounds: Rounds;
  readonly #bytes = new JsonBytes();
  #starts = new Uint32Array(0);
  #ends = new Uint32Array(0);
  /** The round in which each was made. */
  #made = new Uint32Array(0);
  #round = 0;
  #state = '';
  #next = 0;

  constructor(rounds: Rounds, put: (bytes: JsonBytes, slot: Slot) => void) {
    this.#rounds = rounds;
    this.#put = put;
  }

  /** `state`: of what the texts are. Of another all are made anew. */
  begin(state: string, count: number): void {
    this.#grow(count);
    if (state === this.#state) return;
    this.#state = state;
    this.#round = ++this.#rounds.last;
    this.#next = 0;
    this.#bytes.clear();
  }

  /** Adds those of `slots` to `into`, with commas between. */
  put(slots: Iterable<Slot>, into: JsonBytes, taker: Taker): void {
    const { asked } = this.#rounds;
    let start = 0;
    let end = 0;
    const before = into.length;
    for (const slot of slots) {
      const { index } = slot;
      if (taker === 'asked') asked[index] = this.#round;
      if (this.#made[index] !== this.#round) this.#make(slot);
      if (this.#starts[index] !== end) {
        if (end > start) into.putFrom(this.#bytes, start, end);
        start = this.#starts[index];
      }
      end = this.#ends[index];
    }
    if (end > start) into.putFrom(this.#bytes, start, end);
    if (into.length > before) into.cut(into.length - 1);
  }

  /** Makes some that were asked for in the last seconds; false: there are no more. */
  prepare(slots: readonly Slot[], isWanted: (slot: Slot) => boolean): boolean {
    const { asked } = this.#rounds;
    let made = 0;
    for (; this.#next < slots.length && made < PIECE; this.#next++) {
      const slot = slots[this.#next];
      const { index } = slot;
      const isLate = this.#round - asked[index] > AHEAD_SECONDS;
      if (isLate || this.#made[index] === this.#round || !isWanted(slot)) continue;
      this.#make(slot);
      made++;
    }
    return made > 0;
  }

  #make(slot: Slot): void {
    const { index } = slot;
    this.#starts[index] = this.#bytes.length;
    this.#put(this.#bytes, slot);
    this.#bytes.putBytes(COMMA);
    this.#ends[index] = this.#bytes.length;
    this.#made[index] = this.#round;
  }

  #grow(count: number): void {
    this.#rounds.asked = grown(this.#rounds.asked, count);
    this.#starts = grown(this.#starts, count);
    this.#ends = grown(this.#ends, count);
    this.#made = grown(this.#made, count);
  }
}

function grown(array: Uint32Array<ArrayBuffer>, count: number): Uint32Array<ArrayBuffer> {
  if (count <= array.length) return array;
  const larger = new Uint32Array(Math.max(count, array.length * 2));
  larger.set(array);
  return larger;
}

const COMMA = new TextEncoder().encode(',');

export class MadeTexts {
  readonly #sums: GraphSums;
  readonly #mesh: MeshPicture;
  readonly #nodes: Texts<NodeSlot>;
  readonly #edges: Texts<EdgeSlot>;
  #windowSeconds = 1;

  constructor(sums: GraphSums, mesh: MeshPicture, lately = new Lately()) {
    this.#sums = sums;
    this.#mesh = mesh;
    this.#nodes = new Texts(lately.nodes, (bytes, slot) =>
      putNode(bytes, slot, nodeMark(slot, sums, mesh, this.#windowSeconds)),
    );
    this.#edges = new Texts(lately.edges, (bytes, slot) =>
      putEdge(bytes, slot, sums, mesh, this.#windowSeconds),
    );
  }

  /** After a filling or a change of the mesh, before anything else: what is told is of this window. */
  begin(windowSeconds: number): void {
    const { filling, shape } = this.#sums;
    this.#windowSeconds = windowSeconds;
    this.#nodes.begin(`${filling} ${windowSeconds} ${this.#mesh.revision}`, shape.nodes.length);
    this.#edges.begin(`${filling} ${windowSeconds} ${this.#mesh.splits}`, shape.edges.length);
  }

  putNodes(nodes: Iterable<NodeSlot>, into: JsonBytes): void {
    this.#nodes.put(nodes, into, 'asked');
  }

  putEdges(edges: Iterable<EdgeSlot>, into: JsonBytes, taker: Taker): void {
    this.#edges.put(edges, into, taker);
  }

  /** After `begin`: makes a piece of what was asked for in the last seconds; false: all of it is made. */
  prepare(): boolean {
    const { shape } = this.#sums;
    return (
      this.#edges.prepare(shape.edges, (slot) => !this.#sums.isIdle(slot)) ||
      this.#nodes.prepare(shape.nodes, () => true)
    );
  }
}
