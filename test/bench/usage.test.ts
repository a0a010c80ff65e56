import { expect, test } from 'bun:test';
import { join } from 'node:path';
import { run } from '#test/support/lab.ts';
import { CASES } from './cases.ts';

const MAIN = join(import.meta.dir, 'main.ts');

test.each(['--help', '-h'])('%s names the flags, every case and every peer', async (flag) => {
  const { status, stdout, stderr } = await run([process.execPath, MAIN, flag]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const word of ['--against', 'envoy', 'haproxy', ...CASES.map(({ name }) => name)])
    expect(stdout).toContain(word);
});
