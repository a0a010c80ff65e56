/**
 * Large admin answers in pieces: one piece a turn of the loop, so that 10,000 connections or workloads in an answer cost
 * the proxied connections next to nothing. What is listed is only rendered when its piece is sent.
 */
import { ANSWER_PIECE_CHARS } from '../limits.ts';

/** A JSON object whose members are plain values, or iterables that become arrays. */
export type JsonMembers = Readonly<Record<string, JsonMember>>;
type JsonMember = { readonly list: Iterable<unknown> } | { readonly value: unknown };

export const list = (items: Iterable<unknown>): JsonMember => ({ list: items });
export const value = (item: unknown): JsonMember => ({ value: item });

export function jsonAnswer(members: JsonMembers): Response {
  return piecewise(renderMembers(members), 'application/json');
}

/** Sends what the generator yields, gathered to pieces of at least ANSWER_PIECE_CHARS. */
export function piecewise(texts: Iterable<string>, contentType: string): Response {
  const iterator = texts[Symbol.iterator]();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      // A turn of its own for each piece: what is ready to be read comes first.
      await new Promise<void>((resolve) => setImmediate(resolve));
      let piece = '';
      while (piece.length < ANSWER_PIECE_CHARS) {
        const next = iterator.next();
        if (next.done === true) {
          if (piece !== '') controller.enqueue(encoder.encode(piece));
          controller.close();
          return;
        }
        piece += next.value;
      }
      controller.enqueue(encoder.encode(piece));
    },
    cancel: () => void iterator.return?.(),
  });
  return new Response(body, { headers: { 'content-type': contentType } });
}

function* renderMembers(members: JsonMembers): Iterable<string> {
  let separator = '{';
  for (const [name, member] of Object.entries(members)) {
    if ('value' in member) {
      const text = JSON.stringify(member.value);
      if (text === undefined) continue;
      yield `${separator}${JSON.stringify(name)}:${text}`;
    } else {
      yield `${separator}${JSON.stringify(name)}:`;
      yield* renderList(member.list);
    }
    separator = ',';
  }
  yield separator === '{' ? '{}\n' : '}\n';
}

function* renderList(items: Iterable<unknown>): Iterable<string> {
  let separator = '[';
  for (const item of items) {
    yield `${separator}\n${JSON.stringify(item)}`;
    separator = ',';
  }
  yield separator === '[' ? '[]' : ']';
}
