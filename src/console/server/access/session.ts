/**
 * Sessions without a store: what the server must know again later is sealed (AES-256-GCM) in a cookie that scripts cannot read. Any
 * replica with the key opens it; nobody else can read or make one. It holds the reader's own token, since changes are made with that.
 */
import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { Random } from '#base/random.ts';
import { COOKIE_BYTES_MAX } from '../limits.ts';

export const SESSION_COOKIE = 'tulle_session';
export const SESSION_KEY_BYTES = 32;

export interface Session {
  readonly id: string;
  readonly token: string;
  readonly expiresMs: number;
}

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ID_BYTES = 16;

export function newSessionId(random: Random): string {
  return Buffer.from(random.bytes(ID_BYTES)).toString('base64url');
}

/** Undefined: it would be longer than browsers keep. */
export function sealSession(session: Session, key: Uint8Array, random: Random): string | undefined {
  const nonce = random.bytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const text = JSON.stringify([session.id, session.token, session.expiresMs]);
  const sealed = Buffer.concat([
    nonce,
    cipher.update(text, 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  const value = sealed.toString('base64url');
  return value.length > COOKIE_BYTES_MAX ? undefined : value;
}

/** Undefined: not made with this key, cut, changed, or over. */
export function openSession(value: string, key: Uint8Array, nowMs: number): Session | undefined {
  if (value.length > COOKIE_BYTES_MAX || !/^[A-Za-z0-9_-]+$/.test(value)) return undefined;
  const sealed = Buffer.from(value, 'base64url');
  if (sealed.length <= NONCE_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES));
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const text = decrypted(decipher, sealed.subarray(NONCE_BYTES, -TAG_BYTES));
  if (text === undefined) return undefined;
  const [id, token, expiresMs] = JSON.parse(text) as [string, string, number];
  return expiresMs > nowMs ? { id, token, expiresMs } : undefined;
}

function decrypted(
  decipher: ReturnType<typeof createDecipheriv>,
  sealed: Buffer,
): string | undefined {
  try {
    return Buffer.concat([decipher.update(sealed), decipher.final()]).toString('utf8');
  } catch {
    // Its tag does not fit: somebody else's key, or nobody's.
    return undefined;
  }
}

/** What the console sends with changes; other sites can neither read nor guess it. */
export function csrfToken(sessionId: string, key: Uint8Array): string {
  return createHmac('sha256', key).update(`csrf:${sessionId}`).digest('base64url');
}

export function isSameText(left: string, right: string): boolean {
  const [one, other] = [Buffer.from(left), Buffer.from(right)];
  return one.length === other.length && timingSafeEqual(one, other);
}

export function cookieOf(request: Request): string | undefined {
  const header = request.headers.get('cookie') ?? '';
  for (const part of header.split(';')) {
    const [name, value = ''] = part.trim().split('=', 2);
    if (name === SESSION_COOKIE && value !== '') return value;
  }
  return undefined;
}

export function setCookie(
  value: string,
  options: { maxAgeSeconds: number; isSecure: boolean },
): string {
  const secure = options.isSecure ? '; Secure' : '';
  return `${SESSION_COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${options.maxAgeSeconds}${secure}`;
}
