/** `tulle join`: names, flags and help. */
import type { Command } from 'commander';
import { collect } from '../flags.ts';

const AFTER = `
Run it as root on the machine; it stays in the foreground and leaves the mesh on SIGTERM. docs/join.md says what it
touches, what permissions the kubeconfig needs, and what happens when it is killed.

  tulle join --kubeconfig machine.conf -n shop --group billing
  tulle join -n shop --service-account billing --label app=billing --port http=8080
  tulle join --print-unit -n shop --group billing > /etc/systemd/system/tulle-join.service
`;

export function registerJoin(program: Command): void {
  program
    .command('join')
    .description('make this Linux machine a workload of the mesh')
    .option('--kubeconfig <path>', 'cluster to join, and who may register this machine')
    .option('-n, --namespace <name>', 'namespace of the machine')
    .option('--group <name>', 'WorkloadGroup that describes machines of this kind')
    .option('--service-account <name>', "whom the machine runs as (default: the group's)")
    .option('--label <key=value>', 'label; can be repeated', collect, [])
    .option('--port <name=number>', 'port to share with the mesh; can be repeated', collect, [])
    .option('--name <name>', 'name of the WorkloadEntry (default: the host name)')
    .option('--address <ip>', 'address that peers connect to (default: towards the control plane)')
    .option('--interface <device>', 'take the address of this device')
    .option('--network <name>', 'network of the machine (default: that of the cluster)')
    .option('--locality <path>', 'region/zone/subzone')
    .option('--control <host:port>', 'control plane (default: what Service istiod says)')
    .option('--system-namespace <name>', 'namespace of the control plane', 'istio-system')
    .option('--revision <name>', 'control plane to join, where there are several', 'default')
    .option('--cluster-id <name>', 'cluster that the control plane serves', 'Kubernetes')
    .option('--token-file <path>', 'token for the control plane, kept fresh by somebody else')
    .option('--root-file <path>', 'roots of the mesh, for --token-file')
    .option('--state-dir <path>', 'for token and roots', '/run/tulle/join')
    .option(
      '--exclude-port <number>',
      'destination port to leave alone; can be repeated',
      collect,
      [],
    )
    .option('--no-dns', 'leave look-ups alone')
    .option('--keep', 'leave the WorkloadEntry in the API when the machine leaves')
    .option('--clean', 'remove what a killed `tulle join` left on this machine, and end')
    .option('--print-unit', 'print a systemd unit that does this, and end')
    .addHelpText('after', AFTER)
    .action(async (options, command) => (await import('./join.ts')).join(options, command));
}
