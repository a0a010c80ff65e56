/**
 * A gRPC connection of a proxy to the control plane: HTTP/2 over TLS to a named server, bearer token. The root file is
 * read once a channel, the token file at every call, since both rotate underneath. Connects at the first call and
 * again at the next one after it broke. Messages are bytes here; their meaning is the caller's (xDS, the CA).
 */
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { parseHostPort, parseIp } from '#base/ip.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { ConnectionHandler, TlsConnection, TlsIdentity } from '#net/connection.ts';
import { judgeByAddress } from '#net/tls/peer-address.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2ClientConnection } from '../h2/client.ts';
import { ClientCall } from './client-call.ts';
import {
  CALL_TIMEOUT_MS,
  KEEPALIVE_TIME_MS,
  KEEPALIVE_TIMEOUT_MS,
  WINDOW_BYTES,
} from './limits.ts';
import { GRPC_STATUS } from './status.ts';

export interface ControlEndpoint extends EndpointBase {
  /** PEM file of the roots that the server is verified against. */
  readonly rootFile: string;
}

/** Of a replica, which has the roots and proves who it is by certificate. */
export interface ReplicaEndpoint extends EndpointBase {
  /** PEM. */
  readonly roots: string;
  readonly identity: TlsIdentity;
}

interface EndpointBase {
  /** `host:port`. */
  readonly address: string;
  /** Name that the server's certificate has to carry; default: the host of `address`. */
  readonly serverName?: string;
  /** File with the bearer token; none: calls go out unauthenticated. */
  readonly tokenFile?: string;
  readonly clusterId: string;
  /** Further fields of every call, in lower case: what a control plane in front of which somebody else stands may ask for. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ClientStreamHandler {
  onMessage(bytes: Uint8Array): void;
  /** Exactly once, last. Undefined: the server ended the stream in good order. */
  onClose(error: MeshError | undefined): void;
}

export interface ClientStream {
  send(bytes: Uint8Array): void;
  cancel(): void;
}

export interface GrpcChannel {
  /** Throws a MeshError when the token cannot be read. */
  stream(method: string, handler: ClientStreamHandler): ClientStream;
  unary(method: string, request: Uint8Array): Promise<Uint8Array>;
  /** Content of the root file that this channel trusts. */
  readonly roots: string;
  /** Takes no more calls; those that run finish. */
  close(): void;
}

const H2_OPTIONS = {
  streamWindowBytes: WINDOW_BYTES,
  connectionWindowBytes: WINDOW_BYTES,
  keepAlive: { intervalMs: KEEPALIVE_TIME_MS, timeoutMs: KEEPALIVE_TIMEOUT_MS },
};

/** Throws a MeshError when the root file cannot be read. Does not connect yet. */
export function openChannel(
  clock: Clock,
  endpoint: ControlEndpoint | ReplicaEndpoint,
): GrpcChannel {
  return new Channel(clock, endpoint);
}

class Channel implements GrpcChannel {
  readonly roots: string;
  readonly #clock: Clock;
  readonly #endpoint: ControlEndpoint | ReplicaEndpoint;
  readonly #network: BunNetwork;
  #client: H2ClientConnection | undefined = undefined;
  #connecting = false;
  #closed = false;
  /** Calls made while there is no connection. */
  #waiting: ClientCall[] = [];

  constructor(clock: Clock, endpoint: ControlEndpoint | ReplicaEndpoint) {
    this.roots = 'roots' in endpoint ? endpoint.roots : readRoots(endpoint.rootFile);
    this.#clock = clock;
    this.#endpoint = endpoint;
    this.#network = new BunNetwork({ clock });
  }

  stream(method: string, handler: ClientStreamHandler): ClientStream {
    const call = new ClientCall(headOf(this.#endpoint, method), handler);
    this.#start(call);
    return call;
  }

  unary(method: string, request: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      let response: Uint8Array = new Uint8Array();
      const head = headOf(this.#endpoint, method);
      head.set('grpc-timeout', `${CALL_TIMEOUT_MS}m`);
      const call = new ClientCall(head, {
        onMessage: (bytes) => {
          response = bytes;
        },
        onClose(error) {
          timer.cancel();
          if (error === undefined) resolve(response);
          else reject(error);
        },
      });
      const timer = this.#clock.after(CALL_TIMEOUT_MS, () => {
        const details = `no answer in ${CALL_TIMEOUT_MS} ms`;
        call.stop({ code: GRPC_STATUS.deadlineExceeded, details });
      });
      call.send(request);
      call.end();
      this.#start(call);
    });
  }

  close(): void {
    this.#closed = true;
    for (const call of this.#waiting.splice(0)) call.cancel();
    this.#client?.drain();
  }

  #start(call: ClientCall): void {
    if (this.#client !== undefined && this.#client.capacity > 0) {
      call.start(this.#client);
      return;
    }
    this.#waiting.push(call);
    if (this.#connecting) return;
    this.#connecting = true;
    // What is full or going away finishes what it has.
    this.#client?.drain();
    this.#connect().catch((error: unknown) => this.#failed(error));
  }

  async #connect(): Promise<void> {
    const target = parseHostPort(this.#endpoint.address);
    if (target === undefined) throw new Error(`${this.#endpoint.address} is not HOST:PORT`);
    const { host, port } = target;
    const found = parseIp(host) === undefined ? await lookup(host, { all: true }) : undefined;
    const addresses = found?.map(({ address }) => address) ?? [host];
    this.#dial({ addresses, port, name: this.#endpoint.serverName ?? host });
  }

  /** One address after the other. */
  #dial(target: { addresses: readonly string[]; port: number; name: string }): void {
    const { addresses, port, name } = target;
    const [address, ...others] = addresses;
    const judgePeer = judgeByAddress(name);
    this.#network.connectTls(
      {
        address,
        port,
        identity: 'identity' in this.#endpoint ? this.#endpoint.identity : undefined,
        trustBundle: this.roots,
        serverName: judgePeer === undefined ? name : undefined,
        judgePeer,
        alpn: ['h2'],
        connectTimeoutMs: CALL_TIMEOUT_MS,
      },
      {
        onOpen: (connection) => this.#opened(connection),
        onFail: (error) => {
          if (others.length === 0) this.#failed(error);
          else this.#dial({ ...target, addresses: others });
        },
      },
    );
  }

  #opened(connection: TlsConnection): ConnectionHandler {
    const client = new H2ClientConnection(connection, { clock: this.#clock }, H2_OPTIONS);
    this.#client = client;
    this.#connecting = false;
    for (const call of this.#waiting.splice(0)) {
      if (!call.over) call.start(client);
    }
    if (this.#closed) client.drain();
    return client;
  }

  #failed(error: unknown): void {
    this.#connecting = false;
    const details = messageOf(error);
    for (const call of this.#waiting.splice(0)) {
      call.stop({ code: GRPC_STATUS.unavailable, details }, error);
    }
  }
}

/** Throws a MeshError. */
export function readRoots(rootFile: string): string {
  try {
    return readFileSync(rootFile, 'utf8');
  } catch (cause) {
    throw new MeshError('GRPC_ROOT_FILE', `cannot read ${rootFile}: ${messageOf(cause)}`, {
      side: 'config',
      hint: 'is the ConfigMap istio-ca-root-cert mounted?',
      cause,
    });
  }
}

function headOf(endpoint: EndpointBase, method: string): MessageHead {
  const { address, serverName, tokenFile, clusterId, headers = {} } = endpoint;
  const authority = serverName ?? address.slice(0, address.lastIndexOf(':'));
  const head = MessageHead.request('POST', authority, method, 'https');
  head.add('te', 'trailers');
  head.add('content-type', 'application/grpc');
  head.add('user-agent', 'tulle');
  head.add('clusterid', clusterId);
  for (const [name, value] of Object.entries(headers)) head.add(name, value);
  if (tokenFile !== undefined) head.add('authorization', `Bearer ${readToken(tokenFile)}`);
  return head;
}

function readToken(tokenFile: string): string {
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch (cause) {
    throw new MeshError('GRPC_TOKEN_FILE', `cannot read ${tokenFile}: ${messageOf(cause)}`, {
      side: 'config',
      hint: 'is the projected service account token mounted (audience istio-ca)?',
      cause,
    });
  }
}
