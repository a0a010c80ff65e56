/** How names are looked up: over the real network in net/resolve, by hand in tests. */

export interface NameAnswer {
  /** Empty when there is none: `failure` says why. */
  readonly addresses: readonly string[];
  readonly ttlMs: number;
  readonly failure: string;
}

export interface NameService {
  /** `done` is called once, later or at once. It must not take for ever. */
  lookup(name: string, done: (answer: NameAnswer) => void): void;
}
