/** google.protobuf.{Any, Struct, Empty, UInt32Value} and google.rpc.Status, as the xDS and CA messages use them. */
import {
  bool,
  bytes,
  double,
  field,
  int32,
  lazy,
  type MessageCodec,
  type MessageType,
  map,
  message,
  optional,
  repeated,
  string,
  uint32,
} from './message.ts';

export const Any = message('google.protobuf.Any', {
  type_url: field(1, string),
  value: field(2, bytes),
});
export type Any = MessageType<typeof Any>;

export const Empty = message('google.protobuf.Empty', {});

export const UInt32Value = message('google.protobuf.UInt32Value', { value: field(1, uint32) });

/** google.rpc.Status without its details. */
export const Status = message('google.rpc.Status', {
  code: field(1, int32),
  message: field(2, string),
});

/** One of the fields is set. `null_value` is the enum NullValue, always 0. */
export interface StructValue {
  null_value: number | undefined;
  number_value: number | undefined;
  string_value: string | undefined;
  bool_value: boolean | undefined;
  struct_value: Struct | undefined;
  list_value: { values: StructValue[] } | undefined;
}
export interface Struct {
  fields: Map<string, StructValue>;
}

const ListValue: MessageCodec<{ values: StructValue[] }> = message('google.protobuf.ListValue', {
  values: repeated(
    1,
    lazy(() => Value),
  ),
});

const Value: MessageCodec<StructValue> = message('google.protobuf.Value', {
  null_value: optional(1, int32, 'kind'),
  number_value: optional(2, double, 'kind'),
  string_value: optional(3, string, 'kind'),
  bool_value: optional(4, bool, 'kind'),
  struct_value: optional(
    5,
    lazy(() => Struct),
    'kind',
  ),
  list_value: optional(6, ListValue, 'kind'),
});

export const Struct: MessageCodec<Struct> = message('google.protobuf.Struct', {
  fields: map(
    1,
    lazy(() => Value),
  ),
});

/** A Struct of plain strings; undefined members are left out. */
export function structOf(members: Readonly<Record<string, string | undefined>>): Struct {
  const fields = new Map<string, StructValue>();
  for (const [key, text] of Object.entries(members)) {
    if (text !== undefined) fields.set(key, Value.create({ string_value: text }));
  }
  return { fields };
}

/** The string under `key`; undefined when absent or of another type. */
export function structString(struct: Struct | undefined, key: string): string | undefined {
  return struct?.fields.get(key)?.string_value;
}
