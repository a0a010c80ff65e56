/** The store's file under a process that is killed while it writes, again and again. */
import { Database } from 'bun:sqlite';
import { expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { WRITER_START, writtenRequests } from '#test/support/store-writer.ts';
import { TelemetryStore } from './telemetry-store.ts';

const WRITER = join(import.meta.dir, '../../../test/support/store-writer.ts');
const KILLS = 7;
/** Its clock goes on from there: what was said last is over. */
const REST_SECONDS = 3;

/** Lets it book so many more seconds, kills it wherever it is then; the last second that it said was booked. */
async function writeAndKill(directory: string, fromSecond: number, seconds: number) {
  const command = [process.execPath, WRITER, directory, String(fromSecond)];
  const child = Bun.spawn(command, { stdout: 'pipe', stderr: 'inherit' });
  let said = '';
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (said.split('\n').length > seconds) child.kill('SIGKILL');
  }
  await child.exited;
  expect(child.signalCode).toBe('SIGKILL');
  return Number(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1));
}

test('a process that is killed while it writes leaves a file that opens, and in it all that it said was booked', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-store-killed-'));
  try {
    const random = seededRandom(7);
    let booked = WRITER_START;
    for (let kill = 0; kill < KILLS; kill++) {
      // Now and then hardly begun: while the file of the one before is being opened.
      const seconds = kill % 3 === 1 ? 1 : 20 + random.integer(200);
      booked = await writeAndKill(directory, booked + REST_SECONDS, seconds);
      const file = new Database(join(directory, 'telemetry.db'));
      expect(file.query('PRAGMA integrity_check').values()).toEqual([['ok']]);
      file.close();
      const clock = new FakeClock((booked + REST_SECONDS) * 1000);
      const viaOf = (proxy: string) => proxy;
      const store = new TelemetryStore({ clock, log: silentLogger, directory, viaOf });
      expect(store.database.problem).toBeUndefined();
      const { counts } = store.between(WRITER_START, booked + 1);
      const found = counts.requests.reduce((sum, each) => sum + each, 0);
      expect(found).toBe(writtenRequests(WRITER_START, booked + 1));
      store.close();
    }
    expect(booked).toBeGreaterThan(WRITER_START + 200);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 120_000);
