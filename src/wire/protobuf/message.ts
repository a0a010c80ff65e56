/**
 * Protobuf messages described by a table of fields: `message('Port', { service_port: field(1, uint32) })` gives
 * encode and decode with inferred types. Only what the mesh's messages use. Bytes are read and written by
 * @bufbuild/protobuf/wire; its generated-code runtime costs 40 ms and 15 MB at start, which every proxy would pay.
 * Unknown fields are skipped, unknown enum values refused (as ztunnel does). Fields are written in number order.
 */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { NESTING_MAX, WRITER_KEEP_BYTES } from './limits.ts';

/** How one value is written after its tag. */
export interface Codec<T> {
  readonly wireType: WireType;
  /** The proto3 default, not written by `field`; undefined for messages. */
  readonly zero: T | undefined;
  /** For messages, which have no shared default. */
  create?(): T;
  read(reader: BinaryReader, depth: number): T;
  write(writer: BinaryWriter, value: T): void;
}

/** `finish` empties it and keeps its buffer: growing a new one costs as much as a small message. */
let sharedWriter = new BinaryWriter();

interface FieldOf<T> {
  readonly number: number;
  readonly kind: 'single' | 'optional' | 'repeated' | 'map';
  readonly codec: Codec<unknown>;
  /** Of its members at most one is set: the last one read. */
  readonly oneof: string | undefined;
  /** Never set; carries the type. */
  readonly type?: T;
}

type Fields = Readonly<Record<string, FieldOf<unknown>>>;
type ValueOf<F extends Fields> = {
  -readonly [K in keyof F]: F[K] extends FieldOf<infer T> ? T : never;
};

export interface MessageCodec<T> extends Codec<T> {
  readonly typeName: string;
  /** A value with every field at its default, then `init`. */
  create(init?: Partial<T>): T;
  encode(value: T): Uint8Array;
  /** A string is the reason why the bytes are no such message. Never throws. */
  decode(bytes: Uint8Array): T | string;
}

export type MessageType<M> = M extends MessageCodec<infer T> ? T : never;

/** Raised while reading, caught by `decode`: it carries the reason. */
class ProtobufReject extends Error {}

export const string: Codec<string> = {
  wireType: WireType.LengthDelimited,
  zero: '',
  read: (reader) => reader.string(true),
  write: (writer, value) => writer.string(value),
};

/** Read values are views on the input. */
export const bytes: Codec<Uint8Array> = {
  wireType: WireType.LengthDelimited,
  zero: new Uint8Array(),
  read: (reader) => reader.bytes(),
  write: (writer, value) => writer.bytes(value),
};

export const bool: Codec<boolean> = {
  wireType: WireType.Varint,
  zero: false,
  read: (reader) => reader.bool(),
  write: (writer, value) => writer.bool(value),
};

export const uint32: Codec<number> = {
  wireType: WireType.Varint,
  zero: 0,
  read: (reader) => reader.uint32(),
  write: (writer, value) => writer.uint32(value),
};

export const int32: Codec<number> = {
  wireType: WireType.Varint,
  zero: 0,
  read: (reader) => reader.int32(),
  write: (writer, value) => writer.int32(value),
};

/** As a number: durations and the like, where 2^53 is enough. */
export const int64: Codec<number> = {
  wireType: WireType.Varint,
  zero: 0,
  read: (reader) => Number(reader.int64()),
  write: (writer, value) => writer.int64(Math.trunc(value)),
};

export const double: Codec<number> = {
  wireType: WireType.Bit64,
  zero: 0,
  read: (reader) => reader.double(),
  write: (writer, value) => writer.double(value),
};

/** Nanoseconds since the epoch and the like, which are above 2^53. */
export const fixed64: Codec<bigint> = {
  wireType: WireType.Bit64,
  zero: 0n,
  read: (reader) => BigInt(reader.fixed64()),
  write: (writer, value) => writer.fixed64(value),
};

/** Values are names; their index is the number on the wire, the first is the default. */
export function enumeration<const T extends string>(
  typeName: string,
  names: readonly T[],
): Codec<T> {
  const numbers = new Map(names.map((name, index) => [name, index]));
  return {
    wireType: WireType.Varint,
    zero: names[0],
    read(reader) {
      const number = reader.int32();
      const name = names[number];
      if (name === undefined) throw new ProtobufReject(`unknown ${typeName} value ${number}`);
      return name;
    },
    write: (writer, value) => writer.int32(numbers.get(value) ?? 0),
  };
}

/** proto3 singular scalar or enum: written when it differs from the default. */
export function field<T>(number: number, codec: Codec<T>): FieldOf<T> {
  return { number, kind: 'single', codec: codec as Codec<unknown>, oneof: undefined };
}

/** Singular message, explicit presence, or member of the named oneof: written when it is there. */
export function optional<T>(
  number: number,
  codec: Codec<T>,
  oneof?: string,
): FieldOf<T | undefined> {
  return { number, kind: 'optional', codec: codec as Codec<unknown>, oneof };
}

export function repeated<T>(number: number, codec: Codec<T>): FieldOf<T[]> {
  return { number, kind: 'repeated', codec: codec as Codec<unknown>, oneof: undefined };
}

/** `map<string, T>`. */
export function map<T>(number: number, codec: Codec<T>): FieldOf<Map<string, T>> {
  const entry = message('map entry', { key: field(1, string), value: optional(2, codec) });
  // Encoders may leave out a key or value that is at its default (ztunnel's does).
  const absent = () => codec.zero ?? codec.create?.();
  const reading: Codec<unknown> = {
    ...entry,
    read(reader, depth) {
      const { key, value } = entry.read(reader, depth);
      return { key, value: value ?? absent() };
    },
  };
  return { number, kind: 'map', codec: reading, oneof: undefined };
}

/** For messages that contain themselves. */
export function lazy<T>(get: () => MessageCodec<T>): Codec<T> {
  return {
    wireType: WireType.LengthDelimited,
    zero: undefined,
    create: () => get().create(),
    read: (reader, depth) => get().read(reader, depth),
    write: (writer, value) => get().write(writer, value),
  };
}

interface Slot extends FieldOf<unknown> {
  readonly name: string;
  readonly packable: boolean;
  /** The other members of its oneof. */
  readonly rivals: readonly string[];
}

type Bag = Record<string, unknown>;
interface MapEntry {
  key: string;
  value: unknown;
}

export function message<F extends Fields>(typeName: string, fields: F): MessageCodec<ValueOf<F>> {
  const slots: Slot[] = Object.entries(fields)
    .map(([name, spec]) => ({
      ...spec,
      name,
      packable: spec.kind === 'repeated' && spec.codec.wireType !== WireType.LengthDelimited,
      rivals: rivalsOf(fields, name),
    }))
    .sort((left, right) => left.number - right.number);
  const byNumber = new Map(slots.map((slot) => [slot.number, slot]));

  const create = (init?: Partial<ValueOf<F>>): ValueOf<F> => {
    const value: Bag = {};
    for (const slot of slots) value[slot.name] = initial(slot);
    return Object.assign(value, init) as ValueOf<F>;
  };
  const readFields = (reader: BinaryReader, end: number, depth: number): ValueOf<F> => {
    if (depth > NESTING_MAX) throw new ProtobufReject(`${typeName} is nested too deep`);
    const value = create() as Bag;
    while (reader.pos < end) {
      const [number, wireType] = reader.tag();
      const slot = byNumber.get(number);
      if (slot === undefined) reader.skip(wireType, number);
      else readSlot(reader, slot, wireType, { value, depth, typeName });
    }
    if (reader.pos !== end) throw new ProtobufReject(`${typeName} runs past its end`);
    return value as ValueOf<F>;
  };
  const writeFields = (writer: BinaryWriter, value: ValueOf<F>) => {
    for (const slot of slots) writeSlot(writer, slot, (value as Bag)[slot.name]);
  };

  return {
    typeName,
    wireType: WireType.LengthDelimited,
    zero: undefined,
    create,
    read(reader, depth) {
      const length = reader.uint32();
      if (length > reader.len - reader.pos) throw new ProtobufReject(`${typeName} is cut short`);
      return readFields(reader, reader.pos + length, depth + 1);
    },
    write(writer, value) {
      writer.fork();
      writeFields(writer, value);
      writer.join();
    },
    encode(value) {
      const writer = sharedWriter;
      writeFields(writer, value);
      const output = writer.finish();
      if (output.length > WRITER_KEEP_BYTES) sharedWriter = new BinaryWriter();
      return output;
    },
    decode(input) {
      try {
        return readFields(new BinaryReader(input), input.length, 0);
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    },
  };
}

function rivalsOf(fields: Fields, name: string): string[] {
  const { oneof } = fields[name];
  if (oneof === undefined) return [];
  const members = Object.keys(fields).filter((each) => fields[each].oneof === oneof);
  return members.filter((each) => each !== name);
}

function initial(slot: Slot): unknown {
  if (slot.kind === 'repeated') return [];
  if (slot.kind === 'map') return new Map();
  return slot.kind === 'single' ? slot.codec.zero : undefined;
}

interface Target {
  value: Bag;
  depth: number;
  typeName: string;
}

function readSlot(reader: BinaryReader, slot: Slot, wireType: WireType, target: Target): void {
  const { value, depth } = target;
  const { codec, name } = slot;
  if (slot.packable && wireType === WireType.LengthDelimited) {
    const end = reader.uint32() + reader.pos;
    if (end > reader.len) throw new ProtobufReject(`${target.typeName}.${name} is cut short`);
    while (reader.pos < end) (value[name] as unknown[]).push(codec.read(reader, depth));
    return;
  }
  if (wireType !== codec.wireType) {
    throw new ProtobufReject(`${target.typeName}.${name} has wire type ${wireType}`);
  }
  const read = codec.read(reader, depth);
  if (slot.kind === 'repeated') (value[name] as unknown[]).push(read);
  else if (slot.kind === 'map') {
    const entry = read as MapEntry;
    if (entry.value !== undefined)
      (value[name] as Map<string, unknown>).set(entry.key, entry.value);
  } else {
    for (const rival of slot.rivals) value[rival] = undefined;
    value[name] = read;
  }
}

function writeSlot(writer: BinaryWriter, slot: Slot, value: unknown): void {
  const { codec, number } = slot;
  switch (slot.kind) {
    case 'single':
      if (isZero(codec, value)) return;
      writer.tag(number, codec.wireType);
      codec.write(writer, value);
      return;
    case 'optional':
      if (value === undefined) return;
      writer.tag(number, codec.wireType);
      codec.write(writer, value);
      return;
    case 'map':
      for (const [key, item] of value as Map<string, unknown>) {
        writer.tag(number, codec.wireType);
        codec.write(writer, { key, value: item });
      }
      return;
    case 'repeated':
      writeRepeated(writer, slot, value as readonly unknown[]);
  }
}

function writeRepeated(writer: BinaryWriter, slot: Slot, items: readonly unknown[]): void {
  if (items.length === 0) return;
  if (!slot.packable) {
    for (const item of items) {
      writer.tag(slot.number, slot.codec.wireType);
      slot.codec.write(writer, item);
    }
    return;
  }
  writer.tag(slot.number, WireType.LengthDelimited).fork();
  for (const item of items) slot.codec.write(writer, item);
  writer.join();
}

function isZero(codec: Codec<unknown>, value: unknown): boolean {
  if (value instanceof Uint8Array) return value.length === 0;
  return value === codec.zero;
}
