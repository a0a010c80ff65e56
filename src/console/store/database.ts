/**
 * The file that the console's memory lives in, and what is done when it fails: a broken file is put aside and another begun; a full or lost disk is done
 * without (in memory, bounded) until it can be written again. Callers go on either way; `problem` says which it is.
 *
 *   file ── corrupt ──► broken file renamed, new file        file ── full, I/O error ──► memory ── disk is back ──► file, with what memory had
 */
import { Database } from 'bun:sqlite';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Timer } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { BROKEN_FILES_MAX, CACHE_KIB, RETRY_DISK_MS, WAL_PAGES } from './limits.ts';

const FILE = 'telemetry.db';
/** Another layout is another file's: it is put aside like a broken one. */
const LAYOUT = 1;

const TABLES: readonly { readonly name: string; readonly columns: string }[] = [
  {
    name: 'blocks',
    columns:
      'tier INTEGER NOT NULL, period INTEGER NOT NULL, part INTEGER NOT NULL, usual INTEGER NOT NULL, totals TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (tier, period, part)',
  },
  {
    name: 'unrolled',
    columns:
      'tier INTEGER NOT NULL, period INTEGER NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (tier, period, part)',
  },
  { name: 'proxies', columns: 'proxy TEXT PRIMARY KEY, second INTEGER NOT NULL' },
  {
    name: 'series',
    columns: 'id INTEGER PRIMARY KEY, body TEXT NOT NULL, used INTEGER NOT NULL',
  },
  { name: 'outcomes', columns: 'id INTEGER PRIMARY KEY, body TEXT NOT NULL' },
  {
    name: 'changes',
    columns:
      'version INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, resource TEXT NOT NULL, change TEXT NOT NULL, summary TEXT NOT NULL, bytes INTEGER NOT NULL, before BLOB NOT NULL, after BLOB NOT NULL',
  },
  {
    name: 'records',
    columns:
      'id INTEGER PRIMARY KEY, at INTEGER NOT NULL, failed INTEGER NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL, service TEXT NOT NULL, status INTEGER NOT NULL, policy TEXT NOT NULL, bytes INTEGER NOT NULL, body TEXT NOT NULL',
  },
  {
    name: 'traces',
    columns:
      'trace TEXT PRIMARY KEY, at INTEGER NOT NULL, micros INTEGER NOT NULL, failed INTEGER NOT NULL, status INTEGER NOT NULL, bytes INTEGER NOT NULL, spans INTEGER NOT NULL, about TEXT NOT NULL, body BLOB NOT NULL',
  },
];
const INDEXES = [
  'CREATE INDEX IF NOT EXISTS changes_at ON changes (at)',
  'CREATE INDEX IF NOT EXISTS records_at ON records (at)',
  'CREATE INDEX IF NOT EXISTS traces_at ON traces (at)',
];

export interface StoreProblem {
  readonly message: string;
  readonly since: string;
  /** What comes is kept in memory alone. */
  readonly isUnwritten: boolean;
}

export interface StoreDatabaseDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly directory: string | undefined;
  /** Pages of 4 KiB that the file may have; tests make a small disk with it. */
  readonly pagesMax?: number;
}

export class StoreDatabase {
  readonly #deps: StoreDatabaseDeps;
  readonly #replaced: (() => void)[] = [];
  #database: Database;
  #problem: StoreProblem | undefined;
  #retry: Timer | undefined;
  #isClosed = false;
  #pagesMax: number | undefined;

  constructor(deps: StoreDatabaseDeps) {
    this.#deps = deps;
    this.#pagesMax = deps.pagesMax;
    this.#database = this.#openFirst();
  }

  get problem(): StoreProblem | undefined {
    return this.#problem;
  }

  get isPersistent(): boolean {
    return this.#deps.directory !== undefined && this.#problem?.isUnwritten !== true;
  }

  /** Another database took the place of the one that was: tables that are held in memory are to be written again. */
  onReplaced(listener: () => void): void {
    this.#replaced.push(listener);
  }

  /** Runs `work` on the database; undefined when the database failed it (it was dealt with, and `problem` says how). */
  run<T>(work: (database: Database) => T): T | undefined {
    try {
      return work(this.#database);
    } catch (error) {
      if (!isSqliteError(error)) throw error;
      this.#failed(error);
      return undefined;
    }
  }

  /** All or nothing. */
  write(work: (database: Database) => void): boolean {
    const isWritten = this.run((database) => {
      database.transaction(() => work(database))();
      return true;
    });
    return isWritten === true;
  }

  /** Bytes in use. */
  get bytes(): number {
    return (
      this.run((database) => {
        const page = pragma(database, 'page_size');
        return (pragma(database, 'page_count') - pragma(database, 'freelist_count')) * page;
      }) ?? 0
    );
  }

  /** Free disk for tests and for who made room: the next try is not refused any more. */
  setPagesMax(pages: number | undefined): void {
    this.#pagesMax = pages;
  }

  close(): void {
    this.#isClosed = true;
    this.#retry?.cancel();
    this.#database.close();
  }

  #openFirst(): Database {
    const { directory } = this.#deps;
    if (directory === undefined) return openMemory();
    try {
      return this.#openFile(directory);
    } catch (error) {
      return this.#openOther(error);
    }
  }

  #openFile(directory: string): Database {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const database = new Database(join(directory, FILE), { create: true });
    try {
      prepare(database, this.#pagesMax);
      return database;
    } catch (error) {
      database.close();
      throw error;
    }
  }

  #failed(error: unknown): void {
    try {
      this.#database.close();
    } catch (closing) {
      this.#deps.log.debug('the broken store did not close', { error: messageOf(closing) });
    }
    this.#database = this.#openOther(error);
    for (const listener of this.#replaced) listener();
  }

  /** After a failure: another file if this one is broken, memory if the disk is. */
  #openOther(error: unknown): Database {
    const { directory, clock, log } = this.#deps;
    const message = messageOf(error);
    const since = rfc3339(clock);
    if (directory !== undefined && isBroken(error)) {
      try {
        const kept = putAside(directory, since);
        const database = this.#openFile(directory);
        this.#problem = {
          message: `The store's file was broken (${message}); it is kept as ${kept} and another was begun.`,
          since,
          isUnwritten: false,
        };
        log.error('the telemetry store was broken and is begun anew', { error: message, kept });
        return database;
      } catch (second) {
        return this.#withoutDisk(second, since);
      }
    }
    return this.#withoutDisk(error, since);
  }

  #withoutDisk(error: unknown, since: string): Database {
    const { directory, clock, log } = this.#deps;
    if (directory !== undefined) {
      const message = messageOf(error);
      this.#problem = {
        message: `The store cannot write to ${directory} (${message}): what comes is kept in memory alone.`,
        since,
        isUnwritten: true,
      };
      log.error('the telemetry store cannot be written; it goes on in memory', { error: message });
      this.#retry?.cancel();
      this.#retry = clock.every(RETRY_DISK_MS, () => this.#tryDisk(directory));
    }
    return openMemory();
  }

  /** Back to the file, with what memory has. */
  #tryDisk(directory: string): void {
    if (this.#isClosed) return;
    let file: Database | undefined;
    try {
      file = this.#openFile(directory);
      copyInto(this.#database, file);
    } catch (error) {
      file?.close();
      this.#deps.log.debug('the disk is still not to be written', { error: messageOf(error) });
      return;
    }
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#database.close();
    this.#database = file;
    this.#problem = undefined;
    this.#deps.log.info('the telemetry store is written again');
    for (const listener of this.#replaced) listener();
  }
}

function prepare(database: Database, pagesMax: number | undefined): void {
  database.run('PRAGMA auto_vacuum = INCREMENTAL');
  database.run('PRAGMA journal_mode = WAL');
  database.run('PRAGMA synchronous = NORMAL');
  database.run(`PRAGMA cache_size = -${CACHE_KIB}`);
  database.run(`PRAGMA wal_autocheckpoint = ${WAL_PAGES}`);
  if (pagesMax !== undefined) database.run(`PRAGMA max_page_count = ${pagesMax}`);
  const layout = pragma(database, 'user_version');
  if (layout !== 0 && layout !== LAYOUT) throw new LayoutError(layout);
  for (const { name, columns } of TABLES)
    database.run(`CREATE TABLE IF NOT EXISTS ${name} (${columns})`);
  for (const index of INDEXES) database.run(index);
  if (layout === 0) database.run(`PRAGMA user_version = ${LAYOUT}`);
}

function openMemory(): Database {
  const database = new Database(':memory:');
  prepare(database, undefined);
  return database;
}

class LayoutError extends Error {
  override readonly name = 'LayoutError';
  constructor(layout: number) {
    super(`layout ${layout}, this program writes ${LAYOUT}`);
  }
}

function isSqliteError(error: unknown): error is Error & { code?: string } {
  return error instanceof Error && (error.name === 'SQLiteError' || error instanceof LayoutError);
}

function isBroken(error: unknown): boolean {
  if (error instanceof LayoutError) return true;
  const { code = '' } = error as { code?: string };
  return /CORRUPT|NOTADB|SQLITE_ERROR|MISMATCH|CONSTRAINT/.test(code);
}

/** Renames the file; its write-ahead log is of no use without it. Older broken ones go. */
function putAside(directory: string, since: string): string {
  const kept = `${FILE}.broken-${since.replaceAll(':', '')}`;
  if (existsSync(join(directory, FILE))) renameSync(join(directory, FILE), join(directory, kept));
  for (const suffix of ['-wal', '-shm']) rmSync(join(directory, FILE + suffix), { force: true });
  const broken = readdirSync(directory)
    .filter((name) => name.startsWith(`${FILE}.broken-`))
    .sort();
  for (const name of broken.slice(0, Math.max(0, broken.length - BROKEN_FILES_MAX)))
    rmSync(join(directory, name), { force: true });
  return kept;
}

function copyInto(from: Database, to: Database): void {
  to.transaction(() => {
    for (const { name } of TABLES) {
      const verb =
        name === 'blocks' || name === 'changes' ? 'INSERT OR IGNORE' : 'INSERT OR REPLACE';
      for (const row of from.query(`SELECT * FROM ${name}`).values() as (
        | string
        | number
        | Uint8Array
      )[][])
        to.query(`${verb} INTO ${name} VALUES (${row.map(() => '?').join(',')})`).run(...row);
    }
  })();
}

function pragma(database: Database, name: string): number {
  const row = database.query(`PRAGMA ${name}`).get() as Record<string, number> | null;
  return Number(Object.values(row ?? {})[0] ?? 0);
}
