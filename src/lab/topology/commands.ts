/** Runs one program of the machine to its end; a failure becomes a MeshError with what it printed. */
import { MeshError } from '#base/errors.ts';
import { LAB_ERRORS } from '../errors.ts';

export interface CommandOptions {
  /** Fed to standard input. */
  input?: string;
  /** Name of a network namespace under /run/netns to run in. */
  namespace?: string;
}

export async function runCommand(
  words: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const enter =
    options.namespace === undefined ? [] : ['nsenter', `--net=/run/netns/${options.namespace}`];
  const child = Bun.spawn([...enter, ...words], {
    stdin: options.input === undefined ? 'ignore' : new TextEncoder().encode(options.input),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, status] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (status !== 0) {
    const detail = stderr.trim() || stdout.trim() || `exit status ${status}`;
    throw new MeshError('LAB_COMMAND_FAILED', `${words.slice(0, 4).join(' ')}: ${detail}`, {
      side: 'self',
      hint: LAB_ERRORS.LAB_COMMAND_FAILED,
    });
  }
  return stdout;
}

/** `ip -batch -`: one process for many changes. */
export function runIp(lines: readonly string[], namespace?: string): Promise<string> {
  return runCommand(['ip', '-batch', '-'], { input: `${lines.join('\n')}\n`, namespace });
}
