/**
 * The npm scripts: check, test, bench. Plain JavaScript so that Node (or Bun) can start it before Bun is found.
 * Each step is printed before it runs; `test` ends with one line "N passed, N failed, N skipped".
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

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
  const alone = ['test/compat', 'test/e2e'].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => `${folder}/${name}`)
      .sort(),
  );
  return [
    ['unit', ['src', 'tools', 'test/support', 'test/conformance']],
    ['benchmarks, short', ['test/bench']],
    ...alone.map((file) => [file, [file]]),
  ];
}

async function test(filters) {
  const total = { pass: 0, fail: 0, skip: 0 };
  let broken = false;
  if (filters.length === 0) {
    const code = await check();
    if (code !== 0) {
      console.log('0 passed, 1 failed');
      return 1;
    }
  }
  for (const [title, paths] of suites(filters)) {
    console.error(`== tests: ${title}`);
    const present = paths.filter((path) => existsSync(join(root, path)));
    const args = ['test', '--timeout', '120000', ...present.map((path) => `./${path}`)];
    const { code, text } = await run(bunPath(), args, { capture: true });
    const counts = countsOf(text);
    for (const key of Object.keys(total)) total[key] += counts[key];
    if (code !== 0) broken = true;
    if (code !== 0 && counts.fail === 0) total.fail += 1;
  }
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

const [verb, ...rest] = process.argv.slice(2);
const verbs = {
  check: () => check(),
  test: () => test(rest),
  bench: async () => (await run(bunPath(), ['test/bench/main.ts', ...rest])).code,
};
if (!verbs[verb]) {
  console.error('usage: node tools/run.mjs check|test|bench [arguments]');
  process.exit(2);
}
process.exit(await verbs[verb]());
