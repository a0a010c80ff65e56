/** The CPU limit of this process's cgroup, in whole cores. */
import { readFileSync } from 'node:fs';

/** cgroup v2 (`cpu.max`: quota and period, or `max`) and v1 (`cpu.cfs_*_us`, −1 for none), as a container sees them. */
const FILES = {
  v2: '/sys/fs/cgroup/cpu.max',
  v1Quota: '/sys/fs/cgroup/cpu/cpu.cfs_quota_us',
  v1Period: '/sys/fs/cgroup/cpu/cpu.cfs_period_us',
};

/** 1 when there is no limit, or less than a core. */
export function cpuLimit(read: (path: string) => string | undefined = readText): number {
  const [quota, period] = quotaOf(read);
  const cores = Number(quota) / Number(period);
  return Number.isFinite(cores) ? Math.max(1, Math.floor(cores)) : 1;
}

function quotaOf(read: (path: string) => string | undefined): (string | undefined)[] {
  const v2 = read(FILES.v2);
  return v2 === undefined ? [read(FILES.v1Quota), read(FILES.v1Period)] : v2.trim().split(' ');
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // Not every kernel has both versions.
    return undefined;
  }
}
