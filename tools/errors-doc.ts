/**
 * Writes docs/errors.md from the catalogues (errors.ts files under src): `bun tools/errors-doc.ts`. The tidy test fails when
 * the page and the catalogues differ.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dir, '..');
export const ERRORS_PAGE = join(ROOT, 'docs/errors.md');

export interface CatalogueEntry {
  code: string;
  hint: string;
  path: string;
}

const ENTRY =
  /^\s+([A-Z][A-Z0-9_]+):\s*(?:\n\s*)?(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|`([^`]*)`),?$/gm;

export function catalogueEntries(): CatalogueEntry[] {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('errors.ts') && !name.startsWith('base/'))
    .sort();
  return files.flatMap((name) => {
    const path = `src/${name}`;
    const text = readFileSync(join(ROOT, path), 'utf8');
    return [...text.matchAll(ENTRY)].map((match) => ({
      code: match[1],
      hint: (match[2] ?? match[3] ?? match[4]).replaceAll('\\', ''),
      path,
    }));
  });
}

export function renderErrors(entries: readonly CatalogueEntry[]): string {
  const rows = [...entries]
    .sort((left, right) => (left.code < right.code ? -1 : 1))
    .map(({ code, hint, path }) => `| \`${code}\` | ${hint.replaceAll('|', '\\|')} | ${path} |`);
  return `# Error codes

Every failure that Tulle reports carries a code, a message with the values of the case, and a hint. This page is made
from the catalogues in the source by \`bun tools/errors-doc.ts\`.

| code | what to do | catalogue |
|---|---|---|
${rows.join('\n')}
`;
}

if (import.meta.main) writeFileSync(ERRORS_PAGE, renderErrors(catalogueEntries()));
