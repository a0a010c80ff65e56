/**
 * Protobuf and gRPC by hand, from the published field numbers: what the outside ends of these tests speak. Nothing here
 * uses the product's codecs, so that both sides cannot be wrong in the same way.
 */

export type Part = Uint8Array;
export const utf8 = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text));

export function join(...parts: readonly Part[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function base128(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest > 0x7fn; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return new Uint8Array(bytes);
}

/** Field of wire type 0. */
export const number = (field: number, value: number): Part =>
  join(base128(field * 8), base128(value));

/** Field of wire type 2. */
export const bytes = (field: number, value: Uint8Array): Part =>
  join(base128(field * 8 + 2), base128(value.length), value);

export const text = (field: number, value: string): Part => bytes(field, utf8(value));

export const nested = (field: number, ...parts: readonly Part[]): Part =>
  bytes(field, join(...parts));

/** google.protobuf.Any. */
export const any = (field: number, typeUrl: string, value: Uint8Array): Part =>
  nested(field, text(1, typeUrl), bytes(2, value));

/** `map<string, …>` entry whose value is `value` under field 2. */
export const entry = (field: number, key: string, value: Part): Part =>
  nested(field, text(1, key), value);

export const address = (ip: string): Uint8Array => {
  if (!ip.includes(':')) return new Uint8Array(ip.split('.').map(Number));
  const [head, tail = ''] = ip.split('::');
  const groups = (half: string) => half.split(':').filter(Boolean);
  const missing = 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...new Array(missing).fill('0'), ...groups(tail)];
  return new Uint8Array(Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex'));
};

/** Fields of a message by number, in the order they came. */
export type Fields = Map<number, (number | Uint8Array)[]>;

export function fieldsOf(message: Uint8Array): Fields {
  const fields: Fields = new Map();
  let at = 0;
  const read = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
  };
  while (at < message.length) {
    const tag = read();
    const field = Math.floor(tag / 8);
    let value: number | Uint8Array;
    if (tag % 8 === 0) value = read();
    else if (tag % 8 === 2) {
      const length = read();
      value = message.slice(at, at + length);
      at += length;
    } else throw new Error(`wire type ${tag % 8} of field ${field}`);
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

export const texts = (fields: Fields, field: number): string[] =>
  (fields.get(field) ?? []).map((value) => Buffer.from(value as Uint8Array).toString());
export const textOf = (fields: Fields, field: number): string => texts(fields, field)[0] ?? '';
export const messages = (fields: Fields, field: number): Fields[] =>
  (fields.get(field) ?? []).map((value) => fieldsOf(value as Uint8Array));
export const bytesOf = (fields: Fields, field: number): Uint8Array =>
  (fields.get(field)?.[0] as Uint8Array | undefined) ?? new Uint8Array();
export const numberOf = (fields: Fields, field: number): number =>
  (fields.get(field)?.[0] as number | undefined) ?? 0;

/** A gRPC message with its five-byte prefix. */
export function frame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Cuts a byte stream into gRPC messages. */
export class Deframer {
  #rest = Buffer.alloc(0);

  push(chunk: Uint8Array): Uint8Array[] {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    const whole: Uint8Array[] = [];
    while (this.#rest.length >= 5) {
      const length = this.#rest.readUInt32BE(1);
      if (this.#rest.length < 5 + length) break;
      whole.push(Uint8Array.from(this.#rest.subarray(5, 5 + length)));
      this.#rest = this.#rest.subarray(5 + length);
    }
    return whole;
  }
}

export const DELTA_ADS =
  '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources';
export const CREATE_CERTIFICATE = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
export const ADDRESS = 'type.googleapis.com/istio.workload.Address';
export const WORKLOAD = 'type.googleapis.com/istio.workload.Workload';
export const AUTHORIZATION = 'type.googleapis.com/istio.security.Authorization';
