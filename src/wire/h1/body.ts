/** How long a body is (RFC 9112 §6.3), from the framing of its head. */
import type { Framing } from './framing.ts';

export const BODY_NONE = 0;
export const BODY_LENGTH = 1;
export const BODY_CHUNKED = 2;
/** Responses only: up to the end of the connection. */
export const BODY_UNTIL_CLOSE = 3;

export function requestBody(framing: Framing): number {
  if (framing.chunked) return BODY_CHUNKED;
  return framing.contentLength > 0 ? BODY_LENGTH : BODY_NONE;
}

export function responseBody(framing: Framing, status: number, toHead: boolean): number {
  if (toHead || status === 204 || status === 304 || (status >= 100 && status < 200))
    return BODY_NONE;
  if (framing.chunked) return BODY_CHUNKED;
  if (framing.contentLength === 0) return BODY_NONE;
  return framing.contentLength > 0 ? BODY_LENGTH : BODY_UNTIL_CLOSE;
}
