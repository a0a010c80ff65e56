/** Builds the command tree: names, flags and help. What a command does is loaded from commands/ when it runs. */
import { Command, CommanderError, Option } from 'commander';
import { registerDoctor } from './commands/doctor/register.ts';
import { registerInstall } from './commands/install/register.ts';
import { registerJoin } from './commands/join/register.ts';
import { registerKubectlVerbs } from './commands/kubectl/register.ts';
import { registerLab } from './commands/lab/register.ts';
import { registerMesh } from './commands/mesh/register.ts';
import { registerObserve } from './commands/observe/register.ts';
import { registerProxy } from './commands/proxy/register.ts';
import { registerWhy } from './commands/why/register.ts';
import { AnswerIsNo, EXIT, reportOf, UsageError } from './output/report.ts';

/** Flags that many commands share. */
export const OUTPUT_TEXT_OR_JSON = () =>
  new Option('-o, --output <format>', 'text or json').choices(['text', 'json']).default('text');

export function buildProgram(): Command {
  const program = new Command('tulle');
  program
    .description('An ambient service mesh: Istio’s resources and wire protocols, no sidecars')
    .option(
      '--kubeconfig <path>',
      'cluster to talk to (default: $KUBECONFIG, a running lab, ~/.kube/config)',
    )
    .showHelpAfterError('(tulle help COMMAND lists the flags)')
    .exitOverride()
    .enablePositionalOptions();
  registerLab(program);
  registerKubectlVerbs(program);
  registerMesh(program);
  registerObserve(program);
  registerProxy(program);
  registerWhy(program);
  registerInstall(program);
  registerDoctor(program);
  registerJoin(program);
  program
    .command('completion')
    .description('print a completion script: source <(tulle completion bash)')
    .argument('<shell>', 'bash, zsh or fish')
    .action(async (shell: string) => {
      const { completionScript } = await import('./commands/completion.ts');
      process.stdout.write(completionScript(shell, program));
    });
  program
    .command('version')
    .description('print the version')
    .addOption(OUTPUT_TEXT_OR_JSON())
    .action(async (options: { output: string }) => {
      const { versionText } = await import('./commands/version.ts');
      process.stdout.write(versionText(options.output));
    });
  for (const command of allCommands(program)) command.exitOverride();
  return program;
}

function allCommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap((child) => allCommands(child))];
}

/** Runs one command line and returns the exit status. */
export async function runCommandLine(argv: string[]): Promise<number> {
  const program = buildProgram();
  if (argv.length === 0) {
    program.outputHelp();
    return EXIT.usage;
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const report = reportOf(error);
    process.stderr.write(report.text);
    if (error instanceof AnswerIsNo || error instanceof UsageError) return report.status;
    return report.status;
  }
}
