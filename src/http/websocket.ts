/**
 * What a WebSocket handshake has in HTTP/1.1 (RFC 6455 §4.2) and not in HTTP/2 (RFC 8441 §5): a key, and the proof that
 * the server read it. Where a handshake crosses from one to the other, this hop makes them up.
 */
import { systemRandom } from '#base/random.ts';
import type { MessageHead } from './dispatch/message-head.ts';

const KEY = 'sec-websocket-key';
const ACCEPT = 'sec-websocket-accept';
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const KEY_BYTES = 16;

/** A handshake that goes to HTTP/1.1: one without a key came over HTTP/2. */
export function giveKey(request: MessageHead): MessageHead {
  if (request.upgrade !== 'websocket' || request.has(KEY)) return request;
  const copy = request.clone();
  copy.set(KEY, Buffer.from(systemRandom.bytes(KEY_BYTES)).toString('base64'));
  return copy;
}

/** A 101 that goes to HTTP/1.1: one without the proof came over HTTP/2. */
export function answerKey(request: MessageHead, answer: MessageHead): void {
  const key = request.upgrade === 'websocket' ? request.get(KEY) : undefined;
  if (key === undefined || answer.has(ACCEPT)) return;
  answer.set(ACCEPT, new Bun.CryptoHasher('sha1').update(key + GUID).digest('base64'));
}

/** A copy for HTTP/2, which has neither. */
export function withoutKey(head: MessageHead): MessageHead {
  const copy = head.clone();
  copy.remove(KEY);
  copy.remove(ACCEPT);
  return copy;
}
