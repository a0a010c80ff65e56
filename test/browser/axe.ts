/** Accessibility as axe judges it: WCAG 2 A and AA. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Page } from 'playwright-core';

const SOURCE = readFileSync(
  join(import.meta.dir, '../../node_modules/axe-core/axe.min.js'),
  'utf8',
);

interface Violation {
  readonly id: string;
  readonly nodes: readonly {
    readonly target: readonly string[];
    readonly failureSummary: string;
  }[];
}

/** One line for each violation and place; empty when there is none. */
export async function axeFindings(page: Page): Promise<string[]> {
  // Evaluated by the debugger, so the page's policy against inline scripts stays on.
  await page.evaluate(SOURCE);
  const violations = await page.evaluate(async () => {
    const { axe } = globalThis as unknown as {
      axe: { run(options: object): Promise<{ violations: Violation[] }> };
    };
    const options = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa'] };
    return (await axe.run(options)).violations;
  });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(
      (node) =>
        `${id}: ${node.target.join(' ')} ${node.failureSummary.split('\n')[1]?.trim() ?? ''}`,
    ),
  );
}
