/** `tulle completion bash|zsh|fish`: scripts generated from the command tree, so they cannot go stale. */
import type { Command } from 'commander';
import { UsageError } from '../output/report.ts';
import { PROXY_ARGUMENT } from './proxy/register.ts';

interface Entry {
  /** Words after `tulle`, space joined; '' for the program itself. */
  path: string;
  words: string[];
  /** Its first argument is the name of a proxy: those are asked for when it is typed. */
  takesProxy: boolean;
}

function entriesOf(command: Command, path: string[] = []): Entry[] {
  const children = command
    .createHelp()
    .visibleCommands(command)
    .map((child) => child.name());
  const flags = command.options
    .flatMap((option) => [option.long, option.short])
    .filter((flag) => flag !== undefined && flag !== null);
  return [
    {
      path: path.join(' '),
      words: [...children, ...flags],
      takesProxy: command.registeredArguments[0]?.name() === PROXY_ARGUMENT,
    },
    ...command.commands.flatMap((child) => entriesOf(child, [...path, child.name()])),
  ];
}

export function completionScript(shell: string, program: Command): string {
  const entries = entriesOf(program);
  switch (shell) {
    case 'bash':
      return bashScript(entries);
    case 'zsh':
      return `autoload -Uz bashcompinit && bashcompinit\n${bashScript(entries)}`;
    case 'fish':
      return fishScript(entries);
    default:
      throw new UsageError(`no completion for ${shell}; one of bash, zsh, fish`);
  }
}

function bashScript(entries: readonly Entry[]): string {
  const cases = entries
    .map(({ path, words, takesProxy }) => {
      const names = takesProxy ? ` $("\${COMP_WORDS[0]}" proxy names 2>/dev/null)` : '';
      return `    "${path}") words="${words.join(' ')}${names}" ;;`;
    })
    .join('\n');
  return `_tulle() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in -*) ;; *) path="\${path:+$path }\${COMP_WORDS[i]}" ;; esac
  done
  case "$path" in
${cases}
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _tulle tulle
`;
}

function fishScript(entries: readonly Entry[]): string {
  const rules = entries.map(({ path, words, takesProxy }) => {
    const names = takesProxy ? ' (tulle proxy names 2>/dev/null)' : '';
    return `complete -c tulle -n "__tulle_is '${path}'" -a "${words.join(' ')}${names}"`;
  });
  return `function __tulle_is
  set -l words (commandline -opc)
  set -e words[1]
  set -l path (string join ' ' -- (string match -v -- '-*' $words))
  test "$path" = "$argv[1]"
end
${rules.join('\n')}
`;
}
