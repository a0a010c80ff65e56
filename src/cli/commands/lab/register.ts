/** `tulle lab up|down|status`: flags and help. */
import { type Command, InvalidArgumentError } from 'commander';
import { NODES_MAX } from '#lab/limits.ts';
import { collect, output } from '../flags.ts';

export function portNumber(text: string): number {
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new InvalidArgumentError('It is no port number (0 to 65535).');
  return port;
}

function nodeCount(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1 || value > NODES_MAX)
    throw new InvalidArgumentError(`A lab has 1 to ${NODES_MAX} nodes.`);
  return value;
}

export function registerLab(program: Command): void {
  const lab = program.command('lab').description('the whole mesh on this machine');
  lab
    .command('up')
    .description('start it: nodes as network namespaces, pods as processes')
    .option(
      '--demo',
      'with the product-service canary, a waypoint, a client under load and a pod outside the mesh',
    )
    .option(
      '-f, --filename <path>',
      'apply this file or directory once it runs (repeatable)',
      collect,
      [],
    )
    .option('--nodes <count>', 'number of nodes', nodeCount, 2)
    .option('--detach', 'return when it is ready; stop it with tulle lab down')
    .option('--console-port <port>', 'console and API on 127.0.0.1', portNumber, 20001)
    .option(
      '--api-port <port>',
      'Kubernetes API on 127.0.0.1 (default: any free port)',
      portNumber,
      0,
    )
    .action(async (options) => (await import('./lab.ts')).up(options));
  lab
    .command('down')
    .description('stop it; nothing stays behind')
    .action(async () => (await import('./lab.ts')).down());
  lab
    .command('status')
    .description('is it up, and is everything in it ready')
    .addOption(output('text', 'json'))
    .action(async (options) => (await import('./lab.ts')).status(options));
}
