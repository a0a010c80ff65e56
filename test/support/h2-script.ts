/** A scripted HTTP/2 peer: makes frames, reads those that an H2Connection writes to a ScriptedConnection. */
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE, writeFrameHeader, writeSettings } from '#wire/h2/frame.ts';
import { HpackEncoder } from '#wire/hpack/encoder.ts';

export interface Frame {
  type: number;
  flags: number;
  id: number;
  payload: Buffer;
}

export function frame(
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array = Buffer.alloc(0),
): string {
  const bytes = Buffer.alloc(9 + payload.length);
  bytes.set(payload, writeFrameHeader(bytes, 0, payload.length, type, flags, id));
  return bytes.toString('latin1');
}

export function settings(...pairs: number[]): string {
  const bytes = Buffer.alloc(9 + pairs.length * 3);
  writeSettings(bytes, 0, pairs);
  return bytes.toString('latin1');
}

export function uint32Frame(type: number, id: number, value: number): string {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(value);
  return frame(type, 0, id, payload);
}

/** HEADERS with END_HEADERS. `fields`: name, value, … */
export function headers(id: number, end: boolean, ...fields: string[]): string {
  const out = Buffer.alloc(16_384);
  const encoder = new HpackEncoder();
  let at = 0;
  for (let i = 0; i < fields.length; i += 2) at = encoder.field(fields[i], fields[i + 1], out, at);
  const flags = code.FLAG_END_HEADERS | (end ? code.FLAG_END_STREAM : 0);
  return frame(code.HEADERS, flags, id, out.subarray(0, at));
}

export function post(id: number): string {
  const request = [':method', 'POST', ':scheme', 'http', ':path', '/', ':authority', 'a'];
  return headers(id, false, ...request);
}

/** Cuts what was written into whole frames, without the client preface. */
export function framesOf(written: string): Frame[] {
  const all = Buffer.from(written, 'latin1');
  const frames: Frame[] = [];
  const preface = all.subarray(0, CLIENT_PREFACE.length).equals(CLIENT_PREFACE);
  for (let at = preface ? CLIENT_PREFACE.length : 0; at < all.length; ) {
    const length = all.readUIntBE(at, 3);
    const payload = all.subarray(at + 9, at + 9 + length);
    frames.push({ type: all[at + 3], flags: all[at + 4], id: all.readUInt32BE(at + 5), payload });
    at += 9 + length;
  }
  return frames;
}
