/**
 * Where in a YAML text a field is, and which field a place is in, by indentation alone: while somebody types the text is seldom whole,
 * and a parser that gives up then helps nobody. Block style, as manifests are written. Pure.
 */

export type FieldPath = readonly (string | number)[];

export interface YamlPlace {
  /** Path of the object that the line belongs to. */
  readonly parent: FieldPath;
  /** The key on the line, as far as typed. */
  readonly key: string;
  /** The caret is behind `key: `. */
  readonly isValue: boolean;
  /** Typed of the value. */
  readonly value: string;
  /** Columns before the key. */
  readonly indent: number;
}

interface OpenKey {
  readonly indent: number;
  readonly key: string | number;
}

const LINE = /^(\s*)((?:- )*)(?:([^\s#:][^:#]*?)(:(?:\s|$)))?(.*)$/;

interface Walk {
  readonly open: OpenKey[];
  /** Items seen of each list. */
  readonly counts: Map<string, number>;
}

const isSkipped = (text: string) => /^\s*(#|$)/.test(text);

/** One line further: closes what the line ends and opens what it begins. */
function advance({ open, counts }: Walk, text: string): void {
  if (/^---/.test(text)) {
    open.length = 0;
    counts.clear();
    return;
  }
  const [, spaces, dashes, key] = LINE.exec(text)!;
  const start = spaces.length;
  // A list may stand as deep as the key that holds it.
  while (open.length > 0 && closes(open.at(-1)!, { start, isItem: dashes !== '' })) open.pop();
  for (let dash = 0; dash * 2 < dashes.length; dash++) {
    const indent = start + dash * 2;
    const path = open.map((each) => `${each.key}.`).join('');
    const at = (counts.get(path) ?? -1) + 1;
    counts.set(path, at);
    forget(counts, `${path}${at}.`);
    open.push({ indent: indent + 0.5, key: at });
  }
  if (key !== undefined) open.push({ indent: start + dashes.length, key: key.trim() });
}

/** The keys that are open at the end of the last line. */
function openKeys(lines: readonly string[]): OpenKey[] {
  const walk: Walk = { open: [], counts: new Map() };
  lines.forEach((text, index) => {
    if (index === lines.length - 1 || !isSkipped(text)) advance(walk, text);
  });
  return walk.open;
}

function closes(last: OpenKey, { start, isItem }: { start: number; isItem: boolean }): boolean {
  if (last.indent > start) return true;
  return last.indent === start && !(isItem && typeof last.key === 'string');
}

/** Lists below a new item count anew. */
function forget(counts: Map<string, number>, under: string): void {
  for (const path of counts.keys()) if (path.startsWith(under)) counts.delete(path);
}

/** `offset` is the caret. */
export function placeAt(text: string, offset: number): YamlPlace {
  const before = text.slice(0, offset);
  const lines = before.split('\n');
  const [, spaces, dashes, key, , rest] = LINE.exec(lines.at(-1)!)!;
  const keys = openKeys(lines);
  const isValue = key !== undefined;
  const parent = (isValue ? keys.slice(0, -1) : keys).map((each) => each.key);
  return {
    parent,
    key: isValue ? key.trim() : rest.trim(),
    isValue,
    value: isValue ? rest.trim() : '',
    indent: spaces.length + dashes.length,
  };
}

/** `spec.http[0].route` as a path; quoted and escaped names do not occur in findings. */
export function parseFieldPath(text: string): FieldPath {
  return [...text.matchAll(/\[(\d+)\]|\["([^"]+)"\]|([^.[\]]+)/g)].map(([, index, quoted, name]) =>
    index === undefined ? (quoted ?? name) : Number(index),
  );
}

/** Line (from 1) of the deepest part of the path that is in the text; 1 when nothing is. */
export function lineOf(text: string, path: FieldPath): number {
  const lines = text.split('\n');
  const walk: Walk = { open: [], counts: new Map() };
  let best = { line: 1, depth: 0 };
  for (const [index, line] of lines.entries()) {
    if (isSkipped(line)) continue;
    advance(walk, line);
    const depth = sharedDepth(walk.open, path);
    if (depth > best.depth) best = { line: index + 1, depth };
    if (depth === path.length) break;
  }
  return best.line;
}

function sharedDepth(here: readonly OpenKey[], path: FieldPath): number {
  let depth = 0;
  while (depth < path.length && here[depth]?.key === path[depth]) depth++;
  return depth;
}

/** The scalar at the path in the first document; empty when there is none. */
export function scalarAt(text: string, path: FieldPath): string {
  const line = text.split('\n')[lineOf(text, path) - 1] ?? '';
  const [, , , key, , rest] = LINE.exec(line)!;
  if (key?.trim() !== path.at(-1)) return '';
  return rest
    .replace(/\s+#.*$/, '')
    .trim()
    .replace(/^(["'])(.*)\1$/, '$2');
}

/** Keys that the object around the caret has already. */
export function keysBeside(text: string, offset: number): ReadonlySet<string> {
  const lines = text.split('\n');
  const at = text.slice(0, offset).split('\n').length - 1;
  const parent = placeAt(text, offset).parent;
  const walk: Walk = { open: [], counts: new Map() };
  const keys = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (isSkipped(line) || (index === at && !/:/.test(line))) continue;
    advance(walk, line);
    const path = walk.open.map((each) => each.key);
    const isChild =
      path.length > parent.length && parent.every((part, depth) => path[depth] === part);
    const key = path[parent.length];
    if (isChild && typeof key === 'string') keys.add(key);
  }
  return keys;
}
