/** `tulle why`: names, flags and help. */
import { type Command, Option } from 'commander';
import { collect, output } from '../flags.ts';

export function registerWhy(program: Command): void {
  program
    .command('why')
    .description('what happens to one request, and why: from files, or in the running mesh')
    .option('-f, --filename <path>', 'manifests: file, folder or - (repeatable)', collect)
    .option('--request <file>', 'one request or an array, as JSON; - reads standard input')
    .option('--from <source>', 'the client: namespace/name of a pod, service account or workload')
    .option('--to <destination>', 'host[:port], as the client dials it (port 80)')
    .option('--method <method>', 'HTTP method')
    .option('--path <path>', 'with the query')
    .option('--header <field>', 'name:value (repeatable)', collect)
    .option('--sni <name>', 'server name of a TLS connection')
    .option('--gateway <gateway>', 'namespace/name: the request enters there')
    .addOption(
      new Option('--protocol <name>', 'default: the port’s').choices([
        'http',
        'http2',
        'grpc',
        'tcp',
        'tls',
        'https',
      ]),
    )
    .addOption(
      new Option('--mode <mode>', 'sidecar: as Istio’s sidecars would enforce').choices([
        'ambient',
        'sidecar',
      ]),
    )
    .option('-n, --namespace <name>', 'of the client, and of manifests that name none', 'default')
    .addOption(output('text', 'json'))
    .action(async (options, command) => (await import('./why.ts')).whyCommand(options, command));
}
