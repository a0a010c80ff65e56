/** Machines that cannot run the lab: one sentence with its remedy, and exit status 3. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CommandResult, missingFor, ROOT, run } from '#test/support/lab.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'unshare', 'mount'], root: true }) !== undefined;
const TULLE = join(ROOT, 'tulle');

describe.skipIf(skip)('lab up says what is wrong', () => {
  const home = mkdtempSync(join(tmpdir(), 'tulle-start-'));
  const up = (directory: string, ...flags: string[]) =>
    run([TULLE, 'lab', 'up', '--detach', '--console-port', '0', ...flags], {
      env: { TULLE_HOME: directory },
    });
  const expectRefusal = (result: CommandResult, sentence: RegExp, remedy: string) => {
    expect(result).toMatchObject({ status: 3, stdout: '' });
    const lines = result.stderr.trim().split('\n');
    expect(lines[0]).toMatch(sentence);
    expect(lines.at(-1)).toStartWith('  try: ');
    expect(lines.at(-1)).toContain(remedy);
    expect(lines.length).toBeLessThanOrEqual(3);
  };
  /** A shell in a mount namespace of its own: nothing is left on the machine. */
  const withMounts = (script: string, directory: string) =>
    run(['unshare', '--mount', 'sh', '-c', `${script} && exec "$0" lab up --detach`, TULLE], {
      env: { TULLE_HOME: directory },
    });

  afterAll(() => rmSync(home, { recursive: true, force: true }));

  test('a taken console port', async () => {
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } });
    try {
      const result = await up(join(home, 'port'), '--console-port', String(taken.port));
      expectRefusal(result, /port \d+ of 127.0.0.1, for the console, is taken/, '--console-port');
    } finally {
      taken.stop();
    }
  });

  test('a state directory that cannot be made', async () => {
    const file = join(home, 'file');
    writeFileSync(file, '');
    const result = await up(file);
    expectRefusal(result, /cannot write the lab's state directory/, 'set TULLE_HOME');
  });

  test('a full disk', async () => {
    const disk = join(home, 'disk');
    mkdirSync(disk);
    const fill = `mount -t tmpfs -o size=16k tmpfs ${disk}`;
    expectRefusal(await withMounts(fill, disk), /no space left/, 'free some space');
  });

  test('a missing tool', async () => {
    const hide = `mount --bind /dev/null ${Bun.which('nft', { PATH: `${process.env.PATH}:/usr/sbin:/sbin` })}`;
    const result = await withMounts(hide, join(home, 'tool'));
    expectRefusal(result, /the lab needs nft/, 'apt-get install nftables');
  });

  describe.each([
    ['in the foreground', []],
    ['detached', ['--detach']],
  ])('%s', (title, flags) => {
    const started = async (name: string) => {
      const directory = join(home, `${name}-${title}`);
      const child = Bun.spawn([TULLE, 'lab', 'up', '--console-port', '0', ...flags], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, TULLE_HOME: directory },
      });
      // Its state is there: it has begun, and is not ready yet.
      while (!existsSync(join(directory, 'lab', 'lab.json'))) await Bun.sleep(5);
      return { child, state: join(directory, 'lab') };
    };

    test('a signal while it starts takes it down at once', async () => {
      const { child, state } = await started('stopped');
      child.kill('SIGINT');
      const [status, complaint] = await Promise.all([child.exited, child.stderr.text()]);
      expect({ status, complaint }).toEqual({
        status: 3,
        complaint: expect.stringContaining('stopped before it was ready'),
      });
      expect(readdirSync(state)).toEqual(['lab.log']);
    }, 120_000);
  });

  test('a detached one that nobody was told of, because its starter was killed, ends', async () => {
    const directory = join(home, 'orphan');
    const child = Bun.spawn([TULLE, 'lab', 'up', '--console-port', '0', '--detach'], {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: { ...process.env, TULLE_HOME: directory },
    });
    const state = join(directory, 'lab');
    while (!existsSync(join(state, 'lab.json'))) await Bun.sleep(5);
    child.kill('SIGKILL');
    while (existsSync(join(state, 'lab.json'))) await Bun.sleep(20);
    expect(readdirSync(state)).toEqual(['lab.log']);
  }, 120_000);

  describe('beside a running one', () => {
    const directory = join(home, 'lab');
    beforeAll(async () => {
      expect((await up(directory)).status).toBe(0);
    }, 60_000);
    afterAll(async () => {
      await run([TULLE, 'lab', 'down'], { env: { TULLE_HOME: directory } });
    });

    test('a second start', async () => {
      expectRefusal(await up(directory), /running already/, 'tulle lab down stops it');
    });
  });
});
