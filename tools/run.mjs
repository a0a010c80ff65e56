/**
 * The npm scripts: check, test, campaigns, bench, image, web, conformance. Plain JavaScript so that Node (or Bun) can start it before Bun is found.
 * Each step is printed before it runs; `test` ends with one line "N passed, N failed, N skipped".
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Enough for an assertion with its values. */
const FAILURE_LINES_MAX = 60;

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const bin = (name) => join(root, 'node_modules', '.bin', name);

function bunPath() {
  const candidates = [
    join(root, 'node_modules/bun/bin/bun.exe'),
    ...['x64', 'x64-baseline', 'aarch64', 'x64-musl', 'aarch64-musl'].map((kind) =>
      join(root, `node_modules/@oven/bun-linux-${kind}/bin/bun`),
    ),
  ];
  const found = candidates.find((path) => existsSync(path));
  if (!found) {
    console.error('the pinned Bun is missing from node_modules; run: npm ci');
    process.exit(3);
  }
  return found;
}

/** Runs one command; resolves with its exit code and, when `capture` is set, what it printed. */
function run(command, args, { capture = false } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: capture ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    });
    let text = '';
    const tee = (stream, sink) =>
      stream.on('data', (chunk) => {
        text += chunk;
        sink.write(chunk);
      });
    if (capture) {
      tee(child.stdout, process.stdout);
      tee(child.stderr, process.stderr);
    }
    child.on('error', (error) => resolve({ code: 3, text: String(error) }));
    child.on('close', (code, signal) => resolve({ code: code ?? (signal ? 1 : 0), text }));
  });
}

async function check() {
  const steps = [
    ['types', bin('tsc'), ['-p', '.']],
    ['types of the console', bin('tsc'), ['-p', 'web']],
    ['lint and format', bin('biome'), ['check', '--error-on-warnings', '.']],
    ['layer rules', bunPath(), ['test', 'tools']],
  ];
  for (const [title, command, args] of steps) {
    console.error(`== ${title}`);
    const { code } = await run(command, args);
    if (code !== 0) return code;
  }
  return 0;
}

/** Suites in order; each is its own process so that sockets and namespaces of one cannot disturb the next. */
function suites(filters) {
  if (filters.length > 0) return [['selected', filters]];
  return [
    ['unit', ['src', 'web', 'tools', 'test/support', 'test/kube', 'test/conformance']],
    ['benchmarks, short', ['test/bench']],
    ...aloneIn('test/browser'),
    ...aloneIn('test/compat'),
    ...aloneIn('test/e2e'),
  ];
}

function aloneIn(folder) {
  return readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.test.ts'))
    .map((name) => `${folder}/${name}`)
    .sort()
    .map((file) => [file, [file]]);
}

async function test(filters) {
  if (filters.length === 0) {
    const code = await check();
    if (code !== 0) {
      console.log('0 passed, 1 failed');
      return 1;
    }
  }
  return runSuites(suites(filters));
}

async function runSuites(list) {
  const total = { pass: 0, fail: 0, skip: 0 };
  const failures = [];
  let broken = false;
  for (const [title, paths] of list) {
    console.error(`== tests: ${title}`);
    const present = paths.filter((path) => existsSync(join(root, path)));
    const args = ['test', '--timeout', '120000', ...present.map((path) => `./${path}`)];
    const { code, text } = await run(bunPath(), args, { capture: true });
    const counts = countsOf(text);
    for (const key of Object.keys(total)) total[key] += counts[key];
    if (code === 0) continue;
    broken = true;
    if (counts.fail === 0) total.fail += 1;
    failures.push(`== failed in ${title}, exit ${code}`, ...failuresIn(text));
  }
  // Once more where the log ends: what stands in its middle is the first to be cut.
  if (failures.length > 0) console.log(failures.join('\n'));
  console.log(`${total.pass} passed, ${total.fail} failed, ${total.skip} skipped`);
  return broken || total.fail > 0 || total.pass === 0 ? 1 : 0;
}

function countsOf(text) {
  const last = (word) => {
    const hits = [...text.matchAll(new RegExp(`^\\s*(\\d+) ${word}\\s*$`, 'gm'))];
    return hits.length > 0 ? Number(hits[hits.length - 1][1]) : 0;
  };
  return { pass: last('pass'), fail: last('fail'), skip: last('skip') };
}

/** Of each failed test its name and the lines before it that are about it; of a run without one its last lines. */
function failuresIn(text) {
  const lines = text.split('\n');
  const found = lines.flatMap((line, at) => {
    if (!line.startsWith('(fail)')) return [];
    const before = lines.slice(Math.max(0, at - FAILURE_LINES_MAX), at);
    const from = before.findLastIndex((each) => /^\((pass|fail|skip|todo)\)|^== /.test(each)) + 1;
    return [...before.slice(from), line];
  });
  return found.length > 0 ? found : lines.slice(-FAILURE_LINES_MAX);
}

const [verb, ...rest] = process.argv.slice(2);
const verbs = {
  check: () => check(),
  test: () => test(rest),
  campaigns: () => runSuites(aloneIn('test/campaign')),
  web: async () => (await run(bunPath(), ['tools/web.ts', ...rest])).code,
  image: async () => (await run(bunPath(), ['tools/image/main.ts', ...rest])).code,
  conformance: async () =>
    (await run(bunPath(), ['test/conformance/gateway-api/main.ts', 'whole', ...rest])).code,
  bench: async () => (await run(bunPath(), ['test/bench/main.ts', ...rest])).code,
};
if (!verbs[verb]) {
  console.error(
    'usage: node tools/run.mjs check|test|campaigns|bench|image|conformance [arguments]',
  );
  process.exit(2);
}
process.exit(await verbs[verb]());
