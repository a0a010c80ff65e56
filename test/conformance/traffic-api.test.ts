/** docs/traffic-api.md against the schemas: every field of a kind has a row, and every row is about a field and shown by a test. */
import { describe, expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '#test/support/lab.ts';
import { schemaFields } from '#test/support/schema-fields.ts';

/** Kinds whose table is complete. */
const KINDS = [
  'networking.istio.io/VirtualService',
  'networking.istio.io/DestinationRule',
  'networking.istio.io/ServiceEntry',
  'networking.istio.io/WorkloadEntry',
  'networking.istio.io/Gateway',
  'networking.istio.io/Sidecar',
  'telemetry.istio.io/Telemetry',
  'gateway.networking.k8s.io/HTTPRoute',
  'gateway.networking.k8s.io/GRPCRoute',
  'gateway.networking.k8s.io/TCPRoute',
  'gateway.networking.k8s.io/TLSRoute',
  'gateway.networking.k8s.io/ReferenceGrant',
  'gateway.networking.k8s.io/BackendTLSPolicy',
  'gateway.networking.k8s.io/ListenerSet',
];
const STATES = ['enforced', 'ineffective', 'refused'];

interface Row {
  field: string;
  state: string;
  where: string;
  shownBy: string;
}

function tables(): Map<string, Row[]> {
  const found = new Map<string, Row[]>();
  const sections = readFileSync(join(ROOT, 'docs/traffic-api.md'), 'utf8').split(/^## /m).slice(1);
  for (const section of sections) {
    const [kind, ...lines] = section.split('\n');
    const rows = lines.flatMap((line): Row[] => {
      const cells = line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, ''));
      if (cells.length !== 4 || !cells[0].startsWith('`')) return [];
      const [field, state, where, shownBy] = cells;
      return [{ field: bare(field), state, where, shownBy: bare(shownBy) }];
    });
    found.set(kind.trim(), rows);
  }
  return found;
}

const bare = (cell: string) => cell.replaceAll('`', '');

/** A row stands for its field and all below it. */
function covers(row: string, field: string): boolean {
  return field === row || (field.startsWith(row) && /^[.[{]/.test(field.slice(row.length)));
}

describe('docs/traffic-api.md', () => {
  const documented = tables();
  const fields = schemaFields();

  test.each(KINDS)('has a row for every field of %s', (kind) => {
    const rows = documented.get(kind) ?? [];
    const known = fields.get(kind) ?? [];
    expect(known.length).toBeGreaterThan(0);
    expect(known.filter((field) => !rows.some((row) => covers(row.field, field)))).toEqual([]);
    expect(rows.filter((row) => !known.some((field) => covers(row.field, field)))).toEqual([]);
    const twice = rows.filter(({ field }, at) => rows.findIndex((row) => row.field === field) < at);
    expect(twice).toEqual([]);
  });

  test('says of every field what becomes of it, and which test shows that', () => {
    for (const [kind, rows] of documented)
      for (const row of rows) {
        expect([kind, row.field, STATES.includes(row.state)]).toEqual([kind, row.field, true]);
        expect([row.field, row.where === '']).toEqual([row.field, false]);
        const isTest = row.shownBy.endsWith('.test.ts') && existsSync(join(ROOT, row.shownBy));
        expect([kind, row.field, row.shownBy, isTest]).toEqual([
          kind,
          row.field,
          row.shownBy,
          true,
        ]);
      }
  });

  test('names only code that exists', () => {
    const text = readFileSync(join(ROOT, 'docs/traffic-api.md'), 'utf8');
    const files = [...text.matchAll(/`((?:src|test)\/[\w./-]+\.ts)`/g)].map(([, path]) => path);
    const short = [...text.matchAll(/`([\w-]+\.ts)`/g)].map(
      ([, name]) => `src/config/compile/${name}`,
    );
    expect(
      [...new Set([...files, ...short])].filter((path) => !existsSync(join(ROOT, path))),
    ).toEqual([]);
  });
});
