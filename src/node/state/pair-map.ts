/** Values by two texts, found without making one of them: each connection asks several times. */
export class PairMap<V> {
  readonly #byFirst = new Map<string, Map<string, V>>();

  get(first: string, second: string): V | undefined {
    return this.#byFirst.get(first)?.get(second);
  }

  set(first: string, second: string, value: V): void {
    let bySecond = this.#byFirst.get(first);
    if (bySecond === undefined) {
      bySecond = new Map();
      this.#byFirst.set(first, bySecond);
    }
    bySecond.set(second, value);
  }
}
