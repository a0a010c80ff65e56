/** Files on the node that others read at any moment: whole, or as they were. */
import {
  chmodSync,
  closeSync,
  fsyncSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { copyFile, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Runtimes look at no such name. */
const TEMPORARY = '.tulle-tmp';
const COMPARED_BYTES = 1024 * 1024;

/** Synced before it is renamed: a node that loses power must not come back with an empty file. */
export function writeWhole(path: string, text: string, mode: number): void {
  const temporary = temporaryFor(path);
  const file = openSync(temporary, 'w', mode);
  try {
    writeSync(file, text);
    fsyncSync(file);
    chmodSync(temporary, mode);
    renameSync(temporary, path);
  } finally {
    closeSync(file);
    rmSync(temporary, { force: true });
  }
}

/** A hundred megabytes: the event loop goes on meanwhile. */
export async function copyProgram(source: string, path: string): Promise<void> {
  const temporary = temporaryFor(path);
  try {
    await copyFile(source, temporary);
    chmodSync(temporary, 0o755);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

const temporaryFor = (path: string) =>
  join(dirname(path), `.${basename(path)}.${process.pid}${TEMPORARY}`);

/** Changes whenever somebody puts another file in its place; undefined when there is none. */
export function stampOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && [stat.dev, stat.ino, stat.size, stat.mtimeMs, stat.mode].join(' ');
}

export async function isSameProgram(left: string, right: string): Promise<boolean> {
  const stats = [left, right].map((path) => statSync(path, { throwIfNoEntry: false }));
  if (stats[0] === undefined || stats[0].size !== stats[1]?.size) return false;
  if ((stats[1].mode & 0o777) !== 0o755) return false;
  await using one = await open(left);
  await using other = await open(right);
  const [mine, theirs] = [Buffer.alloc(COMPARED_BYTES), Buffer.alloc(COMPARED_BYTES)];
  for (;;) {
    const [{ bytesRead: count }, { bytesRead: otherCount }] = [
      await one.read(mine, 0, COMPARED_BYTES),
      await other.read(theirs, 0, COMPARED_BYTES),
    ];
    if (count !== otherCount) return false;
    if (count === 0) return true;
    if (!mine.subarray(0, count).equals(theirs.subarray(0, count))) return false;
  }
}
