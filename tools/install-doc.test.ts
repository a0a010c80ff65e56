import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { INSTALL_PAGE, renderInstallPage } from './install-doc.ts';

test('docs/install.md has the tables of the source: bun tools/install-doc.ts', () => {
  const page = readFileSync(INSTALL_PAGE, 'utf8');
  expect(renderInstallPage(page)).toBe(page);
});
