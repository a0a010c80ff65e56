/** Tulle's life on a Kubernetes cluster: install, upgrade, uninstall, manifests. Names, flags and help. */
import type { Command } from 'commander';
import { collect, output } from '../flags.ts';

function withValues(command: Command): Command {
  return command
    .option('--set <name=value>', 'one value, as Helm writes it; can be repeated', collect, [])
    .option('-f, --values <file>', 'YAML file with values; can be repeated', collect, [])
    .option('-n, --namespace <name>', 'namespace of the mesh (default: istio-system)')
    .option('--revision <name>', 'name of this control plane, beside others (default: default)');
}

function withApplying(command: Command): Command {
  return withValues(command)
    .option('--dry-run', 'only ask the server what would change')
    .option('--force-conflicts', 'take over fields and objects that others manage')
    .option('--wait', 'wait until everything runs (the default)')
    .option('--no-wait', 'return once the server has taken everything')
    .option('--timeout <duration>', 'how long to wait: 90s, 5m', '5m')
    .addOption(output('text', 'json'));
}

export function registerInstall(program: Command): void {
  withApplying(program.command('install'))
    .description('install Tulle on the cluster')
    .action(async (options, command) => (await import('./install.ts')).install(options, command));
  withApplying(program.command('upgrade'))
    .description('bring an installation to this version, with the values that were chosen before')
    .action(async (options, command) => (await import('./install.ts')).upgrade(options, command));
  program
    .command('uninstall')
    .description('let the pods of the mesh go, then remove Tulle')
    .option('-n, --namespace <name>', 'namespace of the mesh (default: istio-system)')
    .option('--revision <name>', 'the control plane to remove (default: default)')
    .option('--purge', 'remove the definitions too, and with them every object of their kinds')
    .option('-y, --yes', 'do not ask')
    .option('--dry-run', 'only tell what would be removed')
    .option('--timeout <duration>', 'how long connections may take to end: 90s, 10m', '10m')
    .addOption(output('text', 'json'))
    .action(async (options, command) =>
      (await import('./uninstall.ts')).uninstall(options, command),
    );
  const manifest = program.command('manifest').description('what is installed, as files');
  withValues(manifest.command('generate'))
    .description('print the manifests, for kubectl apply --server-side -f -')
    .option('--no-crds', 'leave out the definitions of custom resources')
    .option('--chart <folder>', 'write the Helm chart there instead')
    .action(async (options) => (await import('./manifest.ts')).generate(options));
}
