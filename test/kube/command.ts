/** Runs programs of the machine and gives back what they said. */
import { environment } from './preflight.ts';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandInput {
  /** Text for standard input, or the path of a file that it is read from. */
  input?: string | { file: string };
  env?: Record<string, string>;
  /** Ended with SIGKILL after this long; the code is then 137. */
  timeoutMs?: number;
}

export async function run(
  words: readonly string[],
  options: CommandInput = {},
): Promise<CommandResult> {
  const { input } = options;
  const stdin =
    input === undefined
      ? 'ignore'
      : typeof input === 'string'
        ? new TextEncoder().encode(input)
        : Bun.file(input.file);
  const child = Bun.spawn([...words], {
    stdin,
    stdout: 'pipe',
    stderr: 'pipe',
    env: { ...environment(), ...options.env },
    ...(options.timeoutMs !== undefined && { timeout: options.timeoutMs, killSignal: 'SIGKILL' }),
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

/** Standard output; throws with what the program said when it failed. */
export async function must(words: readonly string[], options: CommandInput = {}): Promise<string> {
  const { code, stdout, stderr } = await run(words, options);
  if (code !== 0)
    throw new Error(`${words.join(' ')}: exit ${code}: ${stderr.trim() || stdout.trim()}`);
  return stdout;
}
