/**
 * What a request is hashed by (DestinationRule.loadBalancer.consistentHash). Pure: the waypoint and `why` call it. A destination
 * whose policy has no `hash` needs no call.
 */
import type { ConsistentHash, HashKey } from '#model/route/route-table.ts';
import { hashText } from './hash-text.ts';

/** What is looked at of a request; an HTTP head satisfies it as it is. */
export interface HashedRequest {
  readonly authority: string;
  /** With the query. */
  readonly path: string;
  /** Every value of a field joined by `,`; undefined when absent. `name` is lower case. */
  getAll(name: string): string | undefined;
}

export interface HashedSource {
  /** The client's IP address, without port. */
  readonly address: string;
  /** Names the connection (`remote local`): a new cookie's value comes from it, as Envoy's. */
  readonly connection: string;
}

export interface RequestHash {
  /** For `PickContext.hash`; undefined = no key has a value, so chance decides. */
  readonly hash: number | undefined;
  /** A `set-cookie` field for the answer, when the client has no cookie yet and the policy hands out one. */
  readonly setCookie: string | undefined;
}

const BY_CHANCE: RequestHash = { hash: undefined, setCookie: undefined };

export function requestHash(
  policy: ConsistentHash,
  request: HashedRequest,
  source: HashedSource,
): RequestHash {
  for (const key of policy.keys) {
    const value = keyValue(key, request, source);
    if (value !== undefined) return { hash: hashText(value), setCookie: undefined };
    if (key.kind === 'cookie' && key.ttlSeconds !== undefined) return newCookie(key, source);
  }
  return BY_CHANCE;
}

function keyValue(key: HashKey, request: HashedRequest, source: HashedSource): string | undefined {
  switch (key.kind) {
    case 'header':
      return headerValue(key.name, request);
    case 'query':
      return queryValue(request.path, key.name);
    case 'source-ip':
      return source.address;
    case 'cookie':
      return cookieValue(request.getAll('cookie'), key.name);
  }
}

function headerValue(name: string, request: HashedRequest): string | undefined {
  if (name === ':authority' || name === 'host') return request.authority;
  return name === ':path' ? request.path : request.getAll(name);
}

/** The first value; no percent-decoding, as Envoy's hash policy does. */
function queryValue(path: string, name: string): string | undefined {
  const question = path.indexOf('?');
  if (question === -1) return undefined;
  for (const pair of path.slice(question + 1).split('&')) {
    const equals = pair.indexOf('=');
    if ((equals === -1 ? pair : pair.slice(0, equals)) === name)
      return equals === -1 ? '' : pair.slice(equals + 1);
  }
  return undefined;
}

/** RFC 6265 §5.4; several fields were joined by `,` where HTTP/2 split them (RFC 9113 §8.2.3). */
function cookieValue(field: string | undefined, name: string): string | undefined {
  if (field === undefined) return undefined;
  for (const pair of field.split(/[;,]/)) {
    const equals = pair.indexOf('=');
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    const isQuoted = value.length > 1 && value.startsWith('"') && value.endsWith('"');
    return isQuoted ? value.slice(1, -1) : value;
  }
  return undefined;
}

function newCookie(key: Extract<HashKey, { kind: 'cookie' }>, source: HashedSource): RequestHash {
  const value = hashText(source.connection).toString(16).padStart(14, '0');
  // As Envoy writes it (Http::Utility::makeSetCookieValue): quoted, and HttpOnly always.
  let setCookie = `${key.name}="${value}"`;
  if (key.ttlSeconds !== undefined && key.ttlSeconds > 0)
    setCookie += `; Max-Age=${Math.floor(key.ttlSeconds)}`;
  if (key.path) setCookie += `; Path=${key.path}`;
  for (const { name, value: text } of key.attributes ?? [])
    setCookie += text ? `; ${name}=${text}` : `; ${name}`;
  setCookie += '; HttpOnly';
  return { hash: hashText(value), setCookie };
}
