/** Verdicts as bytes: what the client gets when the mesh itself answers or refuses. Pure. */
import type { Service } from '#model/service/service.ts';
import { CLASS_IN, RCODE, TYPE } from '#wire/dns/codes.ts';
import {
  TCP_MESSAGE_BYTES_MAX,
  UDP_MESSAGE_BYTES_MAX,
  UDP_PAYLOAD_BYTES,
} from '#wire/dns/limits.ts';
import {
  answerTo,
  type DnsMessage,
  decodeMessage,
  encodeMessage,
  type RecordValue,
  type ResourceRecord,
} from '#wire/dns/message.ts';
import { negativeAuthority } from '#wire/dns/negative.ts';
import { bareRefusal, HEADER_BYTES } from '#wire/dns/query.ts';
import {
  LOCAL_NEGATIVE_TTL_SECONDS,
  LOCAL_TTL_SECONDS,
  READ_ADDITIONALS_MAX,
  READ_QUERY_BYTES_MAX,
} from './limits.ts';

export type DnsProtocol = 'udp' | 'tcp';

export interface LocalAnswer {
  readonly service: Service;
  readonly alias: string | undefined;
  readonly addresses: readonly string[];
}

/** Authoritative, cut to what the client can take (then with TC: it asks again over TCP). */
export function encodeAnswer(
  query: Uint8Array,
  { alias, addresses }: LocalAnswer,
  protocol: DnsProtocol,
): Uint8Array {
  const asked = readQuery(query);
  if (asked === undefined) return bareRefusal(query, RCODE.formatError);
  // RFC 6891 §6.1.3: only version 0 is known.
  if ((asked.edns?.version ?? 0) > 0) return encodeError(query, RCODE.badVersion);
  const [question] = asked.questions;
  const answers: ResourceRecord[] = [];
  if (alias !== undefined)
    answers.push(record(question.name, TYPE.CNAME, { kind: 'name', name: alias }));
  for (const address of addresses)
    answers.push(record(alias ?? question.name, question.type, { kind: 'address', address }));
  // The mesh speaks for this name alone, others beside it are asked elsewhere: it is a zone of its own.
  const authorities =
    addresses.length === 0 ? [negativeAuthority(question.name, LOCAL_NEGATIVE_TTL_SECONDS)] : [];
  return encodeMessage(
    { ...emptyAnswer(asked, RCODE.noError, true), answers, authorities },
    roomOf(asked, protocol),
  );
}

/** The question comes back with a code, as far as it can be read. */
export function encodeError(query: Uint8Array, rcode: number): Uint8Array {
  const asked = readQuery(query);
  if (asked === undefined) return bareRefusal(query, rcode);
  return encodeMessage(emptyAnswer(asked, rcode, false), TCP_MESSAGE_BYTES_MAX);
}

/** Undefined for what no resolver asks: reading it whole would be work that a hostile pod can order. */
function readQuery(query: Uint8Array): DnsMessage | undefined {
  if (query.length < HEADER_BYTES || query.length > READ_QUERY_BYTES_MAX) return undefined;
  // RFC 1035 §4.1.1: counts of answers, authorities and additionals.
  const [answers, authorities, additionals] = [6, 8, 10].map(
    (at) => (query[at] << 8) | query[at + 1],
  );
  if (answers + authorities > 0 || additionals > READ_ADDITIONALS_MAX) return undefined;
  const message = decodeMessage(query);
  return typeof message === 'number' ? undefined : message;
}

function emptyAnswer(asked: DnsMessage, rcode: number, authoritative: boolean): DnsMessage {
  return answerTo(asked, { rcode, authoritative, payloadBytes: payloadOf(asked) });
}

function roomOf(asked: DnsMessage, protocol: DnsProtocol): number {
  return protocol === 'tcp'
    ? TCP_MESSAGE_BYTES_MAX
    : Math.min(payloadOf(asked), UDP_MESSAGE_BYTES_MAX);
}

/** RFC 6891 §6.2.3: less than 512 counts as 512. */
function payloadOf({ edns }: DnsMessage): number {
  return Math.max(UDP_PAYLOAD_BYTES, edns?.payloadBytes ?? 0);
}

function record(name: string, type: number, value: RecordValue): ResourceRecord {
  return { name, type, class: CLASS_IN, ttlSeconds: LOCAL_TTL_SECONDS, value };
}
