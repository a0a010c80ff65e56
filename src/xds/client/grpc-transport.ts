/**
 * Carries delta xDS over gRPC, and other streams on the same connection. Each attempt is a new channel, so that a rotated root is in
 * force at the next one.
 */
import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import {
  type ClientStream,
  type ClientStreamHandler,
  type ControlEndpoint,
  type GrpcChannel,
  openChannel,
} from '#http/grpc/channel.ts';
import { GRPC_ERRORS } from '#http/grpc/errors.ts';
import { DELTA_ADS_METHOD } from '#wire/protobuf/discovery.ts';
import type { XdsTransport } from './xds-client.ts';

export interface ControlTransport extends XdsTransport {
  /** Another method on the connection of the discovery stream that is open. Throws a MeshError when there is none. */
  stream(method: string, handler: ClientStreamHandler): ClientStream;
}

export function grpcTransport(clock: Clock, endpoint: ControlEndpoint): ControlTransport {
  let current: GrpcChannel | undefined;
  return {
    open(handler: ClientStreamHandler): ClientStream {
      const channel = openChannel(clock, endpoint);
      const close = () => {
        if (current === channel) current = undefined;
        channel.close();
      };
      try {
        const stream = channel.stream(DELTA_ADS_METHOD, {
          onMessage: (bytes) => handler.onMessage(bytes),
          onClose(error) {
            close();
            handler.onClose(error);
          },
        });
        current = channel;
        return stream;
      } catch (error) {
        close();
        throw error;
      }
    },
    stream(method, handler) {
      if (current !== undefined) return current.stream(method, handler);
      throw new MeshError('GRPC_UNAVAILABLE', 'no connection to the control plane', {
        side: 'self',
        hint: GRPC_ERRORS.GRPC_UNAVAILABLE,
        retry: 'safe',
      });
    },
  };
}
