/** `kubectl tulle …`: the program under the name that kubectl looks for. */
import { afterAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VERSION } from '#base/version.ts';
import { missingFor, ROOT, run } from '#test/support/lab.ts';

const skip = missingFor({ programs: ['kubectl'] }) !== undefined;

describe.skipIf(skip)('as a kubectl plugin', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-plugin-'));
  symlinkSync(join(ROOT, 'tulle'), join(folder, 'kubectl-tulle'));
  const kubectl = (...words: string[]) =>
    run(['kubectl', ...words], { env: { PATH: `${folder}:${process.env.PATH}` } });

  afterAll(() => rmSync(folder, { recursive: true }));

  test('kubectl finds it and hands its arguments on', async () => {
    expect((await kubectl('plugin', 'list')).stdout).toContain('kubectl-tulle');
    const answer = await kubectl('tulle', 'version', '-o', 'json');
    expect(answer).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(answer.stdout)).toMatchObject({ tulle: VERSION });
    expect((await kubectl('tulle', 'frobnicate')).status).toBe(2);
  });
});
