/** Carries delta xDS over gRPC. Each attempt is a new channel, so that a rotated root is in force at the next one. */
import type { Clock } from '#base/clock.ts';
import {
  type ClientStream,
  type ClientStreamHandler,
  type ControlEndpoint,
  openChannel,
} from '#http/grpc/channel.ts';
import { DELTA_ADS_METHOD } from '#wire/protobuf/discovery.ts';
import type { XdsTransport } from './xds-client.ts';

export function grpcTransport(clock: Clock, endpoint: ControlEndpoint): XdsTransport {
  return {
    open(handler: ClientStreamHandler): ClientStream {
      const channel = openChannel(clock, endpoint);
      try {
        return channel.stream(DELTA_ADS_METHOD, {
          onMessage: (bytes) => handler.onMessage(bytes),
          onClose(error) {
            channel.close();
            handler.onClose(error);
          },
        });
      } catch (error) {
        channel.close();
        throw error;
      }
    },
  };
}
