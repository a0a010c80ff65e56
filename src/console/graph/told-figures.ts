/**
 * What was last told of each edge (or node) of a graph that is followed, by its number: figures, when, and what of them is news. A number is told when it moved by
 * a twentieth and by more than chance, and a little later in any case, so that what stands still costs nothing and nothing stays wrong.
 */

/** requests, errors, opened, failed, bytes, p95, share under mutual TLS, seconds of the window. */
export const FIGURES = 8;
/** Numbers that moved less are not told at once: nobody sees it. Counts may also move by chance, by about their square root. */
const MOVED_SHARE = 0.05;
/** Percentiles jump within their bucket, sizes with every large answer. */
const MOVED_MEASURE_SHARE = 0.15;
/** What moved less is told after so many seconds; edges take turns. */
const SETTLE_SECONDS = 15;
/** From this one on figures are measures, before it counts. */
const FIRST_MEASURE = 4;
const NEVER = -1;
const ROOM_AT_FIRST = 64;

export class ToldFigures {
  #figures = new Float64Array(ROOM_AT_FIRST * FIGURES);
  /** When each was told; NEVER: it is not shown. */
  #seconds = new Float64Array(ROOM_AT_FIRST).fill(NEVER);
  /** The round in which each was last shown. */
  #rounds = new Uint32Array(ROOM_AT_FIRST);
  #shown: number[] = [];
  #before: number[] = [];
  #round = 0;

  clear(): void {
    this.#seconds.fill(NEVER);
    this.#shown.length = 0;
    this.#before.length = 0;
  }

  /** Then `isNews` of all that is shown now, then `gone`. */
  begin(): void {
    this.#round++;
    [this.#before, this.#shown] = [this.#shown, this.#before];
    this.#shown.length = 0;
  }

  /** Notes them as told when they are. */
  isNews(index: number, figures: Float64Array, second: number): boolean {
    if (index >= this.#rounds.length) this.#grow(index + 1);
    this.#rounds[index] = this.#round;
    this.#shown.push(index);
    const base = index * FIGURES;
    const told = this.#seconds[index];
    if (told !== NEVER) {
      const isDue = (second + index) % SETTLE_SECONDS === 0 && told < second;
      const isNews = isDue ? !this.#isSame(base, figures) : this.#hasMoved(base, figures);
      if (!isNews) return false;
    }
    this.#figures.set(figures, base);
    this.#seconds[index] = second;
    return true;
  }

  /** Numbers of those that were shown in the round before, and no more. */
  gone(): number[] {
    const gone = this.#before.filter((index) => this.#rounds[index] !== this.#round);
    for (const index of gone) this.#seconds[index] = NEVER;
    return gone;
  }

  #hasMoved(base: number, now: Float64Array): boolean {
    const told = this.#figures;
    for (let at = 0; at < FIGURES; at++) {
      const moved = Math.abs(told[base + at] - now[at]);
      if (moved === 0) continue;
      const larger = Math.max(told[base + at], now[at]);
      const chance =
        at < FIRST_MEASURE
          ? larger * MOVED_SHARE + Math.sqrt(larger)
          : larger * MOVED_MEASURE_SHARE;
      if (moved > chance) return true;
    }
    return false;
  }

  #isSame(base: number, now: Float64Array): boolean {
    for (let at = 0; at < FIGURES; at++) if (this.#figures[base + at] !== now[at]) return false;
    return true;
  }

  #grow(needed: number): void {
    const room = Math.max(needed, this.#rounds.length * 2);
    const figures = new Float64Array(room * FIGURES);
    figures.set(this.#figures);
    const seconds = new Float64Array(room).fill(NEVER);
    seconds.set(this.#seconds);
    const rounds = new Uint32Array(room);
    rounds.set(this.#rounds);
    this.#figures = figures;
    this.#seconds = seconds;
    this.#rounds = rounds;
  }
}
