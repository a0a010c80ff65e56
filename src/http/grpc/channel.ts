/**
 * A gRPC connection of a proxy to the control plane: TLS to a named server, bearer token. The root file is read
 * once a channel, the token file at every call, since both rotate underneath. Messages are bytes here; their
 * meaning is the caller's. Used by the xDS client and the CA client.
 */
import { readFileSync } from 'node:fs';
import * as grpc from '@grpc/grpc-js';
import type { Clock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import {
  CALL_TIMEOUT_MS,
  KEEPALIVE_TIME_MS,
  KEEPALIVE_TIMEOUT_MS,
  RECEIVE_BYTES_MAX,
  WINDOW_BYTES,
} from './limits.ts';
import { errorOfStatus } from './status.ts';

export interface ControlEndpoint {
  /** `host:port`. */
  readonly address: string;
  /** Name that the server's certificate has to carry; default: the host of `address`. */
  readonly serverName?: string;
  /** PEM file of the roots that the server is verified against. */
  readonly rootFile: string;
  /** File with the bearer token; none: calls go out unauthenticated. */
  readonly tokenFile?: string;
  readonly clusterId: string;
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
  close(): void;
}

const asBuffer = (bytes: Uint8Array) =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asBytes = (buffer: Buffer): Uint8Array => buffer;

/** Throws a MeshError when the root file cannot be read. Does not connect yet. */
export function openChannel(clock: Clock, endpoint: ControlEndpoint): GrpcChannel {
  const roots = readRoots(endpoint.rootFile);
  const client = new grpc.Client(
    endpoint.address,
    grpc.credentials.createSsl(Buffer.from(roots)),
    channelOptions(endpoint),
  );
  return {
    roots,
    close: () => client.close(),
    stream(method, handler) {
      const call = client.makeBidiStreamRequest(method, asBuffer, asBytes, metadataOf(endpoint));
      let failure: unknown;
      call.on('data', (bytes: Uint8Array) => handler.onMessage(bytes));
      // `status` always follows; without a listener the error event would throw.
      call.on('error', (error) => {
        failure = error;
      });
      call.on('status', (status) => handler.onClose(errorOfStatus(status, failure)));
      return { send: (bytes) => void call.write(bytes), cancel: () => call.cancel() };
    },
    unary(method, request) {
      return new Promise((resolve, reject) => {
        const deadline = clock.wallTime() + CALL_TIMEOUT_MS;
        client.makeUnaryRequest(
          method,
          asBuffer,
          asBytes,
          request,
          metadataOf(endpoint),
          { deadline },
          (error, response) => {
            if (error !== null) reject(errorOfStatus(error, error));
            else resolve(response ?? new Uint8Array());
          },
        );
      });
    },
  };
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

function channelOptions({ address, serverName }: ControlEndpoint): grpc.ChannelOptions {
  const name = serverName ?? address.slice(0, address.lastIndexOf(':'));
  return {
    'grpc.ssl_target_name_override': name,
    'grpc.default_authority': name,
    // Else a new channel would inherit the back-off of the one that it replaces.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    'grpc.max_receive_message_length': RECEIVE_BYTES_MAX,
    'grpc.max_send_message_length': RECEIVE_BYTES_MAX,
    'grpc-node.flow_control_window': WINDOW_BYTES,
    // One DNS question a connect: there is no service config in TXT records.
    'grpc.service_config_disable_resolution': 1,
    // No proxy of the environment may stand between a proxy and its control plane.
    'grpc.enable_http_proxy': 0,
  };
}

function metadataOf({ tokenFile, clusterId }: ControlEndpoint): grpc.Metadata {
  const metadata = new grpc.Metadata();
  metadata.set('clusterid', clusterId);
  if (tokenFile === undefined) return metadata;
  try {
    metadata.set('authorization', `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`);
  } catch (cause) {
    throw new MeshError('GRPC_TOKEN_FILE', `cannot read ${tokenFile}: ${messageOf(cause)}`, {
      side: 'config',
      hint: 'is the projected service account token mounted (audience istio-ca)?',
      cause,
    });
  }
  return metadata;
}
