/**
 * The literal text that every match of a whole-string RE2 expression begins with: `/api/v[0-9]+/.*` → `/api/v`. May be shorter than
 * the truth, never longer: the index only uses it to leave expressions out.
 */

const META = new Set('\\.+*?()[]{}|^$');
/** What may follow a character and allow it zero times. */
const OPTIONAL = new Set('*?{');

export function regexLiteralPrefix(source: string): string {
  let prefix = '';
  let at = source[0] === '^' ? 1 : 0;
  while (at < source.length) {
    let char = source[at];
    let next = at + 1;
    if (char === '\\') {
      char = source[next] ?? '';
      // Only escaped punctuation is itself; `\d`, `\Q`, `\x41` are something else.
      if (!META.has(char) && char !== '/' && char !== '-') break;
      next += 1;
    } else if (META.has(char) || char > '~' || char < ' ') break;
    if (OPTIONAL.has(source[next])) break;
    prefix += char;
    at = next;
  }
  // An alternative anywhere outside of groups may begin otherwise.
  return hasTopAlternative(source) ? '' : prefix;
}

function hasTopAlternative(source: string): boolean {
  let depth = 0;
  for (let at = 0; at < source.length; at += 1) {
    const char = source[at];
    if (char === '\\') {
      // A quoted piece may hold anything.
      if (source[at + 1] === 'Q') return source.includes('|');
      at += 1;
    } else if (char === '[') at = classEnd(source, at);
    else if (char === '(') depth += 1;
    else if (char === ')') depth -= 1;
    else if (char === '|' && depth <= 0) return true;
  }
  return false;
}

/** Where the `]` of a character class is: one right at its start, one escaped and that of `[:alpha:]` do not end it. */
function classEnd(source: string, start: number): number {
  let at = start + 1;
  if (source[at] === '^') at += 1;
  if (source[at] === ']') at += 1;
  while (at < source.length && source[at] !== ']') {
    if (source[at] === '\\') at += 1;
    else if (source.startsWith('[:', at)) {
      const named = source.indexOf(':]', at);
      if (named !== -1) at = named + 1;
    }
    at += 1;
  }
  return at;
}
