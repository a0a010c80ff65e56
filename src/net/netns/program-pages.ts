/**
 * Takes the pages of the program file out of this process's memory: what starting, compiling and a burst of work read of
 * it stays mapped for ever otherwise. The kernel keeps them in its cache and maps what is used again in microseconds.
 */
import { readFileSync, statSync } from 'node:fs';
import { MADV_DONTNEED } from './constants.ts';
import { libc } from './libc.ts';

export interface Mapping {
  readonly start: number;
  readonly bytes: number;
}

/** Range, permissions, offset, device, inode. */
const HEADER = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ (\d+)/;

/**
 * Those mappings of the file that cannot be written and that hold nothing but the file (proc_pid_smaps(5)): a page that was
 * changed after it was mapped, as the dynamic linker does, would be lost.
 */
export function unchangedMappings(smaps: string, inode: number): Mapping[] {
  const found: Mapping[] = [];
  let mapping: Mapping | undefined;
  for (const line of smaps.split('\n')) {
    const header = HEADER.exec(line);
    if (header !== null) {
      const [start, end] = [Number.parseInt(header[1], 16), Number.parseInt(header[2], 16)];
      const unwritable = header[3][1] === '-' && header[3][3] === 'p';
      mapping =
        unwritable && Number(header[4]) === inode ? { start, bytes: end - start } : undefined;
    } else if (mapping !== undefined && /^Anonymous:\s+0 kB$/.test(line)) {
      found.push(mapping);
      mapping = undefined;
    }
  }
  return found;
}

/** Looked up once: a program is never unmapped. (Of any other file that could not be said, and its addresses be a heap's.) */
let program: readonly Mapping[] | undefined;

/** Takes some 4 ms the first time: best done before there is traffic that would wait. */
export function programMappings(): readonly Mapping[] {
  program ??= unchangedMappings(
    readFileSync('/proc/self/smaps', 'utf8'),
    statSync('/proc/self/exe').ino,
  );
  return program;
}

export function releaseProgramPages(): void {
  const mappings = programMappings();
  const { madvise } = libc();
  // Refused (a locked mapping): it stays as it is.
  for (const { start, bytes } of mappings) madvise(start, bytes, MADV_DONTNEED);
}

/** What is resident of files, of which the program is nearly all (proc_pid_status(5)); 0 where the kernel does not say. */
export function residentFileBytes(): number {
  const found = /^RssFile:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return found === null ? 0 : Number(found[1]) * 1024;
}
