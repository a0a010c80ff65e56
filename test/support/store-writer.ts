/**
 * A process that books traffic into a telemetry store as fast as it can, second after second of a clock of its own, and says on stdout which seconds are booked:
 * for tests that kill it. As a proxy does, it sends again what came after the last second that the store knows.
 * Arguments: directory, first second of its clock, requests of each edge in a second (a table that repeats).
 */
import { writeSync } from 'node:fs';
import { silentLogger } from '#base/log.ts';
import { TelemetryStore } from '#console/store/telemetry-store.ts';
import { FakeClock } from './fake-clock.ts';
import { edge, peer, sample } from './flows.ts';

export const WRITER_START = Date.UTC(2026, 0, 1, 12) / 1000;
export const WRITER_EDGES = 120;
const REQUESTS = [1, 0, 4, 2, 9];
const STDOUT = 1;

/** Of all edges, from `from` to before `to`. */
export function writtenRequests(from: number, to: number): number {
  let sum = 0;
  for (let second = from; second < to; second++)
    for (let id = 0; id < WRITER_EDGES; id++) sum += requestsOf(second, id);
  return sum;
}

function requestsOf(second: number, id: number): number {
  return REQUESTS[(second + id) % REQUESTS.length];
}

function write(directory: string, firstSecond: number): never {
  const clock = new FakeClock(firstSecond * 1000);
  const viaOf = (proxy: string) => proxy;
  const store = new TelemetryStore({ clock, log: silentLogger, directory, viaOf });
  const known = store.recorder.opened('p');
  for (let id = 0; id < WRITER_EDGES; id++)
    store.recorder.edge('p', edge(id, { source: peer(`w${id}`) }));
  let next = known < 0 ? WRITER_START : known + 1;
  for (;;) {
    clock.advance(1000);
    const receivedMs = clock.wallTime();
    for (; next < receivedMs / 1000; next++) {
      const samples = Array.from({ length: WRITER_EDGES }, (_, id) =>
        sample(id, { requests: requestsOf(next, id) }),
      );
      store.recorder.frame('p', { second: next, samples }, { second: next, receivedMs });
    }
    store.tick();
    writeSync(STDOUT, `${store.windows.head}\n`);
  }
}

if (import.meta.main) {
  const [directory = '', firstSecond = ''] = process.argv.slice(2);
  write(directory, Number(firstSecond));
}
