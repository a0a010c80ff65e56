/**
 * `tulle-cni`: the CNI plugin of a node, and `tulle role cni`. A pod waits for it to start and to end, so it loads next to
 * nothing.
 */
import { systemClock } from '#base/clock.ts';
import { askAgent } from './agent-client.ts';
import { runPlugin } from './plugin.ts';

/** One call of the container runtime, from its environment and standard input to the exit status. */
export async function runCni(
  env: Readonly<Record<string, string | undefined>>,
  stdin: () => Promise<string>,
  stdout: (text: string) => void,
): Promise<number> {
  const call = { env, stdin: await stdin() };
  const outcome = await runPlugin(call, (question) => askAgent(systemClock, question));
  stdout(outcome.stdout);
  return outcome.exitStatus;
}

/** As a process. */
export async function runCniProcess(): Promise<void> {
  const write = (text: string) => void process.stdout.write(text);
  process.exitCode = await runCni(process.env, () => Bun.stdin.text(), write);
}
