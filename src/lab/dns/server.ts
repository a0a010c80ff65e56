/**
 * The lab's DNS server on UDP and TCP: answers for cluster.local, and NXDOMAIN for every other name: the
 * lab is a closed world, its namespaces have no way out.
 */
import type { Logger } from '#base/log.ts';
import { CLASS_IN, DNS_REASON_TEXT, OPCODE_QUERY, RCODE } from '#wire/dns/codes.ts';
import { EDNS_PAYLOAD_BYTES, TCP_MESSAGE_BYTES_MAX, UDP_PAYLOAD_BYTES } from '#wire/dns/limits.ts';
import { answerTo, type DnsMessage, decodeMessage, encodeMessage } from '#wire/dns/message.ts';
import { negativeAuthority } from '#wire/dns/negative.ts';
import { DNS_NEGATIVE_TTL_SECONDS, DNS_TCP_CONNECTIONS_MAX } from '../limits.ts';
import { answerFromZone, negativeZone, type ZoneObjects } from './zone.ts';

export interface DnsDeps {
  objects: ZoneObjects;
  log: Logger;
}

export interface DnsOptions {
  address: string;
  port: number;
}

export interface DnsServer {
  readonly port: number;
  stop(): void;
}

/** Answers one query; undefined when it deserves none (not a query at all). */
export function answerQuery(query: DnsMessage, objects: ZoneObjects): DnsMessage | undefined {
  if (query.response) return undefined;
  const make = (rcode: number) =>
    answerTo(query, { rcode, authoritative: true, payloadBytes: EDNS_PAYLOAD_BYTES });
  if (query.opcode !== OPCODE_QUERY) return make(RCODE.notImplemented);
  if (query.questions.length !== 1) return make(RCODE.formatError);
  const [question] = query.questions;
  // The zone is of class IN; a record of it is no answer in another.
  if (question.class !== CLASS_IN) return { ...make(RCODE.refused), authoritative: false };
  const found = answerFromZone(question, objects);
  // Not our zone: say no at once, so that search lists move on.
  if (found === undefined) return { ...make(RCODE.nameError), authoritative: false };
  const { exists, answers, additionals } = found;
  const zone = negativeZone(question, answers);
  const authorities = zone === undefined ? [] : [negativeAuthority(zone, DNS_NEGATIVE_TTL_SECONDS)];
  return { ...make(exists ? RCODE.noError : RCODE.nameError), answers, authorities, additionals };
}

/** RFC 6891 §6.2.3: what the client can take, never below 512. */
function udpLimit(query: DnsMessage): number {
  return Math.min(EDNS_PAYLOAD_BYTES, Math.max(UDP_PAYLOAD_BYTES, query.edns?.payloadBytes ?? 0));
}

export async function startDnsServer(deps: DnsDeps, options: DnsOptions): Promise<DnsServer> {
  const respond = (
    bytes: Uint8Array,
    limit: (query: DnsMessage) => number,
    reply: (bytes: Uint8Array) => void,
  ) => {
    const query = decodeMessage(bytes);
    if (typeof query === 'number') {
      deps.log.debug('unreadable question', { reason: DNS_REASON_TEXT[query] });
      return;
    }
    const answer = answerQuery(query, deps.objects);
    if (answer !== undefined) reply(encodeMessage(answer, limit(query)));
  };
  const udp = await Bun.udpSocket({
    hostname: options.address,
    port: options.port,
    socket: {
      data: (socket, bytes, port, address) =>
        respond(bytes, udpLimit, (reply) => void socket.send(reply, port, address)),
    },
  });
  const tcp = listenTcp({ ...options, port: udp.port }, (bytes, reply) =>
    respond(bytes, () => TCP_MESSAGE_BYTES_MAX, reply),
  );
  return {
    port: udp.port,
    stop() {
      udp.close();
      tcp.stop(true);
    },
  };
}

interface TcpState {
  received: Buffer;
}

/** RFC 1035 §4.2.2: each message behind its length in two bytes. */
function listenTcp(
  { address, port }: DnsOptions,
  onMessage: (bytes: Uint8Array, reply: (bytes: Uint8Array) => void) => void,
) {
  let connections = 0;
  return Bun.listen<TcpState>({
    hostname: address,
    port,
    socket: {
      open(socket) {
        socket.data = { received: Buffer.alloc(0) };
        if (++connections > DNS_TCP_CONNECTIONS_MAX) socket.terminate();
      },
      close() {
        connections--;
      },
      data(socket, chunk) {
        const state = socket.data;
        state.received = Buffer.concat([state.received, chunk]);
        while (state.received.length >= 2) {
          const length = state.received.readUInt16BE(0);
          if (state.received.length < length + 2) return;
          const message = state.received.subarray(2, length + 2);
          state.received = state.received.subarray(length + 2);
          onMessage(message, (reply) => {
            const framed = Buffer.alloc(reply.length + 2);
            framed.writeUInt16BE(reply.length, 0);
            framed.set(reply, 2);
            socket.write(framed);
          });
        }
      },
    },
  });
}
