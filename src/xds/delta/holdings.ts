/**
 * What the clients of one type hold, in a small space: thousands of names for each of many proxies, nearly the same for all. The names
 * are numbered once for all of them (`SharedNames`), and what one client holds is an array of versions (`Holdings`).
 * Invariant: a name has a number exactly as long as somebody holds it.
 */
import { assert } from '#base/assert.ts';

export class SharedNames {
  readonly #numbers = new Map<string, number>();
  readonly #names: string[] = [];
  readonly #holders: number[] = [];
  readonly #free: number[] = [];

  /** Of those that are held. */
  get size(): number {
    return this.#numbers.size;
  }

  find(name: string): number | undefined {
    return this.#numbers.get(name);
  }

  name(number: number): string {
    return this.#names[number];
  }

  /** One more holds it. */
  take(name: string): number {
    const known = this.#numbers.get(name);
    if (known !== undefined) {
      this.#holders[known] += 1;
      return known;
    }
    const number = this.#free.pop() ?? this.#names.length;
    this.#numbers.set(name, number);
    this.#names[number] = name;
    this.#holders[number] = 1;
    return number;
  }

  /** One holds it no more. */
  release(number: number): void {
    assert(this.#holders[number] > 0, 'a name is released by who holds it');
    this.#holders[number] -= 1;
    if (this.#holders[number] > 0) return;
    this.#numbers.delete(this.#names[number]);
    this.#names[number] = '';
    this.#free.push(number);
  }
}

export class Holdings {
  readonly #shared: SharedNames;
  /** By number of the name. */
  readonly #versions: (string | undefined)[] = [];
  #size = 0;

  constructor(shared: SharedNames) {
    this.#shared = shared;
  }

  get size(): number {
    return this.#size;
  }

  /** The version; undefined when it is not held. */
  get(name: string): string | undefined {
    const number = this.#shared.find(name);
    return number === undefined ? undefined : this.#versions[number];
  }

  set(name: string, version: string): void {
    let number = this.#shared.find(name);
    if (number === undefined || this.#versions[number] === undefined) {
      number = this.#shared.take(name);
      this.#size += 1;
    }
    this.#versions[number] = version;
  }

  /** False: it was not held. */
  delete(name: string): boolean {
    const number = this.#shared.find(name);
    if (number === undefined || this.#versions[number] === undefined) return false;
    this.#versions[number] = undefined;
    this.#size -= 1;
    this.#shared.release(number);
    return true;
  }

  names(): string[] {
    const names: string[] = [];
    this.#versions.forEach((version, number) => {
      if (version !== undefined) names.push(this.#shared.name(number));
    });
    return names;
  }

  /** Nothing is held any more. */
  clear(): void {
    this.#versions.forEach((version, number) => {
      if (version !== undefined) this.#shared.release(number);
    });
    this.#versions.length = 0;
    this.#size = 0;
  }
}
