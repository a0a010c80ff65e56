/**
 * The table of open files of this process, all threads. It must never fill up: the runtime would accept in vain as long as
 * somebody waits, a whole processor for nothing. So what would take the last descriptors is given up at once.
 */
import { readFileSync } from 'node:fs';
import { ACCEPT_RESERVE_FILES, DIAL_RESERVE_FILES } from '../limits.ts';

let max = 0;

/** Bun has raised the soft limit to the hard one by the time anybody asks. */
export function openFilesMax(): number {
  if (max > 0) return max;
  const line = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  const soft = line?.[1] ?? '';
  max = soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft);
  return max;
}

/** An accepted connection with this descriptor may stay: the kernel gives out the lowest free number (accept(2)). */
export function leavesRoomToAccept(fd: number): boolean {
  return fd < openFilesMax() - ACCEPT_RESERVE_FILES;
}

/** A socket of our own with this descriptor may stay. */
export function leavesRoomToDial(fd: number): boolean {
  return fd < openFilesMax() - DIAL_RESERVE_FILES;
}
