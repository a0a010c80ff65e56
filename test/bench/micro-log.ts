/**
 * `bun test/bench/micro-log.ts`: what an access log line costs a request: written in batches that are counted and thrown
 * away. Paths, ids and clients' ports differ from line to line, as they do. Best of several runs, in
 * processor time; on a shared machine trust the ratios.
 */
import { systemRandom } from '#base/random.ts';
import { formatAccess } from '#telemetry/access-log/format.ts';
import { LogWriter } from '#telemetry/access-log/log-writer.ts';
import { putAccess } from '#telemetry/access-log/put-access.ts';
import type { AccessRecord } from '#telemetry/access-log/record.ts';

const RUNS = 15;
const LINES = 20_000;
/** Records made ahead at a time. */
const CHUNK = 500;
const START_MS = 1_800_000_000_000;

function recordOf(index: number): AccessRecord {
  return {
    startMs: START_MS + index / 40,
    method: index % 8 === 0 ? 'POST' : 'GET',
    path: `/products/${index % 1000}?page=${index % 7}`,
    protocol: 'HTTP/1.1',
    responseCode: 200,
    responseFlags: '-',
    responseCodeDetails: 'via_upstream',
    upstreamTransportFailure: '',
    bytesReceived: 0,
    bytesSent: 1000 + (index % 100),
    durationMs: (index % 30) / 10,
    upstreamServiceMs: (index % 30) / 12,
    forwardedFor: '198.18.1.5',
    userAgent: 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    requestId: systemRandom.uuid(),
    authority: 'product-service',
    upstreamHost: `198.18.2.${10 + (index % 5)}:8080`,
    upstreamCluster: 'outbound|80|stable|product-service.shop.svc.cluster.local',
    downstreamLocal: '198.18.0.9:80',
    downstreamRemote: `198.18.1.5:${41_000 + (index % 32)}`,
    routeName: 'products',
    note: '',
  };
}

let bytesWritten = 0;
const counting = {
  write(lines: Uint8Array) {
    bytesWritten += lines.length;
    return true;
  },
  onDrain: () => undefined,
};

function measure(title: string, work: (record: AccessRecord) => void, end: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let run = 0; run < RUNS; run += 1) {
    let micros = 0;
    for (let done = 0; done < LINES; done += CHUNK) {
      const records = Array.from({ length: CHUNK }, (_, at) => recordOf(done + at));
      const before = process.cpuUsage();
      for (const record of records) work(record);
      end();
      const { user, system } = process.cpuUsage(before);
      micros += user + system;
    }
    best = Math.min(best, micros);
  }
  console.log(`${title.padEnd(40)} ${((best * 1000) / LINES).toFixed(0).padStart(8)} ns`);
}

const rows: [title: string, write: (writer: LogWriter, record: AccessRecord) => void][] = [
  ['text, as bytes', (writer, record) => writer.put(putAccess, record)],
  ['text, plain', (writer, record) => writer.write(formatAccess(record, 'text'))],
  ['json', (writer, record) => writer.write(formatAccess(record, 'json'))],
];
for (const [title, write] of rows) {
  const writer = new LogWriter(counting);
  measure(
    title,
    (record) => write(writer, record),
    () => writer.flush(),
  );
}
if (bytesWritten === 0) throw new Error('nothing was written');
process.exit(0);
