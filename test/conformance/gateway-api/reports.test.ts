import { expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { SUPPORTED_FEATURES } from '#control/derive/supported-features.ts';
import { RUNS } from './runs.ts';

interface Level {
  result: string;
  failedTests?: string[];
  skippedTests?: string[];
  supportedFeatures?: string[];
  unsupportedFeatures?: string[];
}
interface Report {
  gatewayAPIChannel: string;
  mode: string;
  profiles: { name: string; core: Level; extended?: Level }[];
}

const DOCS = join(import.meta.dir, '../../../docs/conformance');
const FOLDER = join(DOCS, 'gateway-api');
const reports = readdirSync(FOLDER)
  .filter((file) => file.endsWith('-report.yaml'))
  .map((file) => parse(readFileSync(join(FOLDER, file), 'utf8')) as Report);
const levels = reports.flatMap(({ profiles }) =>
  profiles.flatMap(({ core, extended }) => (extended === undefined ? [core] : [core, extended])),
);
const rows = new Map(
  readFileSync(join(DOCS, 'README.md'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const row = /^\| ([A-Z][^|]*[a-zA-Z0-9)]) \| ([^|]+) \|$/.exec(line);
      if (row === null) return [];
      return row[1].split(', ').map((name) => [name.replace(/ \(.*/, ''), row[2]] as const);
    }),
);

test('the committed reports are of all profiles of each run, and nothing failed or was left out', () => {
  for (const { name, profiles } of RUNS) {
    const tested = reports.find(({ mode }) => mode === name)?.profiles.map((each) => each.name);
    expect(tested?.sort()).toEqual([...profiles].sort());
  }
  expect(
    levels.flatMap(({ failedTests = [], skippedTests = [] }) => [...failedTests, ...skippedTests]),
  ).toEqual([]);
  expect(new Set(levels.map(({ result }) => result))).toEqual(new Set(['success']));
});

test('docs/conformance/README.md says "pass" of what the reports passed, and of the rest why it is not claimed', () => {
  const passed = levels.flatMap(({ supportedFeatures = [] }) => supportedFeatures);
  const unclaimed = levels.flatMap(({ unsupportedFeatures = [] }) => unsupportedFeatures);
  expect(passed.filter((name) => rows.get(name) !== 'pass')).toEqual([]);
  expect(unclaimed.filter((name) => !rows.get(name)?.startsWith('not claimed: '))).toEqual([]);
});

test('GatewayClasses and the run of the mesh claim what README.md lists as passed', () => {
  const core = ['Gateway', 'GRPCRoute', 'HTTPRoute', 'ReferenceGrant', 'TLSRoute'];
  const mesh = RUNS.flatMap(({ features = [] }) => features);
  const claimed = new Set([...SUPPORTED_FEATURES, ...mesh].filter((each) => !core.includes(each)));
  const listed = [...rows].filter(([, state]) => state === 'pass').map(([name]) => name);
  expect(listed.sort()).toEqual([...claimed].sort());
});
