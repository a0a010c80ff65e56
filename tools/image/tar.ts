/**
 * Tar archives with the same bytes for the same entries: sorted, owned by root, of the time 0. POSIX.1-1988 ustar, which every
 * container runtime reads.
 */
const BLOCK = 512;
const NAME_MAX = 100;
const PREFIX_MAX = 155;

/** A directory has neither content nor target. */
export interface Entry {
  /** Absolute, no trailing slash. */
  readonly path: string;
  readonly mode?: number;
  readonly content?: Uint8Array;
  /** Of a symbolic link. */
  readonly target?: string;
}

export const file = (path: string, content: Uint8Array | string, mode = 0o644): Entry => ({
  path,
  mode,
  content: typeof content === 'string' ? Buffer.from(content) : content,
});
export const directory = (path: string, mode = 0o755): Entry => ({ path, mode });
export const link = (path: string, target: string): Entry => ({ path, target });

/** The entries and the directories above them; those of `above` are left to a layer below. */
export function tarOf(
  entries: readonly Entry[],
  above: ReadonlySet<string> = new Set(),
): Uint8Array {
  const all = new Map<string, Entry>();
  for (const entry of entries) {
    for (const parent of parentsOf(entry.path)) {
      if (!all.has(parent) && !above.has(parent)) all.set(parent, directory(parent));
    }
    all.set(entry.path, entry);
  }
  const sorted = [...all.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
  return pack(sorted.map((entry) => ({ ...entry, path: entry.path.slice(1) })));
}

/** The paths relative, in the order given: what is inside an archive of blobs. */
export function pack(entries: readonly Entry[]): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const entry of entries) {
    parts.push(headerOf(entry));
    if (entry.content === undefined) continue;
    parts.push(entry.content, new Uint8Array(-entry.content.length & (BLOCK - 1)));
  }
  parts.push(new Uint8Array(2 * BLOCK));
  return Buffer.concat(parts);
}

export function parentsOf(path: string): string[] {
  const words = path.split('/').slice(1, -1);
  return words.map((_, index) => `/${words.slice(0, index + 1).join('/')}`);
}

function headerOf(entry: Entry): Uint8Array {
  const header = Buffer.alloc(BLOCK);
  const isDirectory = entry.content === undefined && entry.target === undefined;
  const { name, prefix } = splitPath(isDirectory ? `${entry.path}/` : entry.path);
  const octal = (value: number, at: number, width: number) =>
    header.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  header.write(name, 0);
  octal(entry.mode ?? 0o777, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(entry.content?.length ?? 0, 124, 12);
  octal(0, 136, 12);
  header.write('        ', 148, 'latin1');
  header.write(isDirectory ? '5' : entry.target === undefined ? '0' : '2', 156, 'latin1');
  header.write(entry.target ?? '', 157);
  header.write('ustar\u000000', 257, 'latin1');
  header.write(prefix, 345);
  octal(
    header.reduce((sum, byte) => sum + byte, 0),
    148,
    7,
  );
  return header;
}

function splitPath(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= NAME_MAX) return { name: path, prefix: '' };
  const slash = path.indexOf('/', path.length - NAME_MAX - 1);
  if (slash <= 0 || slash > PREFIX_MAX) throw new Error(`${path} is too long for a tar header`);
  return { name: path.slice(slash + 1), prefix: path.slice(0, slash) };
}
