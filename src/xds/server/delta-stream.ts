/**
 * One client's stream on the server: a `DeltaServer` for each type it asks for, and what is known of its node.
 * I/O stays outside: requests come in as bytes, responses go out through `send`. Owned by control/push, which says
 * what the node may see (`views`) and when to look again.
 */
import { DeltaDiscoveryRequest, type Node } from '#wire/protobuf/discovery.ts';
import { DeltaServer, type DeltaServerStatus, type ResourceView } from '../delta/delta-server.ts';
import { encodeResponse } from '../delta/encode-response.ts';
import type { SharedNames } from '../delta/holdings.ts';
import { TYPES_PER_STREAM_MAX } from '../limits.ts';

export interface DeltaStreamOptions {
  send(bytes: Uint8Array): void;
  /** First request: who is it? A string refuses the stream and says why. */
  admit(node: Node | undefined): string | undefined;
  /** What the node may see of a type; undefined while it is not known yet (the request waits). */
  view(typeUrl: string): ResourceView | undefined;
  /** Of the type, for all streams. */
  names(typeUrl: string): SharedNames;
  /** Whether a type may have its first answer now; if not, `flush` is called when it may. */
  mayStart(): boolean;
  /**
   * Whether what the view lacks is gone for sure, or only unknown here. If not, who returns with it has no first answer, and keeps
   * what it holds, until `flush` is called when it may.
   */
  mayTakeBack(): boolean;
  nextNonce(): string;
  onAnswer(typeUrl: string, answer: 'acked' | 'nacked'): void;
  onSent(typeUrl: string, response: { sent: number; removed: number; bytes: number }): void;
}

export class DeltaStream {
  readonly #options: DeltaStreamOptions;
  readonly #types = new Map<string, DeltaServer>();
  #admitted = false;

  constructor(options: DeltaStreamOptions) {
    this.#options = options;
  }

  /** A string is the reason to end the stream. */
  onMessage(bytes: Uint8Array): string | undefined {
    const request = DeltaDiscoveryRequest.decode(bytes);
    if (typeof request === 'string') return `request is malformed: ${request}`;
    if (!this.#admitted) {
      const refusal = this.#options.admit(request.node);
      if (refusal !== undefined) return refusal;
      this.#admitted = true;
    }
    const server = this.#server(request.type_url);
    if (server === undefined) return `more than ${TYPES_PER_STREAM_MAX} types on one stream`;
    const effect = server.onRequest(request);
    if (effect === 'refused') return `too many names of ${request.type_url}`;
    if (effect === 'acked' || effect === 'nacked') this.#options.onAnswer(server.typeUrl, effect);
    this.#flush(server);
    return undefined;
  }

  /** Marks what changed; `flush` sends it. */
  onChange(typeUrl: string, names: Iterable<string>): void {
    this.#types.get(typeUrl)?.onChange(names);
  }

  /** The stream is over: nothing is sent or taken any more. */
  close(): void {
    for (const server of this.#types.values()) server.close();
    this.#types.clear();
  }

  flush(): void {
    for (const server of this.#types.values()) this.#flush(server);
  }

  /** Every type that was asked for was answered, and the client has taken what it was sent. */
  get isSettled(): boolean {
    for (const server of this.#types.values())
      if (server.isUnanswered || !server.isSettled) return false;
    return true;
  }

  status(): DeltaServerStatus[] {
    return [...this.#types.values()].map((server) => server.status());
  }

  #server(typeUrl: string): DeltaServer | undefined {
    let server = this.#types.get(typeUrl);
    if (server === undefined && this.#types.size < TYPES_PER_STREAM_MAX) {
      server = new DeltaServer(typeUrl, this.#options.names(typeUrl));
      this.#types.set(typeUrl, server);
    }
    return server;
  }

  #flush(server: DeltaServer): void {
    if (!server.due) return;
    const view = this.#options.view(server.typeUrl);
    if (view === undefined) return;
    if (server.isUnanswered) {
      if (server.contradicts(view) && !this.#options.mayTakeBack()) return;
      if (!this.#options.mayStart()) return;
    }
    const response = server.respond(view, this.#options.nextNonce());
    if (response === undefined) return;
    const bytes = encodeResponse(response);
    this.#options.send(bytes);
    this.#options.onSent(server.typeUrl, {
      sent: response.resources.length,
      removed: response.removed_resources.length,
      bytes: bytes.length,
    });
  }
}
