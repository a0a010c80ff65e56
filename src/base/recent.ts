/**
 * What is kept of the pairs of addresses that were seen last, each in a slot of its own. Few pairs are busy at a time: whoever
 * finds that the slot holds another makes its thing anew.
 */
const SLOTS = 64;

export function recentSlots<T>(): (T | undefined)[] {
  return new Array<T | undefined>(SLOTS).fill(undefined);
}

/** Neighbours differ in the last digits of their addresses. */
export function recentSlot(source: string, destination: string): number {
  return (lastOf(source) * 5 + lastOf(destination)) & (SLOTS - 1);
}

const lastOf = (text: string) => text.charCodeAt(text.length - 1) | 0;
