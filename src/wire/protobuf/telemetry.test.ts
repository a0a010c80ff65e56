/** docs/telemetry-stream.proto says what the tables say: every field with its number. */
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MessageCodec } from './message.ts';
import * as tables from './telemetry.ts';

const PROTO = readFileSync(join(import.meta.dir, '../../../docs/telemetry-stream.proto'), 'utf8');

/** Fields with their numbers, by name of the message; members of a oneof are fields of it. */
function readProto(text: string): Map<string, Record<string, number>> {
  const messages = new Map<string, Record<string, number>>();
  const stack: { kind: string; name: string }[] = [];
  const statements = /(message|enum|service|oneof) (\w+) \{|\}|(\w+) = (\d+);/g;
  for (const [all, kind, name, field, number] of text.replace(/\/\/.*/g, '').matchAll(statements)) {
    if (all === '}') stack.pop();
    else if (kind !== undefined) {
      stack.push({ kind, name });
      if (kind === 'message') messages.set(nameOf(stack), {});
    } else if (stack.at(-1)?.kind !== 'enum') {
      const of = messages.get(nameOf(stack));
      if (of !== undefined) of[field] = Number(number);
    }
  }
  return messages;
}

function nameOf(stack: readonly { kind: string; name: string }[]): string {
  const messages = stack.filter(({ kind }) => kind === 'message');
  return messages.map(({ name }) => name).join('.');
}

/** Something in a field, as each wire type writes it: a number, eight bytes, an empty message, a text. */
const VALUES = [
  [0, 1],
  [1, 1, 1, 1, 1, 1, 1, 1, 1],
  [2, 0],
  [2, 1, 0x78],
];

function fieldAt(codec: MessageCodec<Record<string, unknown>>, number: number): string | undefined {
  const empty = codec.create();
  for (const [wireType, ...value] of VALUES) {
    const tag = (number << 3) | wireType;
    const bytes = tag < 0x80 ? [tag] : [(tag & 0x7f) | 0x80, tag >> 7];
    const read = codec.decode(Uint8Array.from([...bytes, ...value]));
    if (typeof read === 'string') continue;
    const set = Object.keys(read).find((name) => !Bun.deepEquals(read[name], empty[name]));
    if (set !== undefined) return set;
  }
  return undefined;
}

describe('docs/telemetry-stream.proto', () => {
  const messages = readProto(PROTO);
  const codecs = Object.values(tables).filter(
    (table): table is MessageCodec<never> => typeof table === 'object' && 'typeName' in table,
  ) as unknown as MessageCodec<Record<string, unknown>>[];

  test.each(codecs.map((codec) => [codec.typeName, codec] as const))('%s', (typeName, codec) => {
    const name = typeName.slice('tulle.telemetry.v1.'.length);
    const fields = messages.get(name) ?? {};
    const found = Object.entries(fields).map(([, number]) => [fieldAt(codec, number), number]);
    expect(Object.fromEntries(found)).toEqual(fields);
    expect(Object.keys(codec.create()).sort()).toEqual(Object.keys(fields).sort());
  });

  test('names the methods', () => {
    for (const method of [tables.REPORT_METHOD, tables.WATCH_METHOD])
      expect(PROTO).toContain(`rpc ${method.split('/')[2]}(`);
    expect(codecs.length).toBeGreaterThan(10);
  });
});
