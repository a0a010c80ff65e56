/**
 * Reads Kubernetes' protobuf bodies (application/vnd.kubernetes.protobuf), which Go clients send for the built-in kinds,
 * into the JSON form. Only requests: answers are always JSON, which every such client accepts. Field numbers are in
 * generated/fields.json; what JSON spells differently is in the tables here.
 */
import { type JsonObject, setOwn } from '#kube/meta/object.ts';
import fields from './generated/fields.json';

/** The bytes are no Kubernetes protobuf object, or one of a kind that is not known in this form. */
export class ProtobufError extends Error {
  override readonly name = 'ProtobufError';
}

interface Field {
  name: string;
  type: string;
  shape: 'one' | 'many' | 'map';
}

const MAGIC = [0x6b, 0x38, 0x73, 0x00]; // "k8s\0"
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const DEPTH_MAX = 64;

/** Go embeds these structs: their members stand in the parent in JSON. */
const EMBEDDED = new Set([
  'handler',
  'volumeSource',
  'localObjectReference',
  'ephemeralContainerCommon',
]);
/** Go writes zeros that JSON would omit; where the Go field is a pointer a zero was meant. */
const MEANT_ZEROS = new Set([
  'activeDeadlineSeconds',
  'defaultMode',
  'exitCode',
  'fsGroup',
  'gracePeriodSeconds',
  'leaseTransitions',
  'mode',
  'priority',
  'progressDeadlineSeconds',
  'replicas',
  'revisionHistoryLimit',
  'runAsGroup',
  'runAsUser',
  'terminationGracePeriodSeconds',
]);
/** Plain Go bools, which JSON omits when false; every other false stands for a pointer to false. */
const PLAIN_BOOLS = new Set([
  'hostIPC',
  'hostNetwork',
  'hostPID',
  'paused',
  'publishNotReadyAddresses',
  'readOnly',
  'stdin',
  'stdinOnce',
  'tty',
  'unschedulable',
]);
const PACKAGES: Record<string, string> = {
  'admissionregistration.k8s.io/v1': 'admissionregistration.v1',
  'apps/v1': 'apps.v1',
  'authentication.k8s.io/v1': 'authentication.v1',
  'authorization.k8s.io/v1': 'authorization.v1',
  'autoscaling/v1': 'autoscaling.v1',
  'coordination.k8s.io/v1': 'coordination.v1',
  'discovery.k8s.io/v1': 'discovery.v1',
  'events.k8s.io/v1': 'events.v1',
  'policy/v1': 'policy.v1',
  'rbac.authorization.k8s.io/v1': 'rbac.v1',
  v1: 'core.v1',
};

const table = fields as Record<string, string | undefined>;
const parsed = new Map<string, Map<number, Field>>();

/** Throws ProtobufError. */
export function decodeProtobufObject(bytes: Uint8Array): JsonObject {
  if (!MAGIC.every((byte, index) => bytes[index] === byte))
    throw new ProtobufError('the body does not begin as a Kubernetes protobuf object');
  const envelope = readEnvelope(new Reader(bytes.subarray(MAGIC.length)));
  const { apiVersion, kind } = envelope;
  const isOptions = kind === 'DeleteOptions';
  const message = isOptions ? 'meta.v1.DeleteOptions' : `${PACKAGES[apiVersion]}.${kind}`;
  if (table[message] === undefined)
    throw new ProtobufError(`${apiVersion} ${kind} is not known in protobuf form`);
  return { apiVersion, kind, ...readMessage(new Reader(envelope.raw), message, 0) };
}

/** runtime.Unknown: 1 TypeMeta (1 apiVersion, 2 kind), 2 raw, 3 contentEncoding, 4 contentType. */
function readEnvelope(reader: Reader): { apiVersion: string; kind: string; raw: Uint8Array } {
  const envelope = { apiVersion: '', kind: '', raw: new Uint8Array(0) };
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (number === 2 && wire === BYTES) envelope.raw = new Uint8Array(reader.bytes());
    else if (number === 1 && wire === BYTES) {
      const type = new Reader(reader.bytes());
      while (!type.done) {
        const inner = type.tag();
        if (inner.wire !== BYTES) type.skip(inner.wire);
        else if (inner.number === 1) envelope.apiVersion = type.text();
        else if (inner.number === 2) envelope.kind = type.text();
        else type.skip(BYTES);
      }
    } else reader.skip(wire);
  }
  return envelope;
}

function readMessage(reader: Reader, message: string, depth: number): JsonObject {
  if (depth > DEPTH_MAX) throw new ProtobufError('the object is nested too deeply');
  const known = fieldsOf(message);
  const object: JsonObject = {};
  while (!reader.done) {
    const { number, wire } = reader.tag();
    const field = known.get(number);
    if (field === undefined) reader.skip(wire);
    else readField(reader, object, { field, wire, depth });
  }
  return object;
}

function readField(
  reader: Reader,
  object: JsonObject,
  { field, wire, depth }: { field: Field; wire: number; depth: number },
): void {
  const { name, type, shape } = field;
  if (shape === 'map') {
    const [key, value] = readEntry(new Reader(reader.bytes()), type, depth);
    const map = (object[name] ?? {}) as JsonObject;
    setOwn(map, key, value);
    object[name] = map;
    return;
  }
  const value = readValue(reader, { type, wire, depth });
  if (shape === 'many') object[name] = [...((object[name] as unknown[] | undefined) ?? []), value];
  else if (EMBEDDED.has(name)) Object.assign(object, value);
  else if (!isOmitted(name, value)) object[name] = value;
}

function readEntry(reader: Reader, type: string, depth: number): [string, unknown] {
  let key = '';
  let value: unknown = type === 'string' || type === 'bytes' ? '' : {};
  while (!reader.done) {
    const { number, wire } = reader.tag();
    if (number === 1 && wire === BYTES) key = reader.text();
    else if (number === 2) value = readValue(reader, { type, wire, depth });
    else reader.skip(wire);
  }
  return [key, value];
}

function readValue(
  reader: Reader,
  { type, wire, depth }: { type: string; wire: number; depth: number },
): unknown {
  const expected = wireOf(type);
  if (wire !== expected) throw new ProtobufError(`wire type ${wire} where ${type} was expected`);
  switch (type) {
    case 'string':
      return reader.text();
    case 'bytes':
      return Buffer.from(reader.bytes()).toString('base64');
    case 'bool':
      return reader.varint() !== 0n;
    case 'double':
      return reader.double();
    case 'int32':
    case 'int64':
    case 'uint32':
    case 'uint64':
      return Number(BigInt.asIntN(64, reader.varint()));
    default: {
      const bytes = reader.bytes();
      const special = SPECIAL[type];
      const inner = readMessage(new Reader(bytes), type, depth + 1);
      return special === undefined ? inner : special(inner, bytes.length === 0);
    }
  }
}

/** Messages that are scalars in JSON. */
const SPECIAL: Record<string, ((message: JsonObject, empty: boolean) => unknown) | undefined> = {
  'meta.v1.Time': (time, empty) => (empty ? undefined : timeText(time, 0)),
  'meta.v1.MicroTime': (time, empty) => (empty ? undefined : timeText(time, 6)),
  'meta.v1.FieldsV1': ({ Raw }) => parseRaw(Raw),
  'runtime.RawExtension': ({ raw }) => parseRaw(raw),
  'resource.Quantity': ({ string }) => string ?? '0',
  'intstr.IntOrString': ({ type, intVal, strVal }) => (type === 1 ? (strVal ?? '') : (intVal ?? 0)),
  'authentication.v1.ExtraValue': ({ items }) => items ?? [],
  'authorization.v1.ExtraValue': ({ items }) => items ?? [],
};

function timeText({ seconds, nanos }: JsonObject, digits: number): string {
  const date = new Date(Number(seconds ?? 0) * 1000);
  if (Number.isNaN(date.getTime())) throw new ProtobufError('a time is out of range');
  const text = date.toISOString().slice(0, 19);
  if (digits === 0) return `${text}Z`;
  return `${text}.${String(nanos ?? 0)
    .padStart(9, '0')
    .slice(0, digits)}Z`;
}

function parseRaw(base64: unknown): unknown {
  try {
    return JSON.parse(Buffer.from(String(base64 ?? ''), 'base64').toString());
  } catch (error) {
    throw new ProtobufError(`an embedded object is not JSON: ${error}`);
  }
}

function isOmitted(name: string, value: unknown): boolean {
  if (value === undefined || value === '') return true;
  if (value === false) return PLAIN_BOOLS.has(name);
  return value === 0 && !MEANT_ZEROS.has(name) && name !== 'seconds' && name !== 'intVal';
}

function wireOf(type: string): number {
  if (type === 'double') return FIXED64;
  return /^(bool|u?int(32|64))$/.test(type) ? VARINT : BYTES;
}

function fieldsOf(message: string): Map<number, Field> {
  const known = parsed.get(message);
  if (known !== undefined) return known;
  const result = new Map<number, Field>();
  for (const row of (table[message] ?? '').split(';')) {
    const [number, name, spec] = row.split(' ');
    if (spec === undefined) continue;
    const shape = spec[0] === '*' ? 'many' : spec[0] === '%' ? 'map' : 'one';
    result.set(Number(number), { name, shape, type: spec.replace(/^[*%]/, '') });
  }
  parsed.set(message, result);
  return result;
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  tag(): { number: number; wire: number } {
    const value = Number(this.varint());
    return { number: Math.floor(value / 8), wire: value % 8 };
  }

  varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.done) throw new ProtobufError('the body ends inside a number');
      const byte = this.#bytes[this.#at++];
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    throw new ProtobufError('a number is longer than 64 bits');
  }

  bytes(): Uint8Array {
    return this.#take(Number(this.varint()));
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }

  double(): number {
    const bytes = this.#take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
  }

  skip(wire: number): void {
    if (wire === VARINT) this.varint();
    else if (wire === BYTES) this.bytes();
    else if (wire === FIXED64) this.#take(8);
    else if (wire === FIXED32) this.#take(4);
    else throw new ProtobufError(`wire type ${wire} is not used`);
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new ProtobufError('the body ends inside a field');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }
}
