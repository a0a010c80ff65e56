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
  /** `LogLevels` can be changed while the process runs. */
  level?: LogLevel | LogLevels;
  format?: 'text' | 'json';
  write?: (line: string) => void;
}

const RANK: Record<LogLevel | 'off', number> = { debug: 0, info: 1, warn: 2, error: 3, off: 4 };

/** Levels by scope, in the words of ztunnel's `/logging?level=`: `info` or `info,access=debug`. */
export class LogLevels {
  readonly #initial: string;
  #text: string;
  #ranks: ReadonlyMap<string, number>;
  readonly #callbacks: ((text: string) => void)[] = [];

  /** `text` is one that `parse` takes. */
  constructor(text: string) {
    this.#initial = text;
    this.#text = text;
    this.#ranks = parseLevels(text) ?? new Map([['', RANK.info]]);
  }

  static valid(text: string): boolean {
    return parseLevels(text) !== undefined;
  }

  /** False, and nothing changed, when `text` cannot be understood. */
  set(text: string): boolean {
    const ranks = parseLevels(text);
    if (ranks === undefined) return false;
    this.#ranks = ranks;
    this.#text = text;
    for (const callback of this.#callbacks) callback(text);
    return true;
  }

  /** After each change; for what follows the levels in another thread. */
  onChange(callback: (text: string) => void): void {
    this.#callbacks.push(callback);
  }

  reset(): void {
    this.set(this.#initial);
  }

  allows(scope: string, level: LogLevel): boolean {
    return RANK[level] >= this.#rankOf(scope);
  }

  toString(): string {
    return this.#text;
  }

  /** The nearest of `a.b.c`, `a.b`, `a`; else the default. */
  #rankOf(scope: string): number {
    for (let name = scope; name !== ''; name = name.slice(0, Math.max(0, name.lastIndexOf('.')))) {
      const rank = this.#ranks.get(name);
      if (rank !== undefined) return rank;
    }
    return this.#ranks.get('') ?? RANK.info;
  }
}

function parseLevels(text: string): ReadonlyMap<string, number> | undefined {
  const ranks = new Map<string, number>();
  for (const clause of text.split(',')) {
    const [, scope = '', word] = /^(?:([\w.:-]+)=)?([a-z]+)$/.exec(clause.trim()) ?? [];
    // Istio's users say `trace`; nothing here is more talkative than debug.
    const level = word === 'trace' ? 'debug' : word;
    if (level === undefined || !Object.hasOwn(RANK, level)) return undefined;
    ranks.set(scope, RANK[level as LogLevel]);
  }
  return ranks;
}

export function createLogger(scope: string, options: LogOptions, fixed: LogFields = {}): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const { level: given = 'info' } = options;
  const levels = given instanceof LogLevels ? given : new LogLevels(given);
  const emit = (level: LogLevel, message: string, fields?: LogFields) => {
    if (!levels.allows(scope, level)) return;
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
