/**
 * House rules as tests: the import table between layers (type imports too), no cycles between folders, one place
 * for time and chance, file length, and error codes that are unique and carry a hint.
 */
import { describe, expect, test } from 'bun:test';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { catalogueEntries, ERRORS_PAGE, renderErrors } from './errors-doc.ts';

const ROOT = join(import.meta.dir, '..');
const FILE_LINES_MAX = 600;

const LOWER = [
  'base',
  'wire',
  'model',
  'net',
  'telemetry',
  'collections',
  'kube',
  'config',
  'crds',
  'identity',
  'policy',
  'upstream',
  'http',
  'hbone',
  'xds',
  'otlp',
];
const ROLES = ['control', 'node', 'waypoint', 'redirect', 'apiserver', 'rollout', 'console'];
const ALL = [...LOWER, ...ROLES, 'cni', 'cli', 'lab', 'install'];

/** What a folder may import besides itself. An entry `wire/h1` allows only that part of a folder. */
const ALLOWED: Record<string, readonly string[]> = {
  base: [],
  wire: ['base'],
  model: ['base'],
  net: ['base', 'wire/x509'],
  collections: ['base'],
  telemetry: ['base', 'model', 'wire/protobuf', 'http/grpc'],
  kube: ['base', 'model', 'collections'],
  config: ['base', 'model', 'collections', 'kube'],
  crds: ['base', 'config', 'kube/meta'],
  policy: ['base', 'model'],
  upstream: ['base', 'model'],
  http: ['base', 'net', 'wire/h1', 'wire/h2', 'wire/hpack'],
  identity: ['base', 'model', 'net', 'http', 'wire/x509', 'wire/protobuf'],
  hbone: ['base', 'model', 'net', 'wire', 'http', 'identity'],
  otlp: ['base', 'model', 'telemetry', 'net', 'wire/protobuf', 'http'],
  xds: ['base', 'model', 'collections', 'wire/protobuf', 'http'],
  ...Object.fromEntries(ROLES.map((role) => [role, LOWER])),
  // The runtime starts it once for each pod: it stays small.
  cni: ['base'],
  cli: ALL,
  lab: ALL,
  install: [...LOWER, 'control', 'console', 'node', 'redirect'],
};

/**
 * The node role holds the CNI agent, so it applies redirection; both run in one process. What installs the CNI plugin writes
 * the configuration that the plugin reads. The control plane serves the console.
 */
const ROLE_PAIRS = new Set([
  'node -> redirect',
  'node -> cni',
  'redirect -> cni',
  'control -> console',
]);

interface SourceFile {
  path: string;
  folder: string;
  text: string;
}

function sources(folder: string): SourceFile[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => {
      const absolute = join(entry.parentPath, entry.name);
      const path = relative(ROOT, absolute);
      return { path, folder: path.split('/')[1], text: readFileSync(absolute, 'utf8') };
    })
    .filter((file) => !file.path.includes('/generated/'));
}

const SOURCES = sources('src');
/** The console is built for a browser: of the program it knows only the types of the API. */
const WEB = sources('web').filter((file) => !file.path.startsWith('web/dist'));
const isTest = (file: SourceFile) => /\.test\.tsx?$/.test(file.path);

function importsOf(text: string): string[] {
  const found: string[] = [];
  const pattern =
    /(?:^|\n)\s*(?:import|export)\b[^'"\n;]*?(?:\{[^}]*\}[^'"\n;]*?)?['"]([^'"\n]+)['"]|import\(\s*['"]([^'"\n]+)['"]\s*\)/g;
  for (const match of text.matchAll(pattern)) found.push(match[1] ?? match[2]);
  return found;
}

function edgeProblem(file: SourceFile, target: string): string | undefined {
  if (file.path === 'src/base/version.ts' && target === '../../package.json') return undefined;
  if (target.startsWith('.')) {
    const resolved = join(file.path, '..', target);
    const stays = resolved.startsWith(`src/${file.folder}/`);
    return stays
      ? undefined
      : `relative import ${target} leaves its folder; use #${resolved.slice(4)}`;
  }
  if (!target.startsWith('#')) return undefined;
  const path = target.slice(1);
  const [folder] = path.split('/');
  if (folder === 'test') return isTest(file) ? undefined : 'src may not import test';
  if (folder === file.folder) return undefined;
  if (isTest(file) || ROLE_PAIRS.has(`${file.folder} -> ${folder}`)) return undefined;
  if (
    file.folder === 'config' &&
    folder === 'kube' &&
    !/^kube\/(meta|client\/(kinds|kube-client|resources))/.test(path)
  ) {
    return 'config may use only kube/meta and the kinds';
  }
  const allowed = ALLOWED[file.folder]?.some(
    (entry) => path === entry || path.startsWith(`${entry}/`),
  );
  return allowed ? undefined : `${file.folder} may not import ${target}`;
}

function webProblems(text: string): string[] {
  const typesOnly = new Set(
    [
      ...text.matchAll(
        /import type [^'"]*['"](#console\/api\/[^'"]+|#cli\/why\/contract\.ts)['"]/g,
      ),
    ].map((match) => match[1]),
  );
  return importsOf(text)
    .filter((target) => target.startsWith('#') || /(^|\/)(src|test|tools)\//.test(target))
    .filter((target) => !typesOnly.has(target))
    .map((target) => `${target}: only import type from #console/api and #cli/why/contract.ts`);
}

describe('layers', () => {
  test('every folder under src is known to the import table', () => {
    const unknown = SOURCES.filter((file) => !(file.folder in ALLOWED)).map((file) => file.path);
    expect(unknown).toEqual([]);
  });

  test('imports follow the table, type imports included', () => {
    const problems = SOURCES.flatMap((file) =>
      importsOf(file.text)
        .map((target) => edgeProblem(file, target))
        .filter((problem) => problem !== undefined)
        .map((problem) => `${file.path}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });

  test('the console imports types of the API from src and nothing else', () => {
    const problems = WEB.flatMap((file) =>
      webProblems(file.text).map((problem) => `${file.path}: ${problem}`),
    );
    expect(problems).toEqual([]);
    expect(webProblems("import type { A } from '#console/api/a.ts';")).toEqual([]);
    expect(webProblems("import { a } from '#console/api/a.ts';")).toHaveLength(1);
    expect(webProblems("import { type A } from '#console/api/a.ts';")).toHaveLength(1);
    expect(webProblems("import type { A } from '#base/a.ts';")).toHaveLength(1);
    expect(webProblems("import { a } from '../../../src/base/a.ts';")).toHaveLength(1);
  });

  test('edgeProblem refuses an upward edge, a foreign relative path and a role importing a role', () => {
    const file = (path: string): SourceFile => ({ path, folder: path.split('/')[1], text: '' });
    expect(edgeProblem(file('src/base/a.ts'), '#model/b.ts')).toContain('may not import');
    expect(edgeProblem(file('src/model/route/a.ts'), '../../net/b.ts')).toContain(
      'leaves its folder',
    );
    expect(edgeProblem(file('src/waypoint/a.ts'), '#node/b.ts')).toContain('may not import');
    expect(edgeProblem(file('src/http/a.ts'), '#wire/dns/b.ts')).toContain('may not import');
    expect(edgeProblem(file('src/http/a.ts'), '#wire/h1/b.ts')).toBeUndefined();
    expect(importsOf("import type { A } from '#model/a.ts';\nexport { b } from './b.ts';")).toEqual(
      ['#model/a.ts', './b.ts'],
    );
  });
});

const BANNED: readonly { pattern: RegExp; only: RegExp; why: string }[] = [
  {
    pattern: /\bDate\.now\(|\bnew Date\(\)|\bperformance\.now\(|\bsetTimeout\(|\bsetInterval\(/,
    only: /^src\/base\/clock\.ts$/,
    why: 'time goes through base/clock',
  },
  {
    pattern: /\bMath\.random\(|\bcrypto\.(getRandomValues|randomUUID|randomBytes|randomInt)\(/,
    only: /^src\/base\/random\.ts$/,
    why: 'chance goes through base/random',
  },
  {
    pattern: /'(@peculiar\/x509|reflect-metadata)'/,
    only: /^src\/identity\/ca\/(x509|reflect)\.ts$/,
    why: 'the X.509 library is loaded behind its polyfill, by identity/ca/x509',
  },
  { pattern: /from 'bun:ffi'/, only: /^src\/net\/netns\//, why: 'system calls live in net/netns' },
  {
    pattern: /\bcatch(\s*\([^)]*\))?\s*\{\s*\}/,
    only: /^$/,
    why: 'an error is handled or passed on, never dropped',
  },
  {
    pattern: /\bsetImmediate\(|\bqueueMicrotask\(/,
    only: /^src\/(net|http|hbone|telemetry|waypoint|node)\//,
    why: 'turn scheduling belongs to the drivers',
  },
];

describe('banned calls', () => {
  for (const rule of BANNED) {
    test(rule.why, () => {
      const offenders = SOURCES.filter(
        (file) => !isTest(file) && !rule.only.test(file.path) && rule.pattern.test(file.text),
      );
      expect(offenders.map((file) => file.path)).toEqual([]);
    });
  }
});

describe('size', () => {
  test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    const long = [...SOURCES, ...WEB, ...sources('test'), ...sources('tools')]
      .map((file) => ({ path: file.path, lines: file.text.split('\n').length }))
      .filter((file) => file.lines > FILE_LINES_MAX);
    expect(long).toEqual([]);
  });

  test('every source file starts by saying what it owns', () => {
    const silent = [...SOURCES, ...WEB]
      .filter((file) => !isTest(file) && !/^(#!.*\n)?\/\*\*/.test(file.text))
      .map((file) => file.path);
    expect(silent).toEqual([]);
  });
});

describe('error codes', () => {
  const entries = catalogueEntries();

  test('docs/errors.md lists exactly the catalogues', () => {
    expect(readFileSync(ERRORS_PAGE, 'utf8')).toBe(renderErrors(entries));
  });

  test('are unique and carry a hint', () => {
    const seen = new Map<string, string>();
    const problems: string[] = [];
    for (const { code, hint, path } of entries) {
      if (seen.has(code)) problems.push(`${code} in ${path} and ${seen.get(code)}`);
      if (hint.trim() === '') problems.push(`${code} in ${path} has no hint`);
      seen.set(code, path);
    }
    expect(problems).toEqual([]);
  });

  test('every code that is thrown is in a catalogue', () => {
    const known = new Set(entries.map((entry) => entry.code));
    const unknown = SOURCES.filter((file) => !isTest(file)).flatMap((file) =>
      [...file.text.matchAll(/new MeshError\(\s*['"]([A-Z0-9_]+)['"]/g)]
        .filter((match) => !known.has(match[1]))
        .map((match) => `${match[1]} in ${file.path}`),
    );
    expect(unknown).toEqual([]);
  });
});
