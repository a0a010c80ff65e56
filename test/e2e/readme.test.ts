/** Runs the README's tour, command by command, and compares the shape of what it prints. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, missingFor, ROOT, run, startLab, type TestLab } from '#test/support/lab.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'unshare', 'kubectl', 'curl'] }) !== undefined;

interface Step {
  command: string;
  /** What the README shows under the command, up to the first blank or digit (times and counts differ). */
  start: string;
}

/** Commands of the ```console blocks: lines that start with `$ `, each with what follows it. */
function tour(): Step[] {
  const text = readFileSync(join(ROOT, 'README.md'), 'utf8');
  const blocks = [...text.matchAll(/```console\n([\s\S]*?)```/g)].map((match) => match[1]);
  return blocks.flatMap((block) =>
    block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [command, ...output] = part.split('\n');
        const [start = ''] = /^[^\d\s]+/.exec(output.join('\n').trim()) ?? [];
        return { command, start };
      }),
  );
}

/** The lab's own start and stop belong to the fixture. */
const STEPS = tour().filter(({ command }) => !/lab (up|down)/.test(command));

describe.skipIf(skip)('README', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
    // The reader of the tour takes longer than the first scrapes.
    await eventually('traffic in the graph', async () => {
      const { stdout } = await lab.tulle('graph');
      return stdout.includes('product-service-v2') || undefined;
    });
  }, 60_000);

  afterAll(async () => {
    await lab?.down();
  });

  test('has a tour', () => {
    expect(STEPS.length).toBeGreaterThan(5);
    expect(STEPS.filter(({ start }) => start === '')).toEqual([]);
  });

  test.each(STEPS)(
    '$command',
    async ({ command, start }) => {
      const env = { TULLE_HOME: lab.home, KUBECONFIG: lab.kubeconfig, HOME: lab.home };
      // The last log line may be one about configuration for a moment.
      await eventually(`output that starts with ${start}`, async () => {
        const { status, stdout, stderr } = await run(['sh', '-c', command], { env });
        expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
        return stdout.trim().startsWith(start) || undefined;
      });
    },
    30_000,
  );
});
