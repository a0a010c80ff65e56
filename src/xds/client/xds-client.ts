/**
 * The proxies' end of delta xDS: subscribes to every type by wildcard, keeps the last good resources while the
 * control plane is away, reconnects with back-off and says what it still has. ACKs what it applied, NACKs what
 * it had to refuse (the good part of such a response is applied all the same).
 */
import { assert } from '#base/assert.ts';
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { ClientStream, ClientStreamHandler } from '#http/grpc/channel.ts';
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '#wire/protobuf/discovery.ts';
import { acknowledge, DeltaClient } from '../delta/delta-client.ts';
import {
  RECONNECT_CAP_MS,
  RECONNECT_FACTOR,
  RECONNECT_INITIAL_MS,
  RECONNECT_RESET_AFTER_MS,
} from '../limits.ts';
import { nodeMessage, type XdsNode } from '../node.ts';
import type { ResourceType } from '../resources/resource-type.ts';
import { MemoryStore } from './memory-store.ts';
import type { ResourceStore } from './resource-store.ts';

export interface TypeStatus {
  readonly typeUrl: string;
  readonly synced: boolean;
  readonly resources: number;
  /** Of the last response that was answered; undefined before the first. */
  readonly nonce: string | undefined;
  /** Message of the last NACK; undefined after an ACK. */
  readonly nack: string | undefined;
  /** Responses so far, on all streams. */
  readonly messages: number;
  readonly messageBytes: number;
}

/** Why streams ended: no connection at all, broken off, or ended in order by the server. ztunnel's words. */
export type Termination = 'ConnectionError' | 'Error' | 'Complete';

export interface XdsClientStatus {
  readonly connected: boolean;
  /** Why the last stream ended, or the last attempt failed. */
  readonly lastError: string | undefined;
  readonly types: readonly TypeStatus[];
  readonly terminations: Readonly<Record<Termination, number>>;
}

export interface XdsClient {
  /** True once the server answered on the stream that is open. */
  readonly connected: boolean;
  /** The store of a type that was named in the options. */
  store<T>(type: ResourceType<T>): ResourceStore<T>;
  /** Resolves when every type is synced. */
  whenSynced(): Promise<void>;
  onConnection(callback: (connected: boolean) => void): Disposer;
  status(): XdsClientStatus;
  stop(): void;
}

export interface XdsTransport {
  /** Throws a MeshError when there is nothing to connect with (no root, no token). */
  open(handler: ClientStreamHandler): ClientStream;
}

export interface XdsClientDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly transport: XdsTransport;
}

export interface XdsClientOptions {
  readonly node: XdsNode;
  /** Subscribed in this order. */
  readonly types: readonly ResourceType<unknown>[];
}

interface TypeEnd {
  readonly delta: DeltaClient<unknown>;
  readonly store: MemoryStore<unknown>;
  messages: number;
  messageBytes: number;
}

/** Connects at once and goes on until `stop`. */
export function startXdsClient(deps: XdsClientDeps, options: XdsClientOptions): XdsClient {
  const client = new ReconnectingClient(deps, options);
  client.connect();
  return client;
}

class ReconnectingClient implements XdsClient {
  readonly #deps: XdsClientDeps;
  readonly #options: XdsClientOptions;
  readonly #types = new Map<string, TypeEnd>();
  readonly #backoff: Backoff;
  readonly #watchers = new Set<(connected: boolean) => void>();
  readonly #waiting: (() => void)[] = [];
  #stream: ClientStream | undefined;
  #retry: Timer | undefined;
  #connected = false;
  #stopped = false;
  #lastError: string | undefined;
  /** What the log was told last of the stream that is down. */
  #toldError: string | undefined;
  readonly #terminations: Record<Termination, number> = {
    ConnectionError: 0,
    Error: 0,
    Complete: 0,
  };

  constructor(deps: XdsClientDeps, options: XdsClientOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#backoff = new Backoff(deps.random, {
      initialMs: RECONNECT_INITIAL_MS,
      capMs: RECONNECT_CAP_MS,
      factor: RECONNECT_FACTOR,
    });
    for (const type of options.types) {
      const { typeUrl } = type;
      const delta = new DeltaClient(typeUrl, (bytes) => type.decode(bytes));
      const store = new MemoryStore<unknown>(typeUrl);
      this.#types.set(typeUrl, { delta, store, messages: 0, messageBytes: 0 });
    }
  }

  get connected(): boolean {
    return this.#connected;
  }

  store<T>(type: ResourceType<T>): ResourceStore<T> {
    const end = this.#types.get(type.typeUrl);
    assert(end !== undefined, `type ${type.typeUrl} was not named in the options of the client`);
    return end.store as ResourceStore<T>;
  }

  whenSynced(): Promise<void> {
    if (this.#synced) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  onConnection(callback: (connected: boolean) => void): Disposer {
    this.#watchers.add(callback);
    return () => void this.#watchers.delete(callback);
  }

  status(): XdsClientStatus {
    const types = [...this.#types].map(([typeUrl, { delta, messages, messageBytes }]) => ({
      typeUrl,
      ...delta.status(),
      messages,
      messageBytes,
    }));
    const terminations = { ...this.#terminations };
    return { connected: this.#connected, lastError: this.#lastError, types, terminations };
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#drop();
    this.#setConnected(false);
  }

  connect(): void {
    const { clock, transport } = this.#deps;
    const openedAt = clock.now();
    let stream: ClientStream | undefined;
    const isCurrent = () => stream !== undefined && stream === this.#stream;
    try {
      stream = transport.open({
        onMessage: (bytes) => {
          if (isCurrent()) this.#onMessage(bytes);
        },
        onClose: (error) => {
          if (!isCurrent()) return;
          if (clock.now() - openedAt >= RECONNECT_RESET_AFTER_MS) this.#backoff.reset();
          this.#disconnected(error);
        },
      });
    } catch (error) {
      this.#disconnected(error);
      return;
    }
    this.#stream = stream;
    const node = nodeMessage(this.#options.node);
    for (const { delta } of this.#types.values()) this.#send({ ...delta.open(), node });
  }

  get #synced(): boolean {
    return [...this.#types.values()].every(({ store }) => store.synced);
  }

  #send(request: DeltaDiscoveryRequest): void {
    this.#stream?.send(DeltaDiscoveryRequest.encode(request));
  }

  /** Ends the stream from this side: what it still says is not heard. */
  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.cancel();
  }

  #onMessage(bytes: Uint8Array): void {
    const response = DeltaDiscoveryResponse.decode(bytes);
    if (typeof response === 'string') {
      this.#drop();
      this.#disconnected(
        new MeshError('XDS_MALFORMED', `response is malformed: ${response}`, {
          side: 'upstream',
          hint: 'compare the versions of the control plane and this proxy',
        }),
      );
      return;
    }
    this.#lastError = undefined;
    this.#setConnected(true);
    const end = this.#types.get(response.type_url);
    if (end === undefined) {
      this.#deps.log.warn('response of a type that was not asked for', { type: response.type_url });
      this.#send(acknowledge(response));
      return;
    }
    end.messages += 1;
    end.messageBytes += bytes.length;
    this.#apply(end, response);
  }

  #apply({ delta, store }: TypeEnd, response: DeltaDiscoveryResponse): void {
    const update = delta.onResponse(response);
    store.apply(update);
    for (const { name, reason } of update.rejected) {
      this.#deps.log.warn('resource refused, the last good one stays', {
        type: response.type_url,
        name,
        reason,
      });
    }
    this.#send(update.reply);
    if (this.#waiting.length > 0 && this.#synced) {
      for (const resolve of this.#waiting.splice(0)) resolve();
    }
  }

  #disconnected(error: unknown): void {
    const broken = this.#connected ? 'Error' : 'ConnectionError';
    this.#stream = undefined;
    this.#setConnected(false);
    if (this.#stopped) return;
    this.#terminations[error === undefined ? 'Complete' : broken] += 1;
    this.#lastError = error === undefined ? 'the control plane ended the stream' : messageOf(error);
    const delayMs = this.#backoff.nextDelayMs();
    const fields = { error: this.#lastError, retryMs: Math.round(delayMs) };
    // An hour without a control plane is one event with one cause, not a line each try.
    const isNews = this.#lastError !== this.#toldError;
    this.#toldError = this.#lastError;
    this.#deps.log[isNews ? 'warn' : 'debug'](
      'xDS stream is down, resources stay in force',
      fields,
    );
    this.#retry = this.#deps.clock.after(delayMs, () => this.connect());
  }

  #setConnected(connected: boolean): void {
    if (this.#connected === connected) return;
    this.#connected = connected;
    if (connected && this.#toldError !== undefined) {
      this.#toldError = undefined;
      this.#deps.log.info('xDS stream is up again');
    }
    for (const callback of this.#watchers) callback(connected);
  }
}
