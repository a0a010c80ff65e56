/** The commands about what flows: graph, top, tap, traces, and the console. Names, flags and help. */
import { Argument, type Command, InvalidArgumentError } from 'commander';
import { output } from '../flags.ts';
import { NAMESPACES, repeatable } from './flags.ts';

export function registerObserve(program: Command): void {
  program
    .command('console')
    .description('open the console on this machine’s loopback and print its address')
    .option('--port <port>', 'on this port', wholeNumber, 20001)
    .action(async (options, command) =>
      (await import('./console.ts')).openConsole(options, command),
    );
  program
    .command('graph')
    .description('who talks to whom: rates, errors, latency, mutual TLS')
    .addOption(NAMESPACES)
    .option('--window <span>', '30s, 5m, 1h (default: 60s)')
    .option('--type <type>', 'workload, app, versionedApp or service')
    .option('--at <time>', 'as it was then, RFC 3339')
    .option('--focus <id>', 'only one node and its neighbours: workload/NAMESPACE/NAME')
    .option('--idle', 'also what is known and had no traffic')
    .option('--waypoints', 'waypoints as nodes of their own')
    .addOption(output('text', 'dot', 'json'))
    .action(async (options, command) => (await import('./graph.ts')).graph(options, command));
  program
    .command('top')
    .description('what is busy, fails or is slow; redrawn on a terminal')
    .addArgument(
      new Argument('[kind]').choices(['workloads', 'services', 'namespaces']).default('workloads'),
    )
    .addOption(NAMESPACES)
    .option('--window <span>', '30s, 5m, 1h (default: 60s)')
    .option('--sort <by>', 'rate, errors, latency, bytes or name', 'rate')
    .option('--once', 'print once, also on a terminal')
    .addOption(output('text', 'json'))
    .action(async (kind, options, command) =>
      (await import('./top.ts')).top(kind, options, command),
    );
  withRequestFlags(program.command('tap').description('requests as they end, live'))
    .option('--count <number>', 'end after so many', wholeNumber)
    .option('--per-second <number>', 'show at most so many a second (default: 100)', wholeNumber)
    .action(async (options, command) => (await import('./tap.ts')).tap(options, command));
  withRequestFlags(
    program
      .command('traces')
      .description('traces that are kept, or one as a waterfall')
      .argument('[id]'),
  )
    .option('--slowest', 'the slowest first, not the newest')
    .option('--limit <number>', 'at most so many', wholeNumber)
    .action(async (id, options, command) =>
      (await import('./traces.ts')).traces(id, options, command),
    );
}

function withRequestFlags(command: Command): Command {
  return command
    .addOption(NAMESPACES)
    .addOption(repeatable('--workload <name>', 'NAMESPACE/NAME at either end'))
    .addOption(repeatable('--service <host>', 'host name of the service'))
    .addOption(repeatable('--method <method>', 'GET, POST, …'))
    .option('--path <prefix>', 'paths that begin so')
    .option('--status <status>', '503, 400-499 or 5xx')
    .option(
      '--node <id>',
      'node of the graph: waypoint/, gateway/, workload/ or service/NAMESPACE/NAME',
    )
    .option('--failed', 'only those that failed')
    .addOption(output('text', 'json'));
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('not a whole number');
  return number;
}
