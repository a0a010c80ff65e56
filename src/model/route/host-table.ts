/**
 * Virtual hosts by authority: exact names before wildcards, longer wildcards before shorter ones, `*` last. A look-up is one walk over
 * the name from its end and allocates nothing; letter case and a port do not count.
 */

/** `*.example.com` takes `a.example.com` and `a.b.example.com`, not `example.com`. */
export interface HostEntry<T> {
  readonly pattern: string;
  readonly value: T;
}

interface Suffix<T> {
  /** What a name must end with, lower case: the whole name when `exact`. */
  readonly text: string;
  readonly value: T;
}

/** RFC 1035 §2.3.4: no name is longer. */
const HOST_LENGTH_MAX = 255;
const OPEN_BRACKET = 0x5b;
// FNV-1a, 32 bits: the names of one table are its users' own, and equal hashes are compared in full.
const HASH_START = 0x811c9dc5 | 0;
const HASH_PRIME = 0x01000193;

export class HostTable<T> {
  readonly #exact = new Map<number, Suffix<T>[]>();
  readonly #wildcards = new Map<number, Suffix<T>[]>();
  /** Lengths of the wildcards' suffixes: at others the walk does not look. */
  readonly #lengths = new Uint8Array(HOST_LENGTH_MAX + 1);
  #any: T | undefined;

  /** Of equal patterns the first stays. */
  constructor(entries: Iterable<HostEntry<T>>) {
    for (const { pattern, value } of entries) {
      if (pattern === '*') this.#any ??= value;
      else if (pattern.startsWith('*')) {
        const text = pattern.slice(1).toLowerCase();
        if (text.length > HOST_LENGTH_MAX) continue;
        this.#lengths[text.length] = 1;
        insert(this.#wildcards, { text, value });
      } else {
        const text = pattern.toLowerCase().replace(/^\[(.*)\]$/, '$1');
        insert(this.#exact, { text, value });
      }
    }
  }

  /** `authority` may carry a port, and brackets around an IPv6 address. */
  find(authority: string): T | undefined {
    let start = 0;
    let end = authority.length;
    if (authority.charCodeAt(0) === OPEN_BRACKET) {
      const close = authority.indexOf(']');
      if (close !== -1) {
        start = 1;
        end = close;
      }
    } else {
      const colon = authority.indexOf(':');
      // More than one colon: an address without brackets, so no port.
      if (colon !== -1 && authority.indexOf(':', colon + 1) === -1) end = colon;
    }
    let found: T | undefined;
    let hash = HASH_START;
    for (let at = end - 1; at > start; at -= 1) {
      hash = mix(hash, lowerCode(authority, at));
      if (this.#lengths[end - at] !== 1) continue;
      found = lookUp(this.#wildcards, hash, authority, at, end) ?? found;
    }
    if (end > start) hash = mix(hash, lowerCode(authority, start));
    return lookUp(this.#exact, hash, authority, start, end) ?? found ?? this.#any;
  }
}

/** The table of virtual hosts, or of servers by SNI. */
export function compileHosts<T extends { readonly domains: readonly string[] }>(
  virtualHosts: readonly T[],
): HostTable<T> {
  return new HostTable(
    virtualHosts.flatMap((value) => value.domains.map((pattern) => ({ pattern, value }))),
  );
}

function insert<T>(table: Map<number, Suffix<T>[]>, suffix: Suffix<T>): void {
  let hash = HASH_START;
  for (let at = suffix.text.length - 1; at >= 0; at -= 1) {
    hash = mix(hash, suffix.text.charCodeAt(at));
  }
  const list = table.get(hash);
  if (list === undefined) table.set(hash, [suffix]);
  else if (!list.some(({ text }) => text === suffix.text)) list.push(suffix);
}

function lookUp<T>(
  table: Map<number, Suffix<T>[]>,
  hash: number,
  name: string,
  start: number,
  end: number,
): T | undefined {
  const list = table.get(hash);
  if (list === undefined) return undefined;
  for (const suffix of list) if (isSame(suffix.text, name, start, end)) return suffix.value;
  return undefined;
}

function isSame(text: string, name: string, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = 0; at < text.length; at += 1) {
    if (text.charCodeAt(at) !== lowerCode(name, start + at)) return false;
  }
  return true;
}

function mix(hash: number, code: number): number {
  return Math.imul(hash ^ code, HASH_PRIME);
}

/** ASCII only: host names have no other letters. */
function lowerCode(name: string, at: number): number {
  const code = name.charCodeAt(at);
  return code >= 0x41 && code <= 0x5a ? code + 0x20 : code;
}
