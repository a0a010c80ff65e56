/**
 * Fills the tables of docs/install.md from the source: values, rights, capabilities. `bun tools/install-doc.ts`; a test fails when
 * the page and the source differ.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODE_CAPABILITIES } from '#install/manifests/node.ts';
import { GRANTS, type Grant } from '#install/manifests/rbac-rules.ts';
import { VALUE_ROWS } from '#install/values/spec.ts';

export const INSTALL_PAGE = join(import.meta.dir, '../docs/install.md');

export function renderInstallPage(text: string): string {
  const tables: Record<string, string> = {
    values: valuesTable(),
    'rights of control': rightsTable('control'),
    'rights of node': rightsTable('node'),
    'rights of removal': rightsTable('removal'),
    capabilities: capabilitiesTable(),
  };
  return Object.entries(tables).reduce((page, [name, table]) => {
    const [start, end] = [`<!-- ${name} -->`, `<!-- end of ${name} -->`];
    const from = page.indexOf(start);
    const to = page.indexOf(end);
    if (from < 0 || to < from) throw new Error(`docs/install.md lacks ${start} … ${end}`);
    return `${page.slice(0, from)}${start}\n${table}\n${page.slice(to)}`;
  }, text);
}

function valuesTable(): string {
  return table(
    ['value', 'default', 'what', 'why this default'],
    VALUE_ROWS.map((row) => [
      `\`${row.path}\``,
      // The version changes with every release.
      row.path === 'image.tag' ? 'the version' : `\`${JSON.stringify(row.default)}\``,
      row.text + (row.oneOf === undefined ? '' : ` One of ${row.oneOf.join(', ')}.`),
      row.reason,
    ]),
  );
}

function rightsTable(part: Grant['part']): string {
  return table(
    ['may', 'of', 'where', 'why'],
    GRANTS.filter((grant) => grant.part === part).map((grant) => [
      grant.verbs.join(', '),
      resourcesOf(grant),
      grant.where,
      grant.why,
    ]),
  );
}

function resourcesOf({ groups, resources, names }: Grant): string {
  const kinds = resources.map((each) => (each === '*' ? 'all kinds' : each)).join(', ');
  const of = groups.filter((group) => group !== '').join(', ');
  const named = names === undefined ? '' : ` named ${names.join(', ')}`;
  return `${kinds}${of === '' ? '' : ` (${of})`}${named}`;
}

function capabilitiesTable(): string {
  return table(
    ['capability', 'why'],
    [...NODE_CAPABILITIES].map(([name, why]) => [name, why]),
  );
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(header), `|${header.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

if (import.meta.main) {
  writeFileSync(INSTALL_PAGE, renderInstallPage(readFileSync(INSTALL_PAGE, 'utf8')));
}
