/** Tells a process from a later one with the same number: by its start time in /proc/PID/stat (proc(5), field 22). */
import { readFileSync } from 'node:fs';

/** Clock ticks after boot; undefined when there is no such process (or only its zombie). */
export function processStart(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The command in parentheses may hold blanks and parentheses itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
}

export function isRunning(pid: number, start: string): boolean {
  return processStart(pid) === start;
}
