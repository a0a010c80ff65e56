/** The threads that are started while this is held, so that a test can end them as nothing in the program would. */
export function caughtWorkers(): { readonly all: Worker[]; [Symbol.dispose](): void } {
  const { Worker: Usual } = globalThis;
  const all: Worker[] = [];
  globalThis.Worker = class extends Usual {
    constructor(...args: ConstructorParameters<typeof Usual>) {
      super(...args);
      all.push(this);
    }
  } as typeof Usual;
  return {
    all,
    [Symbol.dispose]: () => {
      globalThis.Worker = Usual;
    },
  };
}
