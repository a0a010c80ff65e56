/**
 * OTLP over gRPC, in plain text: a collector in the mesh is reached through the proxy of our own pod, as by any client. One connection,
 * made at the first batch and again at the next one after it broke.
 */
import { lookup } from 'node:dns/promises';
import type { Clock } from '#base/clock.ts';
import { type MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort, parseIp } from '#base/ip.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import { ClientCall } from '#http/grpc/client-call.ts';
import { H2ClientConnection } from '#http/h2/client.ts';
import type { CollectorAddress } from '#model/telemetry/settings.ts';
import type { Network } from '#net/network.ts';
import { acceptedBy } from './answer.ts';
import type { Signal } from './encode.ts';
import type { SendOutcome } from './export-queue.ts';
import type { Send } from './http-sender.ts';

export interface GrpcSenderOptions {
  readonly collector: CollectorAddress;
  readonly signal: Signal;
  readonly timeoutMs: number;
  /** Metadata. */
  readonly headers: readonly { readonly name: string; readonly value: string }[];
}

const METHODS: Readonly<Record<Signal, string>> = {
  traces: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
  logs: '/opentelemetry.proto.collector.logs.v1.LogsService/Export',
};

export interface GrpcSender {
  readonly send: Send;
  close(): void;
}

export function grpcSender(
  deps: { readonly clock: Clock; readonly network: Network },
  options: GrpcSenderOptions,
): GrpcSender {
  let connection: H2ClientConnection | undefined;
  return {
    async send(request) {
      const { host, port } = options.collector;
      try {
        if (connection === undefined || connection.capacity === 0) {
          connection?.drain();
          connection = await connect(deps, options);
        }
        return await call(connection, request, { clock: deps.clock, options });
      } catch (error) {
        return { kind: 'again', reason: `${formatHostPort(host, port)}: ${messageOf(error)}` };
      }
    },
    close: () => connection?.drain(),
  };
}

/** One address after the other. */
async function connect(
  { clock, network }: { clock: Clock; network: Network },
  { collector, timeoutMs }: GrpcSenderOptions,
): Promise<H2ClientConnection> {
  const { host, port } = collector;
  const found = parseIp(host) === undefined ? await lookup(host, { all: true }) : undefined;
  const addresses = found?.map(({ address }) => address) ?? [host];
  let failure: unknown;
  for (const address of addresses) {
    try {
      return await new Promise<H2ClientConnection>((resolve, reject) => {
        network.connect(
          { address, port, connectTimeoutMs: timeoutMs },
          {
            onOpen(socket) {
              const client = new H2ClientConnection(socket, { clock });
              resolve(client);
              return client;
            },
            onFail: reject,
          },
        );
      });
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function call(
  connection: H2ClientConnection,
  request: Uint8Array,
  { clock, options }: { clock: Clock; options: GrpcSenderOptions },
): Promise<SendOutcome> {
  const { collector, timeoutMs } = options;
  const head = MessageHead.request(
    'POST',
    formatHostPort(collector.host, collector.port),
    METHODS[options.signal],
    'http',
  );
  head.add('te', 'trailers');
  head.add('content-type', 'application/grpc');
  head.add('user-agent', 'tulle');
  head.add('grpc-timeout', `${timeoutMs}m`);
  for (const { name, value } of options.headers) head.add(name.toLowerCase(), value);
  return new Promise((resolve) => {
    let answer: Uint8Array = new Uint8Array();
    const exchange = new ClientCall(head, {
      onMessage(bytes) {
        answer = bytes;
      },
      onClose(error) {
        timer.cancel();
        resolve(error === undefined ? acceptedBy(answer) : outcomeOf(error));
      },
    });
    const timer = clock.after(timeoutMs, () => exchange.cancel());
    exchange.send(request);
    exchange.end();
    exchange.start(connection);
  });
}

/** "OTLP/gRPC Response": what may be sent again. A call that we gave up is one of them. */
function outcomeOf(error: MeshError): SendOutcome {
  // Who calls with it otherwise speaks to the control plane.
  const reason = error.message.replace(/^control plane [^:]*: /, '');
  const status = Number(/^gRPC status (\d+)/.exec(reason)?.[1] ?? Number.NaN);
  return error.retry === 'safe' || AGAIN.has(status)
    ? { kind: 'again', reason }
    : { kind: 'refused', reason };
}

/** Cancelled, resource exhausted, aborted, out of range, data loss. */
const AGAIN = new Set([1, 8, 10, 11, 15]);
