/** A name service whose answers a test gives by hand, when it wants. */
import type { NameAnswer, NameService } from '#upstream/resolve/name-service.ts';

export class ScriptedNames implements NameService {
  readonly #open = new Map<string, ((answer: NameAnswer) => void)[]>();
  /** Every name that was asked for, in order. */
  readonly asked: string[] = [];

  lookup(name: string, done: (answer: NameAnswer) => void): void {
    this.asked.push(name);
    this.#open.set(name, [...(this.#open.get(name) ?? []), done]);
  }

  answer(name: string, addresses: readonly string[], ttlMs = 10_000): void {
    this.#settle(name, { addresses, ttlMs, failure: '' });
  }

  fail(name: string, failure = 'no such name'): void {
    this.#settle(name, { addresses: [], ttlMs: 0, failure });
  }

  #settle(name: string, answer: NameAnswer): void {
    const open = this.#open.get(name) ?? [];
    this.#open.delete(name);
    for (const done of open) done(answer);
  }
}
