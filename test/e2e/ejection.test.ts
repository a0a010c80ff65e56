/** Outlier ejection in the lab. */
import { afterAll, beforeAll, describe } from 'bun:test';
import { ejectionScenario, prepareEjection } from '#test/scenarios/ejection.ts';
import { missingFor, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS }) !== undefined;

describe.skipIf(skip)('outlier ejection in the demo', () => {
  let lab: TestLab;
  const world = () => ({ ...lab, nodes: ['node1', 'node2'] });

  beforeAll(async () => {
    lab = await startLab(['--demo']);
    await prepareEjection(world(), 'host');
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
  });

  ejectionScenario(world);
});
