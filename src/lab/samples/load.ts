/** A steady load: so many requests a second to one URL, and every ten seconds a line that says how it went. */
import { type Clock, systemClock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';

const REPORT_MS = 10_000;
/** Requests in flight; beyond it a tick is skipped and counted, so that a stuck service does not pile up work. */
const IN_FLIGHT_MAX = 200;
const TIMEOUT_MS = 30_000;
/** Every so many requests one opens a connection of its own and ends it, so that the load follows changes of the network's routing. */
const REQUESTS_PER_CONNECTION = 50;

export interface LoadCounts {
  sent: number;
  ok: number;
  skipped: number;
  /** By what the answers said: status, or the error. */
  failures: Map<string, number>;
  versions: Map<string, number>;
}

export function newCounts(): LoadCounts {
  return { sent: 0, ok: 0, skipped: 0, failures: new Map(), versions: new Map() };
}

export function reportLine(counts: LoadCounts): string {
  const list = (map: ReadonlyMap<string, number>) =>
    [...map]
      .sort()
      .map(([name, count]) => ` ${name}=${count}`)
      .join('');
  const failed = [...counts.failures.values()].reduce((sum, count) => sum + count, 0);
  const skipped = counts.skipped === 0 ? '' : ` skipped=${counts.skipped}`;
  return `sent=${counts.sent} ok=${counts.ok} failed=${failed}${skipped}${list(counts.versions)}${list(counts.failures)}`;
}

/** Arguments: URL [requests per second]. */
export async function runLoadSample(argv: string[], clock: Clock = systemClock): Promise<void> {
  const [url = process.env.URL, rate = process.env.RPS ?? '10'] = argv;
  const perSecond = Number(rate);
  if (url === undefined || !(perSecond > 0)) {
    process.stderr.write('usage: tulle role sample load URL [REQUESTS_PER_SECOND]\n');
    process.exit(2);
  }
  let counts = newCounts();
  let inFlight = 0;
  clock.every(1000 / perSecond, () => {
    if (inFlight >= IN_FLIGHT_MAX) {
      counts.skipped++;
      return;
    }
    inFlight++;
    counts.sent++;
    void one(url, counts).finally(() => {
      inFlight--;
    });
  });
  clock.every(REPORT_MS, () => {
    process.stdout.write(`${reportLine(counts)}\n`);
    counts = newCounts();
  });
  process.on('SIGTERM', () => process.exit(0));
  await new Promise(() => undefined);
}

async function one(url: string, counts: LoadCounts): Promise<void> {
  const add = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  try {
    const answer = await fetch(url, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      keepalive: counts.sent % REQUESTS_PER_CONNECTION !== 0,
    });
    const text = await answer.text();
    const version = /"version":"([^"]*)"/.exec(text)?.[1];
    if (version !== undefined) add(counts.versions, version);
    if (answer.ok) counts.ok++;
    else add(counts.failures, String(answer.status));
  } catch (error) {
    add(counts.failures, messageOf(error).replaceAll(' ', '_'));
  }
}
