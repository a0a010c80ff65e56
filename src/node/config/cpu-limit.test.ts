import { expect, test } from 'bun:test';
import { cpuLimit } from './cpu-limit.ts';

const V2 = '/sys/fs/cgroup/cpu.max';
const QUOTA = '/sys/fs/cgroup/cpu/cpu.cfs_quota_us';
const PERIOD = '/sys/fs/cgroup/cpu/cpu.cfs_period_us';

const rows: { title: string; files: Record<string, string>; want: number }[] = [
  { title: 'no cgroup files', files: {}, want: 1 },
  { title: 'v2 without a limit', files: { [V2]: 'max 100000\n' }, want: 1 },
  { title: 'v2 with four cores', files: { [V2]: '400000 100000\n' }, want: 4 },
  { title: 'v2 with a fifth of a core', files: { [V2]: '20000 100000\n' }, want: 1 },
  { title: 'v2 with two and a half', files: { [V2]: '250000 100000\n' }, want: 2 },
  { title: 'v1 without a limit', files: { [QUOTA]: '-1\n', [PERIOD]: '100000\n' }, want: 1 },
  { title: 'v1 with three', files: { [QUOTA]: '300000\n', [PERIOD]: '100000\n' }, want: 3 },
  { title: 'v1 without a period', files: { [QUOTA]: '300000\n' }, want: 1 },
  { title: 'garbage', files: { [V2]: 'x y\n' }, want: 1 },
];
for (const { title, files, want } of rows) {
  test(`cpuLimit: ${title} is ${want}`, () => {
    expect(cpuLimit((path) => files[path])).toBe(want);
  });
}
