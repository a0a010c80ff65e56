/** What Go programs and images of the tests are built into: the user's cache, a folder for each set of sources. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { goVersion } from './preflight.ts';

export interface Sources {
  /** First word of the folder's name. */
  name: string;
  /** Where `files` are. */
  base: string;
  /** Files, and folders with the files that are in them. */
  files: readonly string[];
  /** What else makes a difference. */
  salt: object;
}

/** The folder for what is made of these sources; there or not. */
export function cached({ name, base, files, salt }: Sources): string {
  const hash = createHash('sha256').update(JSON.stringify([goVersion(), process.arch, salt]));
  const all = files.flatMap((file) =>
    file.includes('.') ? [file] : filesIn(join(base, file)).map((each) => join(file, each)),
  );
  for (const file of all) hash.update(`${file}\n`).update(readFileSync(join(base, file)));
  return join(cacheRoot(), `${name}-${hash.digest('hex').slice(0, 16)}`);
}

const filesIn = (folder: string): string[] => [...new Bun.Glob('*').scanSync(folder)].sort();

/** Makes it unless it is there. Of two that do so at once one wins; nobody sees it half full. */
export async function fill(target: string, make: (folder: string) => Promise<void>): Promise<void> {
  if (existsSync(target)) return;
  mkdirSync(cacheRoot(), { recursive: true });
  const folder = mkdtempSync(`${target}.building-`);
  try {
    await make(folder);
    if (!existsSync(target)) renameSync(folder, target);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function cacheRoot(): string {
  const { XDG_CACHE_HOME: cache } = process.env;
  return join(cache ? cache : join(homedir(), '.cache'), 'tulle', 'kube');
}

export interface GoBuild {
  /** Folder of the module. */
  module: string;
  output: string;
  /** In the module or one that it requires; default its own. */
  package?: string;
  /** The package's tests instead of its program. */
  tests?: boolean;
  /** Variables to set, by their full names. */
  variables?: Record<string, string>;
  /** Without any C library. */
  isStatic?: boolean;
}

export async function goBuild(options: GoBuild): Promise<void> {
  const { module, output, variables = {}, tests = false, isStatic = false } = options;
  const stamps = Object.entries(variables).map(([name, value]) => `-X ${name}=${value}`);
  // Who comes second waits here, and then has nothing left to compile.
  const lock = ['flock', '-o', join(cacheRoot(), 'build.lock')];
  const flags = ['-trimpath', '-buildvcs=false', '-ldflags', ['-s', '-w', ...stamps].join(' ')];
  const verb = tests ? ['go', 'test', '-c'] : ['go', 'build'];
  const build = Bun.spawn([...lock, ...verb, ...flags, '-o', output, options.package ?? '.'], {
    cwd: module,
    env: { ...process.env, GOWORK: 'off', ...(isStatic && { CGO_ENABLED: '0' }) },
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
  const errors = await new Response(build.stderr).text();
  if ((await build.exited) !== 0) throw new Error(`${verb.join(' ')} in ${module}: ${errors}`);
}
