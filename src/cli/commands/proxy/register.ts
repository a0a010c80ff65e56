/** `tulle proxy …`: one proxy's inside. Names, flags and help. */
import { type Command, Option } from 'commander';
import { output } from '../flags.ts';

/** Commands whose first argument is so called get proxy names from the shell's completion. */
export const PROXY_ARGUMENT = 'proxy';
const WHICH: [string, string] = [
  `<${PROXY_ARGUMENT}>`,
  'pod, namespace/pod, the node of a node proxy, or the Gateway of a waypoint or gateway',
];

export function registerProxy(program: Command): void {
  const proxy = program.command('proxy').description('one proxy’s inside');
  proxy
    .command('list')
    .description('every proxy: kind, node, version, sync state, pods, connections, memory')
    .addOption(output('text', 'json'))
    .action(async (options, command) => (await import('./list.ts')).list(options, command));
  proxy
    .command('connections')
    .description('what is open through a proxy now')
    .argument(...WHICH)
    .option('-n, --namespace <name>', 'only those with an end in this namespace')
    .option('--pod <name>', 'only those of this pod (name or namespace/name)')
    .addOption(new Option('--direction <way>', 'only these').choices(['inbound', 'outbound']))
    .option('--limit <count>', 'show at most so many (default: 1000)')
    .option('-w, --watch', 'again each second')
    .addOption(output('text', 'json'))
    .action(async (name, options, command) =>
      (await import('./connections.ts')).connections(name, options, command),
    );
  proxy
    .command('config')
    .description('what it knows of the mesh: workloads, services, policies, waypoints')
    .argument(...WHICH)
    .argument('[part]', 'workloads, services, policies or waypoints (default: all)')
    .option('-n, --namespace <name>', 'only what is in this namespace')
    .option('--raw', 'the proxy’s own answer, unchanged')
    .addOption(output('text', 'json'))
    .action(async (name, part, options, command) =>
      (await import('./config.ts')).config(name, part, options, command),
    );
  proxy
    .command('certs')
    .description('certificates by identity; exit status 1 unless all are valid')
    .argument(...WHICH)
    .addOption(output('text', 'json'))
    .action(async (name, options, command) =>
      (await import('./certs.ts')).certs(name, options, command),
    );
  proxy
    .command('log')
    .description('show or change log levels while it runs')
    .argument(...WHICH)
    .option('--level <levels>', 'debug, or info,access=debug: for everything, then for scopes')
    .option('--reset', 'as it was started')
    .addOption(output('text', 'json'))
    .action(async (name, options, command) =>
      (await import('./log.ts')).log(name, options, command),
    );
  proxy
    .command('names', { hidden: true })
    .description('names for shell completion')
    .action(async (_options, command) => (await import('./names.ts')).names(command));
}
