import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import type { Connection } from '../connection.ts';
import { ACCEPT_RESERVE_FILES } from '../limits.ts';
import { BunNetwork } from './bun-network.ts';

const FILES_MAX = 200;
const CROWD = 300;
const PROGRAM = `${import.meta.dir}/../../../test/support/small-table.ts`;

interface Facts {
  open: number;
  files: number;
  cpuMs: number;
  dial: string;
}

interface Dialled {
  connection: Connection | undefined;
  alive: boolean;
}

describe('a process whose open files run short', () => {
  const command = `ulimit -n ${FILES_MAX} && exec '${process.execPath}' '${PROGRAM}'`;
  const child = Bun.spawn(['bash', '-c', command], { stdin: 'pipe', stdout: 'pipe' });
  const network = new BunNetwork({ clock: systemClock });
  const warnings: string[] = [];
  const answers: unknown[] = [];
  let port = 0;

  beforeAll(async () => {
    read();
    port = ((await next()) as { port: number }).port;
  });
  afterAll(() => child.kill());

  async function read(): Promise<void> {
    let text = '';
    for await (const chunk of child.stdout) {
      text += Buffer.from(chunk).toString();
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        if (line.includes('"level"')) warnings.push(line);
        else answers.push(JSON.parse(line));
      }
    }
  }
  async function next(): Promise<unknown> {
    while (answers.length === 0) await Bun.sleep(1);
    return answers.shift();
  }
  function ask(what = 'facts'): Promise<Facts> {
    child.stdin.write(`${what}\n`);
    child.stdin.flush();
    return next() as Promise<Facts>;
  }

  /** An accepted connection echoes; one that was shed closes. */
  async function dial(): Promise<Dialled> {
    const done = Promise.withResolvers<Dialled>();
    network.connect(
      { address: '127.0.0.1', port, connectTimeoutMs: 10_000 },
      {
        onOpen(connection) {
          queueMicrotask(() => connection.write(Buffer.from('x')));
          return {
            onData: () => done.resolve({ connection, alive: true }),
            onDrain: () => undefined,
            onEnd: () => undefined,
            onClose: () => done.resolve({ connection, alive: false }),
          };
        },
        onFail: () => done.resolve({ connection: undefined, alive: false }),
      },
    );
    return done.promise;
  }

  test('sheds newcomers with one line, spends nothing on them, and takes new ones when there is room', async () => {
    const crowd = await Promise.all(Array.from({ length: CROWD }, dial));
    const staying = crowd.filter(({ alive }) => alive);
    const full = await ask();
    expect(full.open).toBe(staying.length);
    expect(full.files).toBeLessThanOrEqual(FILES_MAX - ACCEPT_RESERVE_FILES + 2);
    expect(staying.length).toBeGreaterThan(100);

    // Full as it is, it idles: a runtime that accepts in vain would use all of this time.
    await Bun.sleep(300);
    const idle = await ask();
    expect(idle.cpuMs - full.cpuMs).toBeLessThan(150);
    // Our own dials still find a descriptor (the other end of it is shed again).
    expect((await ask('dial')).dial).not.toContain('EMFILE');
    expect((await dial()).alive).toBe(false);
    expect(warnings).toHaveLength(1);
    expect(JSON.parse(warnings[0])).toMatchObject({
      message: 'open files run short, new connections are refused',
      openFilesMax: FILES_MAX,
      lastFrom: '127.0.0.1',
    });

    for (const { connection } of staying.slice(1)) connection?.reset();
    while ((await ask()).open > 1) await Bun.sleep(5);
    const after = await dial();
    expect(after.alive).toBe(true);
    for (const { connection } of [after, staying[0]]) connection?.reset();
  });
});
