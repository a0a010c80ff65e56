/** Log files that are rotated, cut, in no folder or on a full disk, and pipes that nobody reads. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { LOG_FILE_CHECK_MS, LOG_FILE_RETRY_MS } from '../limits.ts';
import { FileOutput } from './file-output.ts';
import { LogWriter } from './log-writer.ts';

let folder: string;
let path: string;
let clock: FakeClock;
let troubles: (string | undefined)[];
let output: FileOutput;
let writer: LogWriter;

function open(at: string, pendingMax?: number): void {
  output = new FileOutput(clock, at, { onTrouble: (reason) => void troubles.push(reason) });
  writer = new LogWriter(output, pendingMax);
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tulle-log-'));
  path = join(folder, 'access.log');
  clock = new FakeClock();
  troubles = [];
});

afterEach(() => {
  output.close();
  rmSync(folder, { recursive: true, force: true });
});

const read = (at = path) => (existsSync(at) ? readFileSync(at, 'utf8') : '');

async function until(condition: () => boolean): Promise<void> {
  for (let step = 0; step < 2_000 && !condition(); step++) await sleep(systemClock, 5);
  expect(condition()).toBe(true);
}

async function line(text: string, at = path): Promise<void> {
  writer.write(`${text}\n`);
  await until(() => read(at).endsWith(`${text}\n`));
}

describe('FileOutput', () => {
  test('appends in order, all lines', async () => {
    open(path);
    await line('first');
    for (let index = 0; index < 1000; index++) writer.write(`${index}\n`);
    await line('last');
    expect(read().split('\n').length).toBe(1003);
    expect(read()).toStartWith('first\n0\n1\n2\n');
  });

  test('a file that was renamed is opened anew, and none of its lines is lost', async () => {
    open(path);
    await line('old');
    renameSync(path, `${path}.1`);
    await line('late', `${path}.1`);
    clock.advance(LOG_FILE_CHECK_MS);
    await until(() => {
      writer.write('new\n');
      return read() !== '';
    });
    expect(read(`${path}.1`)).toStartWith('old\nlate\n');
    expect(read()).toStartWith('new\n');
  });

  test('a file that was deleted is opened anew; reopen does so at once', async () => {
    open(path);
    await line('old');
    unlinkSync(path);
    output.reopen();
    await line('new');
    expect(read()).toBe('new\n');
  });

  test('a file that was cut in place is appended to from its beginning', async () => {
    open(path);
    await line('x'.repeat(1000));
    truncateSync(path);
    await line('new');
    expect(read()).toBe('new\n');
  });

  test('a folder that is not there yet is waited for', async () => {
    path = join(folder, 'later', 'access.log');
    open(path);
    writer.write('kept\n');
    await until(() => troubles.length === 1);
    expect(troubles[0]).toContain('ENOENT');
    mkdirSync(join(folder, 'later'));
    clock.advance(LOG_FILE_RETRY_MS);
    await until(() => read() === 'kept\n');
    expect(troubles.length).toBe(2);
  });

  test('a full disk: lines wait up to the bound, then are dropped and counted', async () => {
    open('/dev/full', 100);
    writer.write('kept\n');
    await until(() => troubles.length === 1);
    expect(troubles[0]).toContain('ENOSPC');
    for (let index = 0; index < 100; index++) writer.write('0123456789\n');
    expect(writer.droppedTotal).toBe(91);
  });

  test('a pipe that nobody reads does not hold us up', async () => {
    const made = Bun.spawnSync(['mkfifo', path]);
    expect(made.exitCode).toBe(0);
    open(path);
    writer.write('kept\n');
    await until(() => troubles.length === 1);
    const reader = openSync(path, 'r+');
    clock.advance(LOG_FILE_RETRY_MS);
    await until(() => troubles.length === 2);
    closeSync(reader);
  });
});
