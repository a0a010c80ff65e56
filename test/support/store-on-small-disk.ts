/**
 * A process that books traffic into a telemetry store until its disk is full, goes on, makes room and goes on: for a test that gives it a small file system. Says
 * what it saw as one line of JSON. Arguments: directory, on a file system of a few MB.
 */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { TelemetryStore } from '#console/store/telemetry-store.ts';
import { FakeClock } from './fake-clock.ts';
import { edge, peer, sample } from './flows.ts';

const EDGES = 300;
/** Seconds until somebody else's file fills the disk; until it is gone; and after. */
const WELL = 30;
const FULL = 60;
const AGAIN = 40;
const PIECE_BYTES = 16 * 1024;

export interface SmallDiskReport {
  /** While it is full. */
  readonly problem: string;
  readonly isPersistent: boolean;
  readonly liveWhileFull: number;
  readonly sentWhileFull: number;
  /** Once there is room. */
  readonly problemAfter: string;
  /** Booked and sent from a moment before the disk was full to the end, and of the time before that, by a store that opens the file anew. */
  readonly booked: number;
  readonly sent: number;
  readonly bookedBefore: number;
  readonly sentBefore: number;
}

function run(directory: string): SmallDiskReport {
  const start = Date.UTC(2026, 0, 1, 12) / 1000;
  const clock = new FakeClock(start * 1000);
  const random = seededRandom(5);
  const open = () =>
    new TelemetryStore({ clock, log: silentLogger, directory, viaOf: (proxy) => proxy });
  const store = open();
  const truth: number[] = [];
  store.recorder.opened('p');
  for (let id = 0; id < EDGES; id++) store.recorder.edge('p', edge(id, { source: peer(`w${id}`) }));
  const go = (seconds: number) => {
    for (let left = seconds; left > 0; left--) {
      const second = start + truth.length;
      const samples = Array.from({ length: EDGES }, (_, id) =>
        sample(id, { requests: 1 + random.integer(7), receivedBytes: random.integer(1e6) }),
      );
      truth.push(samples.reduce((sum, { requests }) => sum + requests, 0));
      clock.advance(1000);
      store.recorder.frame('p', { second, samples }, { second, receivedMs: clock.wallTime() });
      store.tick();
    }
  };
  const sent = (from: number, to: number) =>
    truth.slice(from - start, to - start).reduce((sum, each) => sum + each, 0);
  const booked = (of: TelemetryStore, from: number, to: number) =>
    of.between(from, to).counts.requests.reduce((sum, each) => sum + each, 0);
  go(WELL);
  const ballast = join(directory, 'ballast');
  fill(ballast);
  go(FULL);
  const { head } = store.windows;
  const { problem, isPersistent } = store.database;
  const liveWhileFull = store.live(20).counts.requests.reduce((sum, each) => sum + each, 0);
  const sentWhileFull = sent(head - 19, head + 1);
  rmSync(ballast);
  go(AGAIN);
  const problemAfter = store.database.problem?.message ?? '';
  store.close();
  const again = open();
  const end = start + truth.length;
  const middle = start + WELL + 10;
  const before = start + WELL - 5;
  return {
    problem: problem?.message ?? '',
    isPersistent,
    liveWhileFull,
    sentWhileFull,
    problemAfter: problemAfter || (again.database.problem?.message ?? ''),
    booked: booked(again, middle, end),
    sent: sent(middle, end),
    bookedBefore: booked(again, start, before),
    sentBefore: sent(start, before),
  };
}

/** To the last byte. */
function fill(path: string): void {
  const piece = Buffer.alloc(PIECE_BYTES, 'x');
  try {
    for (;;) writeFileSync(path, piece, { flag: 'a' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

if (import.meta.main) {
  const [directory = ''] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(run(directory))}\n`);
}
