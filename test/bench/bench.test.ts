/** Every case with a target, short: it must work, nothing may fail; its figures are printed and fail nothing. */
import { afterAll, expect, test } from 'bun:test';
import { join } from 'node:path';
import { type BenchReport, formatReport } from './report.ts';

const MAIN = join(import.meta.dir, 'main.ts');
const L4_CASES = ['l4', 'l4-bulk', 'l4-churn', 'memory'];
const L7_CASES = ['l7-h1', 'l7-h2', 'l7-grpc', 'l7-routes-10000', 'path', 'l7-memory'];
const missing = ['wrk', 'h2load', 'nginx', 'nft', 'ip', 'nsenter', 'unshare'].filter(
  (tool) => Bun.which(tool, { PATH: `${process.env.PATH}:/usr/sbin` }) === null,
);
if (missing.length > 0 && process.env.CI === 'true') {
  throw new Error(
    `missing programs: ${missing.join(', ')}; apt-get install wrk nginx-light nghttp2-client`,
  );
}
const reason = missing.length > 0 ? ` (skipped: no ${missing.join(', ')})` : '';

let text = '';
afterAll(() => void process.stderr.write(text));

async function run(cases: readonly string[]): Promise<BenchReport> {
  const flags = ['--short', '--against', 'envoy,haproxy,nginx', '--json'];
  const child = Bun.spawn([process.execPath, MAIN, ...cases, ...flags], {
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [output, complaint, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ code, complaint }).toEqual({ code: 0, complaint: expect.any(String) });
  const report = JSON.parse(output) as BenchReport;
  text += formatReport(report);
  return report;
}

test.skipIf(missing.length > 0)(`npm run bench: every L7 case works${reason}`, async () => {
  const report = await run(L7_CASES);
  const own = report.rows.filter((row) => row.subject === 'tulle');
  for (const name of L7_CASES) expect(own.map((row) => row.case)).toContain(name);
  for (const row of own.filter(({ case: name }) => name !== 'l7-memory')) {
    expect(row.failedRequests).toBe(0);
    expect(row.cpuMicrosPerRequest).toBeGreaterThan(0);
  }
  const loads = own.filter(({ case: name }) => name === 'l7-memory').map(({ load }) => load);
  expect(loads).toEqual([
    'idle',
    'after l7-h1',
    'peak of these loads',
    '100 MB down',
    '100 MB up',
    'peak with bodies',
    'idle connections',
  ]);
});

test.skipIf(missing.length > 0)(`npm run bench: every L4 case works${reason}`, async () => {
  const report = await run(L4_CASES);
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

test.skipIf(missing.length > 0)(`npm run bench: the telemetry case works${reason}`, async () => {
  const report = await run(['telemetry']);
  expect(report.rows.map(({ load }) => load).sort()).toEqual([
    'node proxies, connections, telemetry off',
    'node proxies, connections, telemetry on',
    'node proxies, requests, telemetry off',
    'node proxies, requests, telemetry on',
    'waypoint, telemetry metrics alone on',
    'waypoint, telemetry off',
    'waypoint, telemetry on',
  ]);
  for (const row of report.rows) {
    expect(row.failedRequests).toBe(0);
    expect(row.cpuMicrosPerRequest).toBeGreaterThan(0);
  }
});

test.skipIf(missing.length > 0)(`npm run bench: the graph case works${reason}`, async () => {
  const report = await run(['graph']);
  expect(report.rows.map(({ load }) => load)).toEqual([
    'ingest, 1000 edges/s',
    'ingest, the graph followed',
    'API, the whole graph, asked once',
    'API, asked each second',
    'API, a view that nobody had open',
    'control loop held',
    'store, 1 h',
  ]);
  const [ingest, , once, eachSecond, , , stored] = report.rows;
  expect(ingest.rssMiB).toBeGreaterThan(0);
  expect(once.bytesPerPush).toBeGreaterThan(0);
  for (const { p95Ms } of [once, eachSecond]) expect(p95Ms).toBeGreaterThan(0);
  expect(stored.storedMiB).toBeGreaterThan(0);
});

test.skipIf(missing.length > 0)(`npm run bench: the config case works${reason}`, async () => {
  const report = await run(['config']);
  expect(report.rows.map(({ load }) => load)).toEqual([
    'start to ready',
    'all proxies at once, first sync',
    'idle',
    'a new node proxy, first sync',
    'pod change',
    'weight change',
    'policy change',
    'churn, 50/s',
    'a change after the API server was restored',
    'peak',
  ]);
  for (const row of report.rows) expect(row.failedRequests).toBe(0);
});
