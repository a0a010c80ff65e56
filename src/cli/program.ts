/** Builds the command tree: names, flags and help. What a command does is loaded from commands/ when it runs. */
import { Command, CommanderError } from 'commander';
import { registerDoctor } from './commands/doctor/register.ts';
import { output } from './commands/flags.ts';
import { registerInstall } from './commands/install/register.ts';
import { registerJoin } from './commands/join/register.ts';
import { registerKubectlVerbs } from './commands/kubectl/register.ts';
import { registerLab } from './commands/lab/register.ts';
import { registerMesh } from './commands/mesh/register.ts';
import { registerObserve } from './commands/observe/register.ts';
import { registerProxy } from './commands/proxy/register.ts';
import { registerValidate } from './commands/validate/register.ts';
import { versionText } from './commands/version.ts';
import { registerWhy } from './commands/why/register.ts';
import { EXIT, reportOf, UsageError } from './output/report.ts';

const KUBECONFIG: [string, string] = [
  '--kubeconfig <path>',
  'cluster to talk to (default: $KUBECONFIG, a running lab, ~/.kube/config)',
];

/** Commands that talk to no cluster, with all beneath them. */
const WITHOUT_CLUSTER = new Set(['lab', 'manifest', 'validate', 'completion', 'help', 'version']);

export function buildProgram(): Command {
  const program = new Command('tulle');
  program
    .description('An ambient service mesh: Istio’s resources and wire protocols, no sidecars')
    .option(...KUBECONFIG)
    .version(versionText('text').trimEnd(), '-V, --version', 'print the version')
    .enablePositionalOptions()
    .helpCommand(false);
  registerLab(program);
  registerKubectlVerbs(program);
  registerMesh(program);
  registerObserve(program);
  registerProxy(program);
  registerWhy(program);
  registerValidate(program);
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
    .addOption(output('text', 'json'))
    .action((options: { output: string }) => {
      process.stdout.write(versionText(options.output));
    });
  program
    .command('help')
    .description('what a command does, and its flags')
    .argument('[command...]')
    .action((words: string[]) => namedCommand(program, words).outputHelp());
  // Where the flag stands is habit: kubectl takes it before and after the verb.
  for (const command of program.commands)
    if (!WITHOUT_CLUSTER.has(command.name()))
      for (const leaf of leavesOf(command))
        if (leaf.options.every(({ long }) => long !== '--kubeconfig')) leaf.option(...KUBECONFIG);
  for (const command of allCommands(program))
    command.exitOverride().showHelpAfterError(`(${wordsOf(command)} --help lists what there is)`);
  return program;
}

function namedCommand(program: Command, words: readonly string[]): Command {
  return words.reduce((command, word) => {
    const child = command.commands.find((each) => each.name() === word);
    if (child !== undefined) return child;
    throw new UsageError(`there is no ${wordsOf(command)} ${word}: ${wordsOf(command)} --help`);
  }, program);
}

function wordsOf(command: Command): string {
  return command.parent === null ? command.name() : `${wordsOf(command.parent)} ${command.name()}`;
}

function leavesOf(command: Command): Command[] {
  return allCommands(command).filter(({ commands }) => commands.length === 0);
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
    return report.status;
  }
}
