/** CPU time and memory of processes as the kernel counts them (proc(5): stat, status, smaps_rollup). */
import { readFileSync } from 'node:fs';

/** USER_HZ is 100 on every Linux that Bun runs on (proc(5)). */
const TICKS_PER_SECOND = 100;

export interface Usage {
  cpuSeconds: number;
  rssMiB: number;
  privateMiB: number;
}

/** User + system seconds of one process, its threads included. Field 14 and 15 of /proc/PID/stat. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function kibibytes(text: string, field: string): number {
  const match = text.match(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm'));
  return match ? Number(match[1]) : 0;
}

export function usageOf(pids: readonly number[]): Usage {
  const sum: Usage = { cpuSeconds: 0, rssMiB: 0, privateMiB: 0 };
  for (const pid of pids) {
    sum.cpuSeconds += cpuSecondsOf(pid);
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    sum.rssMiB += kibibytes(rollup, 'Rss') / 1024;
    sum.privateMiB +=
      (kibibytes(rollup, 'Private_Clean') + kibibytes(rollup, 'Private_Dirty')) / 1024;
  }
  return sum;
}

/** The most that was resident at once since the process started. */
export function peakMiBOf(pid: number): number {
  return kibibytes(readFileSync(`/proc/${pid}/status`, 'utf8'), 'VmHWM') / 1024;
}
