/**
 * MeshConfig.pathNormalization (Istio): how a request's path is rewritten before anything looks at it. The steps are
 * those of Envoy's HTTP connection manager, in its order: drop the fragment, unescape slashes, RFC 3986 §6.2.2 as
 * googleurl does it, merge slashes. The query is never touched. Pure; a path with nothing to do comes back itself.
 */

export type PathNormalization = 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';

/** Also what an absent setting means. */
export const DEFAULT_NORMALIZATION: PathNormalization = 'BASE';

const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const DOT = 0x2e;

/** Characters that mean the same escaped and plain, RFC 3986 §2.3, are written plain. `.` and `~` are not among them, see below. */
const UNRESERVED = new Uint8Array(256);
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~') {
  UNRESERVED[char.charCodeAt(0)] = 1;
}
/** Characters that googleurl escapes where they stand plain in a path. */
const ESCAPED = new Uint8Array(256).fill(1, 0x7f);
ESCAPED.fill(1, 0, 0x21);
for (const char of '"<>^`{|}') ESCAPED[char.charCodeAt(0)] = 1;

/**
 * What a step might change, wherever it stands: without any, as nearly all paths are, the loop below is not needed, which
 * takes three times as long.
 */
const SUSPECT = /[^!$&-.0-;=?@A-Z[\]_a-z~/]|\/[./]/;

/** The path (with query) to go on with; undefined when it must be refused with 400: an escaped NUL. */
export function normalizePath(path: string, how: PathNormalization): string | undefined {
  if (!SUSPECT.test(path) || isPlain(path, how)) return path;
  const fragment = path.indexOf('#');
  const whole = fragment === -1 ? path : path.slice(0, fragment);
  // `*` of OPTIONS is no path.
  if (how === 'NONE' || whole.charCodeAt(0) !== SLASH) return whole;
  const queryStart = whole.indexOf('?');
  let bare = queryStart === -1 ? whole : whole.slice(0, queryStart);
  const query = queryStart === -1 ? '' : whole.slice(queryStart);
  if (how === 'DECODE_AND_MERGE_SLASHES') bare = unescapeSlashes(bare);
  const canonical = canonicalize(bare);
  if (canonical === undefined) return undefined;
  return (how === 'BASE' ? canonical : mergeSlashes(canonical)) + query;
}

/** Whether no step would change it: one pass without a new string, which is enough for nearly all requests. */
function isPlain(path: string, how: PathNormalization): boolean {
  let inPath = how !== 'NONE' && path.charCodeAt(0) === SLASH;
  let before = 0;
  for (let index = 0; index < path.length; index++) {
    const char = path.charCodeAt(index);
    if (char === 0x23) return false;
    if (!inPath) continue;
    if (char === 0x3f) inPath = false;
    else if (char === PERCENT || char === BACKSLASH || ESCAPED[char & 0xff] === 1) return false;
    else if (before === SLASH && (char === DOT || (char === SLASH && how !== 'BASE'))) return false;
    before = char;
  }
  return true;
}

function unescapeSlashes(path: string): string {
  return path.replace(/%(2f|5c)/gi, (_escape, hex: string) => (hex[0] === '2' ? '/' : '\\'));
}

/** Of slashes alone Envoy leaves two: it joins the names between the first and the last. */
function mergeSlashes(path: string): string {
  return /^\/{2,}$/.test(path) ? '//' : path.replace(/\/{2,}/g, '/');
}

/** Dot segments go, `\` becomes `/`, unreserved characters are unescaped, forbidden ones escaped; other escapes stay as they are. */
function canonicalize(path: string): string | undefined {
  let out = '';
  /** Where in `out` a percent stands that escapes nothing. */
  let loose = -1;
  for (let index = 0; index < path.length; index++) {
    const char = path.charCodeAt(index);
    const dot = dotLength(path, index);
    if (dot > 0) {
      const rest = out.endsWith('/') ? afterDot(path, index + dot) : undefined;
      if (rest === undefined) out += '.';
      else if (rest.isUp) out = out.slice(0, out.lastIndexOf('/', out.length - 2) + 1) || '/';
      index = (rest?.next ?? index + dot) - 1;
    } else if (char === BACKSLASH) out += '/';
    else if (char === PERCENT) {
      const value = escapedValue(path, index);
      if (value === 0) return undefined;
      if (value === undefined) {
        loose = out.length;
        out += '%';
      } else {
        index += 2;
        if (UNRESERVED[value] !== 1) out += path.slice(index - 2, index + 1);
        else out = bindLoose(out + String.fromCharCode(value), loose, path[index + 1] ?? '');
      }
    } else out += ESCAPED[char & 0xff] === 1 ? escaped(char) : path[index];
  }
  return out;
}

/** A character that was just unescaped must not make a new escape of a loose percent before it: that one becomes `%25`. */
function bindLoose(out: string, loose: number, next: string): string {
  if (loose < 0 || loose < out.length - 3) return out;
  const behind = out.slice(loose + 1);
  const escaped = (behind + (behind.length === 1 ? next : '')).slice(0, 2);
  return /^[0-9a-f]{2}$/i.test(escaped) ? `${out.slice(0, loose)}%25${behind}` : out;
}

/** 1 for `.`, 3 for `%2e`, 0 for anything else. */
function dotLength(path: string, index: number): number {
  if (path.charCodeAt(index) === DOT) return 1;
  return path.charCodeAt(index) === PERCENT && escapedValue(path, index) === DOT ? 3 : 0;
}

/** What a dot behind a slash is: this directory, the one above, or undefined for the beginning of a name. */
function afterDot(path: string, at: number): { isUp: boolean; next: number } | undefined {
  if (endsSegment(path, at)) return { isUp: false, next: Math.min(at + 1, path.length) };
  const second = dotLength(path, at);
  if (second === 0 || !endsSegment(path, at + second)) return undefined;
  return { isUp: true, next: Math.min(at + second + 1, path.length) };
}

function endsSegment(path: string, at: number): boolean {
  if (at === path.length) return true;
  const char = path.charCodeAt(at);
  return char === SLASH || char === BACKSLASH;
}

function escapedValue(path: string, index: number): number | undefined {
  const hex = path.slice(index + 1, index + 3);
  return /^[0-9a-f]{2}$/i.test(hex) ? Number.parseInt(hex, 16) : undefined;
}

function escaped(char: number): string {
  return `%${char.toString(16).toUpperCase().padStart(2, '0')}`;
}
