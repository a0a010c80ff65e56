/**
 * A gRPC server over TLS whose methods take and give bytes: the control plane's end of xDS and the CA. A handler
 * ends a call with a `GrpcStatus`; a unary handler may throw a `GrpcStatusError`.
 */
import { lookup } from 'node:dns/promises';
import type { Clock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort, parseIp } from '#base/ip.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { TlsConnection } from '#net/connection.ts';
import type { TlsListener } from '#net/network.ts';
import type { ServerExchange } from '../dispatch/dispatch.ts';
import { H2ServerConnection } from '../h2/server.ts';
import { GRPC_ERRORS } from './errors.ts';
import { KEEPALIVE_TIME_MS, KEEPALIVE_TIMEOUT_MS, SERVER_DRAIN_MS } from './limits.ts';
import {
  type CallContext,
  ServerCall,
  type ServerStream,
  type ServerStreamHandler,
} from './server-call.ts';
import { GRPC_STATUS, type GrpcStatus } from './status.ts';

export type { CallContext, ServerStream, ServerStreamHandler } from './server-call.ts';

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
  /** PEM roots: clients may prove who they are by a certificate, and one that does not chain to these is refused. Without: nobody is asked. */
  readonly clientRoots?: string;
}

export interface GrpcServer {
  readonly port: number;
  /** New handshakes use it; open connections live on. */
  replaceIdentity(identity: Pick<GrpcServerOptions, 'certificateChain' | 'privateKey'>): void;
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

const H2_OPTIONS = {
  keepAlive: { intervalMs: KEEPALIVE_TIME_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
};

export async function startGrpcServer(
  clock: Clock,
  options: GrpcServerOptions,
  methods: GrpcMethods,
): Promise<GrpcServer> {
  const open = new Set<H2ServerConnection>();
  let onIdle: (() => void) | undefined;
  const accept = (socket: TlsConnection) => {
    const client = {
      peer: formatHostPort(socket.remoteAddress, socket.remotePort),
      principals: socket.peerUris,
    };
    const onClose = () => {
      open.delete(connection);
      if (open.size === 0) onIdle?.();
    };
    const connection = new H2ServerConnection(
      socket,
      { clock },
      { ...H2_OPTIONS, onClose },
      (exchange) => serve(exchange, client, methods),
    );
    open.add(connection);
    return connection;
  };
  const listener = await listen(clock, options, accept);
  return {
    port: listener.port,
    replaceIdentity: (identity) =>
      listener.replaceIdentity(tlsIdentityOf(identity, options.clientRoots)),
    stop() {
      listener.stop();
      return new Promise((resolve) => {
        const timer = clock.after(SERVER_DRAIN_MS, () => {
          for (const connection of [...open]) connection.close();
        });
        onIdle = () => {
          timer.cancel();
          resolve();
        };
        for (const connection of [...open]) connection.drain();
        if (open.size === 0) onIdle();
      });
    },
  };
}

/** Callers prove who they are by token, or by certificate where roots for that are given. */
function tlsIdentityOf(
  { certificateChain, privateKey }: Pick<GrpcServerOptions, 'certificateChain' | 'privateKey'>,
  clientRoots: string | undefined,
) {
  return { certificateChain, privateKey, trustBundle: clientRoots ?? certificateChain };
}

async function listen(
  clock: Clock,
  options: GrpcServerOptions,
  accept: (socket: TlsConnection) => H2ServerConnection,
): Promise<TlsListener> {
  const { port } = options;
  try {
    const known = parseIp(options.address) !== undefined;
    const address = known ? options.address : (await lookup(options.address)).address;
    return new BunNetwork({ clock }).listenTls(
      {
        address,
        port,
        identity: tlsIdentityOf(options, options.clientRoots),
        clientCertificate: options.clientRoots === undefined ? 'none' : 'optional',
        alpn: ['h2'],
      },
      accept,
    );
  } catch (cause) {
    const place = formatHostPort(options.address, port);
    throw new MeshError('GRPC_LISTEN_FAILED', `cannot listen on ${place}: ${messageOf(cause)}`, {
      side: 'self',
      hint: GRPC_ERRORS.GRPC_LISTEN_FAILED,
      cause,
    });
  }
}

function serve(
  exchange: ServerExchange,
  client: Pick<CallContext, 'peer' | 'principals'>,
  methods: GrpcMethods,
): void {
  const { path } = exchange.request;
  const call = new ServerCall(exchange, client);
  const open = Object.hasOwn(methods.streams, path) ? methods.streams[path] : undefined;
  const answer = Object.hasOwn(methods.unary, path) ? methods.unary[path] : undefined;
  if (open !== undefined) call.handler = open(call);
  else if (answer !== undefined) call.handler = new UnaryAnswer(call, answer);
  else call.close({ code: GRPC_STATUS.unimplemented, details: `no method ${path}` });
}

/** One message in, one out. */
class UnaryAnswer implements ServerStreamHandler {
  readonly #call: ServerCall;
  readonly #answer: (request: Uint8Array, context: CallContext) => Promise<Uint8Array>;
  #request: Uint8Array | undefined = undefined;

  constructor(
    call: ServerCall,
    answer: (request: Uint8Array, context: CallContext) => Promise<Uint8Array>,
  ) {
    this.#call = call;
    this.#answer = answer;
  }

  onMessage(bytes: Uint8Array): void {
    if (this.#request === undefined) this.#request = bytes;
    else this.#call.close({ code: GRPC_STATUS.invalidArgument, details: 'more than one message' });
  }

  onEnd(): void {
    if (this.#request === undefined) {
      this.#call.close({ code: GRPC_STATUS.invalidArgument, details: 'no message' });
      return;
    }
    this.#answer(this.#request, this.#call).then(
      (response) => {
        this.#call.send(response);
        this.#call.close({ code: GRPC_STATUS.ok, details: '' });
      },
      (error: unknown) => this.#call.close(statusOf(error)),
    );
  }

  onClose(): void {
    // A caller that left does not stop the signing of what it asked for.
  }
}

function statusOf(error: unknown): GrpcStatus {
  if (error instanceof GrpcStatusError) return error.status;
  return { code: GRPC_STATUS.internal, details: messageOf(error) };
}
