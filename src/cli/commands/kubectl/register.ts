/** kubectl's verbs, for machines without kubectl: names, flags and help. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { collect } from '../flags.ts';

const NAMESPACE: [string, string] = [
  '-n, --namespace <name>',
  'namespace (default: the context’s)',
];

const output = (...choices: string[]) =>
  new Option('-o, --output <format>', 'how to print it').choices(choices);

function wholeNumber(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0)
    throw new InvalidArgumentError('It is not a whole number.');
  return value;
}

export function registerKubectlVerbs(program: Command): void {
  program
    .command('get')
    .description('list objects: tulle get pods -A, tulle get vs,dr')
    .argument('<kind...>', 'KIND [NAME…], KIND/NAME…, or KIND,KIND')
    .option(...NAMESPACE)
    .option('-A, --all-namespaces', 'in every namespace')
    .option('-l, --selector <labels>', 'label selector')
    .addOption(output('json', 'yaml', 'wide', 'name'))
    .option('-w, --watch', 'follow changes')
    .action(async (words, options, command) =>
      (await import('./get.ts')).get(words, options, command),
    );
  program
    .command('describe')
    .description('one object in full, with its events')
    .argument('<kind...>', 'KIND NAME or KIND/NAME')
    .option(...NAMESPACE)
    .action(async (words, options, command) =>
      (await import('./describe.ts')).describe(words, options, command),
    );
  program
    .command('apply')
    .description('create or change objects from files (server-side apply)')
    .option('-f, --filename <path>', 'file, directory or - (repeatable)', collect, [])
    .option(...NAMESPACE)
    .addOption(output('text', 'json'))
    .action(async (options, command) => (await import('./apply.ts')).apply(options, command));
  program
    .command('delete')
    .description('delete objects by name or by the files that made them')
    .argument('[kind...]', 'KIND NAME… or KIND/NAME…')
    .option('-f, --filename <path>', 'file, directory or - (repeatable)', collect, [])
    .option(...NAMESPACE)
    .option('--grace-period <seconds>', 'seconds a pod gets to end', wholeNumber)
    .option('--ignore-not-found', 'succeed when it is gone already')
    .action(async (words, options, command) =>
      (await import('./apply.ts')).remove(words, options, command),
    );
  program
    .command('logs')
    .description('what a pod printed')
    .argument('<pod>', 'POD, deploy/NAME or svc/NAME')
    .option(...NAMESPACE)
    .option('-c, --container <name>', 'container')
    .option('-f, --follow', 'keep printing')
    .option('-p, --previous', 'of the run before the last restart')
    .option('--timestamps', 'with the time of each line')
    .option('--tail <lines>', 'only the last lines', wholeNumber)
    .option('--mesh', 'with what the mesh saw of it, by time')
    .action(async (word, options, command) =>
      options.mesh === true
        ? (await import('../observe/mesh-logs.ts')).meshLogs(word, options, command)
        : (await import('./logs.ts')).logs(word, options, command),
    );
  program
    .command('exec')
    .description(
      'run a command in a pod’s network: tulle exec deploy/web -- curl -s http://product-service/',
    )
    .argument('<pod...>', 'POD, deploy/NAME or svc/NAME, then -- COMMAND')
    .option(...NAMESPACE)
    .option('-c, --container <name>', 'container')
    .option('-i, --stdin', 'pass standard input on')
    .action(async (words, options, command) =>
      (await import('./exec.ts')).exec(words, options, command),
    );
}
