/** The real Helm: the one on the PATH, else built once from its Go module into the user's cache (Debian has none). */
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

const MODULE = 'helm.sh/helm/v3/cmd/helm@v3.22.0';

export interface HelmResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export type Helm = (args: readonly string[], env?: Record<string, string>) => HelmResult;

/** For who must go on while Helm runs. */
export function helmProgram(): string | undefined {
  return Bun.which('helm') ?? built();
}

/** Undefined when there is neither Helm nor Go; building takes about two minutes on two cores. */
export function findHelm(): Helm | undefined {
  const path = helmProgram();
  if (path === undefined) {
    if (process.env.CI) throw new Error('Helm cannot be built in CI: go is not installed');
    process.stderr.write('SKIPPED, neither helm nor go is installed\n');
    return undefined;
  }
  return (args, env = {}) => {
    const done = Bun.spawnSync([path, ...args], { env: { ...process.env, ...env } });
    return {
      code: done.exitCode,
      stdout: done.stdout.toString(),
      stderr: done.stderr.toString(),
    };
  };
}

function built(): string | undefined {
  const folder = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tulle', 'bin');
  const path = join(folder, 'helm');
  if (existsSync(path)) return path;
  const go = Bun.which('go') ?? ['/usr/local/go/bin/go'].find(existsSync);
  if (go === undefined) return undefined;
  mkdirSync(folder, { recursive: true });
  const done = Bun.spawnSync([go, 'install', MODULE], { env: { ...process.env, GOBIN: folder } });
  if (done.exitCode !== 0) throw new Error(`cannot build Helm: ${done.stderr.toString()}`);
  return path;
}
