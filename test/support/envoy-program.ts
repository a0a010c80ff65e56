/** The Envoy that we are compared with: `ENVOY`, or the one on the PATH, or the one that .ci/run has put into its cache. */
import { homedir } from 'node:os';
import { join } from 'node:path';

const CACHED = join(homedir(), '.cache/tulle/envoy-venv/bin/envoy');

export function findEnvoyProgram(): string | null {
  const { ENVOY } = process.env;
  return ENVOY === undefined ? (Bun.which('envoy') ?? Bun.which(CACHED)) : Bun.which(ENVOY);
}
