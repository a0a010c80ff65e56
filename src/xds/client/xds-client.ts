/**
 * The proxies' end of delta xDS: subscribes to every type by wildcard, keeps the last good resources while the
 * control plane is away, reconnects with back-off and says what it still has. ACKs what it applied, NACKs what
 * it had to refuse (the good part of such a response is applied all the same).
 */
import type { Disposer } from '#base/disposer.ts';
import type { ResourceType } from '../resources/resource-type.ts';
import type { ResourceStore } from './resource-store.ts';

export interface TypeStatus {
  readonly typeUrl: string;
  readonly synced: boolean;
  readonly resources: number;
  /** Of the last response that was answered; undefined before the first. */
  readonly nonce: string | undefined;
  /** Message of the last NACK; undefined after an ACK. */
  readonly nack: string | undefined;
}

export interface XdsClientStatus {
  readonly connected: boolean;
  /** Why the last stream ended, or the last attempt failed. */
  readonly lastError: string | undefined;
  readonly types: readonly TypeStatus[];
}

export interface XdsClient {
  readonly connected: boolean;
  /** The store of a type that was named in the options. */
  store<T>(type: ResourceType<T>): ResourceStore<T>;
  /** Resolves when every type is synced. */
  whenSynced(): Promise<void>;
  onConnection(callback: (connected: boolean) => void): Disposer;
  status(): XdsClientStatus;
  stop(): void;
}
