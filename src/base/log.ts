/**
 * Structured log lines on a sink (stderr by default). Not for hot paths: access logs have their own format
 * in telemetry/access-log. A logger carries a scope and fixed fields.
 */
import type { Clock } from './clock.ts';
import { rfc3339 } from './clock.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Record<string, string | number | boolean | undefined>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger whose lines carry `scope` (dot-joined) and `fields`. */
  child(scope: string, fields?: LogFields): Logger;
}

export interface LogOptions {
  clock: Clock;
  level?: LogLevel;
  format?: 'text' | 'json';
  write?: (line: string) => void;
}

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 };

export function createLogger(scope: string, options: LogOptions, fixed: LogFields = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const minimum = RANK[options.level ?? 'info'];
  const emit = (level: LogLevel, message: string, fields?: LogFields) => {
    if (RANK[level] < minimum) return;
    write(formatLine(options, { level, scope, message, fields: { ...fixed, ...fields } }));
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    child: (name, fields) => createLogger(`${scope}.${name}`, options, { ...fixed, ...fields }),
  };
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

interface Line {
  level: LogLevel;
  scope: string;
  message: string;
  fields: LogFields;
}

function formatLine(options: LogOptions, line: Line): string {
  const time = rfc3339(options.clock);
  if (options.format === 'json') {
    const { level, scope, message, fields } = line;
    return `${JSON.stringify({ time, level, scope, message, ...fields })}\n`;
  }
  let text = `${time}\t${line.level}\t${line.scope}\t${line.message}`;
  for (const [key, value] of Object.entries(line.fields)) {
    if (value === undefined) continue;
    text += ` ${key}=${typeof value === 'string' ? JSON.stringify(value) : value}`;
  }
  return `${text}\n`;
}
