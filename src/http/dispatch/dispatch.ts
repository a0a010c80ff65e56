/**
 * The one shape of an HTTP exchange. Servers (http/h1/server, http/h2) hand a `ServerExchange` to the
 * application; clients (http/h1/client, http/h2) take a head and call a `ResponseHandler`. HTTP/1.1 and
 * HTTP/2 implement the same interfaces, so the waypoint does not know which one it speaks.
 *
 * Heads stay bytes with an offset table (see http/dispatch/message-head.ts); strings are made on demand.
 */
import type { MeshError } from '#base/errors.ts';
import type { MessageHead } from './message-head.ts';

/** Callbacks for the body of a request that is being served. Set `exchange.handler` before returning. */
export interface RequestHandler {
  onBody(bytes: Uint8Array): void;
  onEnd(trailers: MessageHead | undefined): void;
  /** The downstream went away or broke the protocol; nothing more may be sent. `answered`: the driver's own answer to it, or 0. */
  onAbort(error: MeshError, answered: number): void;
  /** Room again after `sendBody` returned false. */
  onDrain(): void;
}

export interface ServerExchange {
  readonly request: MessageHead;
  /** True when the request has no body: `onEnd` will not be called. Of an upgrade or CONNECT the body is what the tunnel carries. */
  readonly requestEnded: boolean;
  handler: RequestHandler;
  /** An informational (1xx) or the final head. `end` true = no body follows. */
  sendHead(head: MessageHead, end: boolean): void;
  /** False when the caller should pause its source until `onDrain`; the bytes were taken all the same. */
  sendBody(bytes: Uint8Array): boolean;
  sendEnd(trailers?: MessageHead): void;
  /** Breaks the exchange off: RST_STREAM, or closing the HTTP/1.1 connection. */
  abort(): void;
  pauseRequest(): void;
  resumeRequest(): void;
}

export type OnExchange = (exchange: ServerExchange) => void;

export interface ResponseHandler {
  onHead(head: MessageHead, end: boolean): void;
  onBody(bytes: Uint8Array): void;
  onEnd(trailers: MessageHead | undefined): void;
  /** Instead of a (whole) response. `error.retry` says whether another try is safe. */
  onError(error: MeshError): void;
  onDrain(): void;
}

export interface ClientExchange {
  sendBody(bytes: Uint8Array): boolean;
  sendEnd(trailers?: MessageHead): void;
  /** Gives up on the exchange; no further callback. */
  abort(): void;
  pauseResponse(): void;
  resumeResponse(): void;
}

/** One connection to an upstream. */
export interface HttpClientConnection {
  readonly protocol: 'h1' | 'h2';
  /** Exchanges that may be started now (0 or 1 for h1; SETTINGS_MAX_CONCURRENT_STREAMS bound for h2; 0 when draining or closed). */
  readonly capacity: number;
  readonly active: number;
  dispatch(head: MessageHead, end: boolean, handler: ResponseHandler): ClientExchange;
  /** Called whenever `capacity` grew, and once with `closed` set when the connection is gone. */
  onChange: () => void;
  readonly closed: boolean;
  /** Finishes running exchanges, takes no more, then closes. */
  drain(): void;
}
