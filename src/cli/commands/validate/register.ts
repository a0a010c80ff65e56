/** `tulle validate`: names, flags and help. */
import { type Command, Option } from 'commander';
import { collect, output } from '../flags.ts';

export function registerValidate(program: Command): void {
  program
    .command('validate')
    .description(
      'is each document right by itself: the API’s schemas and the mesh’s rules, without a cluster',
    )
    .option('-f, --filename <path>', 'manifests: file, folder or - (repeatable)', collect)
    .option('-n, --namespace <name>', 'of documents that name none')
    .addOption(
      new Option('--failure-threshold <level>', 'the mildest finding that makes the exit status 1')
        .choices(['error', 'warning', 'info'])
        .default('error')
        .argParser((level) => level.toLowerCase()),
    )
    .addOption(output('text', 'json'))
    .action(async (options) => (await import('./validate.ts')).validateCommand(options));
}
