/**
 * The program as one file: `bun build --compile` of src/cli/main.ts on the pinned Bun, kept under ~/.cache/tulle/image by the
 * hash of what goes into it. Why these settings: docs/decisions/018-image.md.
 */
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { EMBEDDED_CONSOLE } from '#console/server/bundle.ts';
import { embeddedConsole, webSources } from '../web.ts';
import { embeddedFiles } from './embedded-files.ts';

const ROOT = join(import.meta.dir, '../..');
const CACHE = join(homedir(), '.cache/tulle/image');
/** Each is 120 MB. */
const KEPT = 4;
/** The worker's name in the program is its path under `root`: src/node/worker/worker-group.ts. */
const ENTRYPOINTS = [
  'src/cli/main.ts',
  'src/node/worker/data-worker.ts',
  'src/console/engine/engine-worker.ts',
];
/** The name goes into the file, so it must not change. */
const NAME = 'tulle';

/** Path of the compiled program. */
export async function compiledProgram(): Promise<string> {
  const folder = join(CACHE, inputHash());
  const path = join(folder, NAME);
  if (existsSync(path)) return path;
  const own = `${folder}.${process.pid}`;
  try {
    await compile(join(own, NAME));
    // Two may compile at once: the later one finds the folder in its place.
    if (!existsSync(folder)) renameSync(own, folder);
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
  prune();
  return path;
}

async function compile(outfile: string): Promise<void> {
  mkdirSync(dirname(outfile), { recursive: true });
  // They are nowhere but in the program. Under `root`, for their path goes into it.
  const contents = { ...embeddedFiles(), [EMBEDDED_CONSOLE]: await embeddedConsole() };
  const files = Object.fromEntries(
    Object.entries(contents).map(([name, content]) => [join(ROOT, 'src', name), content]),
  );
  const built = await Bun.build({
    entrypoints: [...ENTRYPOINTS.map((path) => join(ROOT, path)), ...Object.keys(files)],
    files,
    naming: { asset: '[name].[ext]' },
    root: join(ROOT, 'src'),
    target: 'bun',
    format: 'esm',
    minify: true,
    // A role loads its own modules only, as from source.
    splitting: true,
    bytecode: true,
    // A program must not do what a file in its working directory says.
    compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  });
  if (!built.success) throw new AggregateError(built.logs, 'bun build failed');
}

function inputHash(): string {
  const hash = createHash('sha256').update(`${Bun.revision} ${process.arch}\0`);
  const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name));
  const others = [
    'package.json',
    'package-lock.json',
    'tools/image/compile.ts',
    'tools/image/embedded-files.ts',
  ];
  for (const path of [
    ...sources,
    ...webSources(),
    ...others.map((name) => join(ROOT, name)),
  ].sort()) {
    hash
      .update(`${path.slice(ROOT.length)}\0`)
      .update(readFileSync(path))
      .update('\0');
  }
  return hash.digest('hex').slice(0, 16);
}

function prune(): void {
  const age = (name: string) => statSync(join(CACHE, name)).mtimeMs;
  const oldest = readdirSync(CACHE).sort((a, b) => age(b) - age(a));
  for (const name of oldest.slice(KEPT))
    rmSync(join(CACHE, name), { recursive: true, force: true });
}
