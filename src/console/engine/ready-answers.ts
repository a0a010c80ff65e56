/**
 * Graphs as text, held until the next second for all who ask the same. Who asks again and again finds the next second's made before it asks: `prepare` makes
 * one of those a call, so that others are answered between. Nothing is made for who asked once.
 */
import type { GraphRequest, Packing } from '../console-data.ts';

/** One whole graph of a large mesh as plain text (15 MB), or many packed or small ones. */
const BYTES_MAX = 24 * 1024 * 1024;
/** Asked twice within so many seconds, and the last time within as many: it is asked again and again. */
const AGAIN_SECONDS = 2;
/** So many are made before they are asked for: a reader that goes round in a large mesh's namespaces shall not cost a core. */
const PREPARED_MAX = 4;

type Render = (request: GraphRequest, packing: Packing) => Uint8Array<ArrayBuffer>;

interface Asked {
  readonly request: GraphRequest;
  readonly packing: Packing;
  /** The seconds (as counted here) in which it was asked last, and before that. */
  last: number;
  before: number;
  /** Of the newest answer. */
  bytes: number;
}

export class ReadyAnswers {
  readonly #render: Render;
  readonly #answers = new Map<string, Uint8Array<ArrayBuffer>>();
  readonly #asked = new Map<string, Asked>();
  #bytes = 0;
  #second = 0;
  #prepared = 0;

  constructor(render: Render) {
    this.#render = render;
  }

  get(request: GraphRequest, packing: Packing): Uint8Array<ArrayBuffer> {
    const key = JSON.stringify([request, packing]);
    const last = this.#second;
    const asked = this.#asked.get(key) ?? { request, packing, last, before: Number.NaN, bytes: 0 };
    const answer = this.#answers.get(key) ?? this.#make(key, asked);
    if (asked.last !== last) asked.before = asked.last;
    asked.last = last;
    // Only now: what cannot be answered is not asked again by us.
    this.#asked.set(key, asked);
    return answer;
  }

  /** What is held says no longer how things are. */
  forget(): void {
    this.#answers.clear();
    this.#bytes = 0;
  }

  nextSecond(): void {
    this.forget();
    this.#second++;
    this.#prepared = 0;
    for (const [key, { last }] of this.#asked)
      if (this.#second - last > AGAIN_SECONDS) this.#asked.delete(key);
  }

  /** False: nothing is left to be made. */
  prepare(): boolean {
    if (this.#prepared === PREPARED_MAX) return false;
    for (const [key, asked] of this.#asked) {
      const isAgain = asked.last - asked.before <= AGAIN_SECONDS;
      const isRoom = this.#bytes + asked.bytes <= BYTES_MAX;
      if (!isAgain || !isRoom || this.#answers.has(key)) continue;
      this.#prepared++;
      this.#make(key, asked);
      return true;
    }
    return false;
  }

  #make(key: string, asked: Asked): Uint8Array<ArrayBuffer> {
    const answer = this.#render(asked.request, asked.packing);
    asked.bytes = answer.length;
    if (this.#bytes + answer.length <= BYTES_MAX) {
      this.#answers.set(key, answer);
      this.#bytes += answer.length;
    }
    return answer;
  }
}
