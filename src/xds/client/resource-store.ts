/**
 * The last good resources of one type, as a client holds them. Values are immutable and replaced whole; they
 * stay while the control plane is away. Made by `XdsClient.store`.
 */
import type { Disposer } from '#base/disposer.ts';

export interface ResourceChange {
  /** Added or replaced. */
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface ResourceStore<T> {
  readonly typeUrl: string;
  /** True once the server answered for this type; stays true while disconnected. */
  readonly synced: boolean;
  readonly size: number;
  get(name: string): T | undefined;
  entries(): IterableIterator<[string, T]>;
  /** Called once a response that changes something (the first one always does), after the whole of it is in force. */
  onChange(callback: (change: ResourceChange) => void): Disposer;
}
