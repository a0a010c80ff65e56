/**
 * A gRPC server over TLS whose methods take and give bytes: the control plane's end of xDS and the CA. A handler
 * ends a call with a `GrpcStatus`; a unary handler may throw a `GrpcStatusError`.
 */
import * as grpc from '@grpc/grpc-js';
import type { Clock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import {
  KEEPALIVE_TIME_MS,
  KEEPALIVE_TIMEOUT_MS,
  RECEIVE_BYTES_MAX,
  SERVER_DRAIN_MS,
  SERVER_RECEIVE_BYTES_MAX,
} from './limits.ts';
import { GRPC_STATUS, type GrpcStatus } from './status.ts';

export interface CallContext {
  /** `ip:port` of the client. */
  readonly peer: string;
  /** First value of a request header, lower-case name. */
  header(name: string): string | undefined;
}

export interface ServerStream extends CallContext {
  send(bytes: Uint8Array): void;
  /** Ends the call; later messages of the client are dropped. */
  close(status: GrpcStatus): void;
}

export interface ServerStreamHandler {
  onMessage(bytes: Uint8Array): void;
  /** Exactly once: the client left, the connection broke, or `close` was called. */
  onClose(): void;
}

export interface GrpcMethods {
  /** By full method path. */
  readonly streams: Readonly<Record<string, (stream: ServerStream) => ServerStreamHandler>>;
  readonly unary: Readonly<
    Record<string, (request: Uint8Array, context: CallContext) => Promise<Uint8Array>>
  >;
}

export interface GrpcServerOptions {
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** PEM, leaf first. */
  readonly certificateChain: string;
  /** PEM. */
  readonly privateKey: string;
}

export interface GrpcServer {
  readonly port: number;
  /** Finishes unary calls, cuts streams. */
  stop(): Promise<void>;
}

export class GrpcStatusError extends Error {
  readonly status: GrpcStatus;

  constructor(status: GrpcStatus) {
    super(status.details);
    this.status = status;
  }
}

const asBuffer = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asBytes = (buffer: Buffer): Uint8Array => buffer;
const CODECS = {
  requestSerialize: asBuffer,
  requestDeserialize: asBytes,
  responseSerialize: asBuffer,
  responseDeserialize: asBytes,
};

export async function startGrpcServer(
  clock: Clock,
  options: GrpcServerOptions,
  methods: GrpcMethods,
): Promise<GrpcServer> {
  const server = new grpc.Server({
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.max_receive_message_length': SERVER_RECEIVE_BYTES_MAX,
    'grpc.max_send_message_length': RECEIVE_BYTES_MAX,
  });
  for (const [path, open] of Object.entries(methods.streams)) addStream(server, path, open);
  for (const [path, call] of Object.entries(methods.unary)) addUnary(server, path, call);
  const port = await bind(server, options);
  return {
    port,
    stop() {
      return new Promise((resolve) => {
        const timer = clock.after(SERVER_DRAIN_MS, () => server.forceShutdown());
        server.tryShutdown(() => {
          timer.cancel();
          resolve();
        });
      });
    },
  };
}

function bind(server: grpc.Server, options: GrpcServerOptions): Promise<number> {
  const { address, port, certificateChain, privateKey } = options;
  const credentials = grpc.ServerCredentials.createSsl(
    null,
    [{ cert_chain: Buffer.from(certificateChain), private_key: Buffer.from(privateKey) }],
    false,
  );
  const host = address.includes(':') ? `[${address}]` : address;
  return new Promise((resolve, reject) => {
    server.bindAsync(`${host}:${port}`, credentials, (cause, bound) => {
      if (cause === null) {
        resolve(bound);
        return;
      }
      const message = `cannot listen on ${host}:${port}: ${cause.message}`;
      const hint = 'is the port taken or the privilege missing? try `ss -ltnp`';
      reject(new MeshError('GRPC_LISTEN_FAILED', message, { side: 'self', hint, cause }));
    });
  });
}

function addStream(
  server: grpc.Server,
  path: string,
  open: (stream: ServerStream) => ServerStreamHandler,
): void {
  const handle: grpc.handleBidiStreamingCall<Uint8Array, Uint8Array> = (call) => {
    let closed = false;
    let handler: ServerStreamHandler | undefined;
    const finish = () => {
      if (closed) return;
      closed = true;
      handler?.onClose();
    };
    handler = open({
      ...contextOf(call),
      send: (bytes) => {
        if (!closed) call.write(bytes);
      },
      close: (status) => {
        if (closed) return;
        if (status.code === GRPC_STATUS.ok) call.end();
        else call.emit('error', Object.assign(new Error(status.details), status));
        finish();
      },
    });
    call.on('data', (bytes: Uint8Array) => {
      if (!closed) handler?.onMessage(bytes);
    });
    call.on('end', () => {
      call.end();
      finish();
    });
    call.on('cancelled', finish);
    call.on('error', finish);
  };
  server.addService(
    { stream: { path, requestStream: true, responseStream: true, ...CODECS } },
    { stream: handle },
  );
}

function addUnary(
  server: grpc.Server,
  path: string,
  answer: (request: Uint8Array, context: CallContext) => Promise<Uint8Array>,
): void {
  const handle: grpc.handleUnaryCall<Uint8Array, Uint8Array> = (call, callback) => {
    answer(call.request, contextOf(call)).then(
      (response) => callback(null, response),
      (error: unknown) => callback(statusOf(error)),
    );
  };
  server.addService(
    { unary: { path, requestStream: false, responseStream: false, ...CODECS } },
    { unary: handle },
  );
}

function statusOf(error: unknown): GrpcStatus {
  if (error instanceof GrpcStatusError) return error.status;
  return { code: GRPC_STATUS.internal, details: messageOf(error) };
}

function contextOf(call: { getPeer(): string; metadata: grpc.Metadata }): CallContext {
  return {
    peer: call.getPeer(),
    header(name) {
      const [value] = call.metadata.get(name);
      return value === undefined ? undefined : value.toString();
    },
  };
}
