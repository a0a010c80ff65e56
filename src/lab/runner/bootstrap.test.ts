import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planNodes } from '../topology/addresses.ts';
import { nodeProxyPod } from './bootstrap.ts';

test('nodeProxyPod pretends as much memory to the garbage collector as the launcher does', () => {
  const launcher = readFileSync(join(import.meta.dir, '../../../tulle'), 'utf8');
  const given = /BUN_JSC_forceRAMSize:-(\d+)/.exec(launcher)?.[1];
  const [{ env = [] }] = nodeProxyPod(planNodes(1)[0]).spec.containers;
  expect(given).toMatch(/^\d+$/);
  expect(env.find(({ name }) => name === 'BUN_JSC_forceRAMSize')?.value).toBe(given);
});
