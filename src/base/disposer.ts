/** Ends a subscription or frees a resource. Calling it twice does nothing more. */
export type Disposer = () => void;

/** Collects disposers and runs them newest first, once. */
export class Scope {
  #disposers: Disposer[] = [];
  #disposed = false;

  add(disposer: Disposer): void {
    if (this.#disposed) disposer();
    else this.#disposers.push(disposer);
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const disposer of this.#disposers.reverse()) disposer();
    this.#disposers = [];
  }
}
