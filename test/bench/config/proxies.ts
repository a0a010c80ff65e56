/**
 * Simulated proxies of the config case: real delta xDS over TLS with a token, but what they are sent is not decoded, only
 * searched for the marks of changes and acknowledged. A mark is `mark-N-` in a text, or N as an address (markAddress).
 */
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import type { ClientStream } from '#http/grpc/channel.ts';
import { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '#wire/protobuf/discovery.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { nodeMessage, type XdsNode } from '#xds/node.ts';

export interface ProxyOptions {
  readonly endpoint: Parameters<typeof grpcTransport>[1];
  readonly node: XdsNode;
  readonly typeUrls: readonly string[];
  /** By type: what is asked for on demand; types that are not named are subscribed to as a whole. */
  readonly onDemand?: Readonly<Record<string, readonly string[]>>;
}

export const markText = (mark: number): string => `mark-${mark}-`;
export const markAddress = (mark: number): string => `77.75.${mark >> 8}.${mark & 255}`;

const ATTEMPTS_MAX = 10;
const RETRY_MS = 200;

const MARK = /mark-(\d+)-/g;
/** The four bytes that protobuf has, 77 and 75 as letters; and as text in JSON. */
const ADDRESS_BYTES = /MK([\s\S])([\s\S])/g;
const ADDRESS_TEXT = /77\.75\.(\d+)\.(\d+)/g;

export class SimulatedProxy {
  readonly name: string;
  /** When each mark was acknowledged, in milliseconds of wall time. */
  readonly acknowledged = new Map<number, number>();
  /** Resolves when every type was answered once. */
  readonly synced: Promise<void>;
  responses = 0;
  bytes = 0;
  readonly #options: ProxyOptions;
  #stream: ClientStream;
  #attempts = 1;
  readonly #unsynced: Set<string>;
  readonly #watch: (proxy: SimulatedProxy, mark: number) => void;
  readonly #settle = Promise.withResolvers<void>();
  #closed = false;

  constructor(
    { endpoint, node, typeUrls, onDemand = {} }: ProxyOptions,
    watch: (proxy: SimulatedProxy, mark: number) => void,
  ) {
    this.name = `${node.podNamespace}/${node.podName}`;
    this.#watch = watch;
    this.#unsynced = new Set(typeUrls);
    this.synced = this.#settle.promise;
    this.#options = { endpoint, node, typeUrls, onDemand };
    this.#stream = this.#open();
  }

  #open(): ClientStream {
    const { endpoint, node, typeUrls, onDemand = {} } = this.#options;
    const stream = grpcTransport(systemClock, endpoint).open({
      onMessage: (bytes) => this.#answer(bytes),
      onClose: (error) => this.#onClose(error?.message ?? 'the stream was ended'),
    });
    for (const typeUrl of typeUrls) {
      const names = onDemand[typeUrl];
      const first = { type_url: typeUrl, node: nodeMessage(node) };
      // An empty list would mean all.
      const request =
        names === undefined ? first : { ...first, resource_names_subscribe: [...names] };
      stream.send(DeltaDiscoveryRequest.encode(DeltaDiscoveryRequest.create(request)));
    }
    return stream;
  }

  close(): void {
    this.#closed = true;
    this.#stream.cancel();
  }

  #answer(bytes: Uint8Array): void {
    const response = DeltaDiscoveryResponse.decode(bytes);
    if (typeof response === 'string') {
      this.#onClose(`malformed response: ${response}`);
      return;
    }
    const { type_url, nonce } = response;
    this.responses += 1;
    this.bytes += bytes.length;
    const request = DeltaDiscoveryRequest.create({ type_url, response_nonce: nonce });
    this.#stream.send(DeltaDiscoveryRequest.encode(request));
    for (const mark of marksIn(bytes)) {
      if (this.acknowledged.has(mark)) continue;
      this.acknowledged.set(mark, systemClock.wallTime());
      this.#watch(this, mark);
    }
    this.#unsynced.delete(type_url);
    if (this.#unsynced.size === 0) this.#settle.resolve();
  }

  #onClose(reason: string): void {
    if (this.#closed) return;
    // As a proxy does that is turned away: it comes again.
    if (this.responses === 0 && this.#attempts < ATTEMPTS_MAX) {
      this.#attempts += 1;
      systemClock.after(RETRY_MS, () => {
        if (!this.#closed) this.#stream = this.#open();
      });
      return;
    }
    const message = `${this.name} lost its stream: ${reason}`;
    const hint = 'read the log file of control';
    this.#settle.reject(new MeshError('BENCH_SUBJECT_FAILED', message, { side: 'self', hint }));
  }
}

function* marksIn(bytes: Uint8Array): Generator<number> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  for (const [, mark] of text.matchAll(MARK)) yield Number(mark);
  for (const [, high, low] of text.matchAll(ADDRESS_TEXT)) yield Number(high) * 256 + Number(low);
  for (const [, high, low] of text.matchAll(ADDRESS_BYTES))
    yield high.charCodeAt(0) * 256 + low.charCodeAt(0);
}
