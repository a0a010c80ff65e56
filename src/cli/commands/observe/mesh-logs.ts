/** `tulle logs POD --mesh`: lines of the pod and what the mesh saw of it, by time. */
import type { Command } from 'commander';
import type { LogLine, LogsAnswer } from '#console/api/lists.ts';
import { clusterFor } from '../../cluster.ts';
import { askConsole } from '../../console-client.ts';
import { type Palette, paletteFor } from '../../output/table.ts';
import { findPod } from '../kubectl/pods.ts';
import { addressOf } from './flags.ts';
import { printable } from './words.ts';

export async function meshLogs(
  word: string,
  options: { namespace?: string; container?: string; tail?: number },
  command: Command,
): Promise<void> {
  const cluster = clusterFor(command);
  const namespace = options.namespace ?? cluster.namespace;
  const pod = await findPod(cluster.client, namespace, word);
  const path = `logs/${encodeURIComponent(namespace)}/${encodeURIComponent(pod.metadata.name)}`;
  const answer = await askConsole<LogsAnswer>(
    command,
    addressOf(path, { container: options.container, limit: options.tail }),
  );
  if (answer.notice !== undefined) process.stderr.write(`${answer.notice}\n`);
  if (answer.lines.length === 0)
    process.stderr.write(
      `${namespace}/${pod.metadata.name} wrote nothing, and of what the mesh saw of it nothing is kept: requests that failed are, a few others of each second, and more while somebody taps\n`,
    );
  const paint = paletteFor(process.stdout, process.env);
  for (const line of answer.lines) process.stdout.write(`${formatLine(line, paint)}\n`);
}

export function formatLine({ at, from, text }: LogLine, paint: Palette): string {
  const mark = from === 'application' ? '  ' : paint('cyan', '⇄ ');
  return `${paint('dim', at.slice(0, 23).padEnd(23))} ${mark}${printable(text)}`;
}
