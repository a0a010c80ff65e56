/** The mesh's own commands: status, waypoint, enrolment. Names, flags and help. */
import { type Command, Option } from 'commander';
import { output } from '../flags.ts';

const NAMESPACE: [string, string] = [
  '-n, --namespace <name>',
  'namespace (default: the context’s)',
];

export function registerMesh(program: Command): void {
  program
    .command('status')
    .description('health of every part, sync state of every proxy, ejected endpoints and why')
    .addOption(output('text', 'json'))
    .action(async (options, command) => (await import('./status.ts')).status(options, command));
  registerWaypoint(program);
  program
    .command('enroll')
    .description('capture the pods of a namespace (L4: mTLS and policy)')
    .argument('<namespace>')
    .action(async (namespace, _options, command) =>
      (await import('./enroll.ts')).enroll(namespace, command),
    );
  program
    .command('unenroll')
    .description('let the pods of a namespace go')
    .argument('<namespace>')
    .action(async (namespace, _options, command) =>
      (await import('./enroll.ts')).unenroll(namespace, command),
    );
}

function registerWaypoint(program: Command): void {
  const waypoint = program.command('waypoint').description('L7 proxies for services or namespaces');
  waypoint
    .command('apply')
    .description('ask for a waypoint')
    .option(...NAMESPACE)
    .option('--name <name>', 'its name', 'waypoint')
    .addOption(
      new Option('--for <traffic>', 'what it serves').choices([
        'service',
        'workload',
        'all',
        'none',
      ]),
    )
    .option('--enroll-namespace', 'send the namespace’s services through it')
    .action(async (options, command) => (await import('./waypoint.ts')).apply(options, command));
  for (const [name, text] of [
    ['list', 'every waypoint and its state'],
    ['status', 'the same; exit status 1 unless all are ready'],
  ] as const) {
    waypoint
      .command(name)
      .description(text)
      .option(...NAMESPACE)
      .option('-A, --all-namespaces', 'in every namespace')
      .addOption(output('text', 'json'))
      .action(async (options, command) => (await import('./waypoint.ts'))[name](options, command));
  }
  waypoint
    .command('delete')
    .description('remove a waypoint')
    .option(...NAMESPACE)
    .option('--name <name>', 'its name', 'waypoint')
    .action(async (options, command) => (await import('./waypoint.ts')).remove(options, command));
}
