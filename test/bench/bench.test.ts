/** Every case of the L4 benchmarks, short: it must work, nothing may fail; its figures are printed and fail nothing. */
import { afterAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type BenchReport, formatReport } from './report.ts';

const MAIN = join(import.meta.dir, 'main.ts');
const CASES = ['l4', 'l4-bulk', 'l4-churn', 'memory'];
const missing = ['wrk', 'nginx', 'nft', 'ip', 'nsenter', 'unshare'].filter(
  (tool) => Bun.which(tool, { PATH: `${process.env.PATH}:/usr/sbin` }) === null,
);
if (missing.length > 0 && process.env.CI === 'true') {
  throw new Error(`missing programs: ${missing.join(', ')}; apt-get install wrk nginx-light`);
}
const reason = missing.length > 0 ? ` (skipped: no ${missing.join(', ')})` : '';

let text = '';
afterAll(() => void process.stderr.write(text));

test.skipIf(missing.length > 0)(`npm run bench: every L4 case works${reason}`, async () => {
  const child = Bun.spawn(
    [process.execPath, MAIN, ...CASES, '--short', '--against', 'envoy,haproxy', '--json'],
    { stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' },
  );
  const [output, complaint, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ code, complaint }).toEqual({ code: 0, complaint: expect.any(String) });
  const report = JSON.parse(output) as BenchReport;
  text = formatReport(report);
  const own = report.rows.filter((row) => row.subject === 'tulle');
  const loads = (name: string) => own.filter((row) => row.case === name).map((row) => row.load);
  expect(loads('l4')).toEqual(['requests']);
  expect(loads('l4-bulk')).toEqual(['download', 'upload']);
  expect(loads('l4-churn')).toEqual(['connections']);
  expect(loads('memory')).toEqual([
    'idle, 1 pod',
    'idle, 8 pods',
    'after l4',
    'after l4-churn',
    'after l4-bulk download',
    'after l4-bulk upload',
    'peak of these loads',
    'idle connections',
    'each added pod',
    'waypoint after l7-h1',
    'mesh of 100 pods',
  ]);
  for (const row of own.filter(({ case: name }) => name === 'l4' || name === 'l4-churn')) {
    expect(row.failedRequests).toBe(0);
    expect(row.cpuMicrosPerRequest).toBeGreaterThan(0);
  }
  for (const row of own.filter(({ case: name }) => name === 'l4-bulk')) {
    expect(row.megabytesPerCpuSecond).toBeGreaterThan(0);
  }
  for (const row of own.filter(({ load }) => load !== 'each added pod')) {
    expect(row.rssMiB).toBeGreaterThan(0);
  }
});
