/** `tulle proxy names`: for shell completion; silent when there is no cluster to ask. */
import type { Command } from 'commander';
import { isMeshError } from '#base/errors.ts';
import { clusterFor } from '../../cluster.ts';
import { listProxies, proxyNames } from './find.ts';

export async function names(command: Command): Promise<void> {
  try {
    const found = proxyNames(await listProxies(clusterFor(command)));
    process.stdout.write(found.map((name) => `${name}\n`).join(''));
  } catch (error) {
    // A completion that prints an error spoils the line that is being typed.
    if (!isMeshError(error)) throw error;
  }
}
