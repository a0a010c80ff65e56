/** `tulle doctor`. Names, flags and help. */
import { Argument, type Command } from 'commander';
import { output } from '../flags.ts';

export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .description('can this machine run the lab, can this cluster run Tulle, and what to do if not')
    .addArgument(
      new Argument(
        '[what]',
        'machine or cluster (default: both, if there is a cluster to talk to)',
      ).choices(['machine', 'cluster']),
    )
    .addOption(output('text', 'json'))
    .action(async (what, options, command) =>
      (await import('./doctor.ts')).doctor(what, options, command),
    );
}
