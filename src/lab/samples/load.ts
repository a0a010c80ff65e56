/** A steady load: so many requests a second to one URL, and every ten seconds a line that says how it went. */
import { Agent, get, type IncomingMessage } from 'node:http';
import { type Clock, systemClock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';

const REPORT_MS = 10_000;
/** Requests in flight; beyond it a tick is skipped and counted, so that a stuck service does not pile up work. */
const IN_FLIGHT_MAX = 200;
const TIMEOUT_MS = 30_000;
/**
 * After so many requests the next ones use connections of their own: those that were opened before the service
 * had its waypoint, or before the pod was in the mesh, stay what they are for as long as they live.
 */
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
  let agent = new Agent({ keepAlive: true });
  let onAgent = 0;
  const currentAgent = () => {
    if (++onAgent > REQUESTS_PER_CONNECTION) {
      const old = agent;
      // Its last requests may still run.
      clock.after(TIMEOUT_MS, () => old.destroy());
      agent = new Agent({ keepAlive: true });
      onAgent = 1;
    }
    return agent;
  };
  clock.every(1000 / perSecond, () => {
    if (inFlight >= IN_FLIGHT_MAX) {
      counts.skipped++;
      return;
    }
    inFlight++;
    counts.sent++;
    void one(url, counts, currentAgent()).finally(() => {
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

async function one(url: string, counts: LoadCounts, agent: Agent): Promise<void> {
  const add = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);
  try {
    const { status, text } = await fetchOver(agent, url);
    const version = /"version":"([^"]*)"/.exec(text)?.[1];
    if (version !== undefined) add(counts.versions, version);
    if (status >= 200 && status < 300) counts.ok++;
    else add(counts.failures, String(status));
  } catch (error) {
    add(counts.failures, messageOf(error).replaceAll(' ', '_'));
  }
}

function fetchOver(agent: Agent, url: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const answer = (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => void chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
      );
    };
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    get(url, { agent, signal, headers: { 'user-agent': 'tulle-load' } }, answer).on(
      'error',
      reject,
    );
  });
}
