/** `tulle proxy log NAME`: shows a proxy's log levels, and changes them while it runs. */
import type { Command } from 'commander';
import { LogLevels } from '#base/log.ts';
import { UsageError } from '../../output/report.ts';
import { openProxy } from './find.ts';

export interface LogOptions {
  output: string;
  level?: string;
  reset?: boolean;
}

export async function log(name: string, options: LogOptions, command: Command): Promise<void> {
  const { level, reset } = options;
  if (level !== undefined && !LogLevels.valid(level))
    throw new UsageError(
      `--level ${level}: want off, error, warn, info or debug, or SCOPE=LEVEL separated by commas (access=debug)`,
    );
  if (level !== undefined && reset === true) throw new UsageError('--level or --reset, not both');
  using door = await openProxy(name, command);
  const query = reset ? '?reset' : level === undefined ? '' : `?level=${encodeURIComponent(level)}`;
  const answer = await door.text(`/logging${query}`, { method: 'POST' });
  const current = answer.replace(/^current log level is /, '').trim();
  const line =
    options.output === 'json'
      ? JSON.stringify({ proxy: door.proxy.name, level: current })
      : `${door.proxy.name}: ${current}`;
  process.stdout.write(`${line}\n`);
}
