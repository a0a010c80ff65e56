/**
 * Storage on bun:sqlite. Two tables: `objects` (the present) and `events` (what watches resume from, trimmed to
 * a window). A write is one transaction, and its event goes to the subscribers after the commit, in order.
 * Write-ahead log, synchronous=NORMAL: a killed process loses nothing, a lost machine at most the last writes.
 */
import { Database, type Statement } from 'bun:sqlite';
import type { Disposer } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import { APISERVER_ERRORS } from '../errors.ts';
import { EVENT_LOG_MAX, EVENT_LOG_TRIM_EVERY } from '../limits.ts';
import type { ListRequest, ListResult, Storage, StorageEvent, StorageKey } from './storage.ts';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS objects (
  tbl TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL,
  PRIMARY KEY (tbl, namespace, name)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS objects_by_namespace ON objects (namespace, tbl);
CREATE TABLE IF NOT EXISTS events (
  revision INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  type TEXT NOT NULL, body TEXT NOT NULL, previous TEXT);
CREATE INDEX IF NOT EXISTS events_by_table ON events (tbl, revision);
`;

export interface SqliteStorageOptions {
  /** ':memory:' for tests. */
  path: string;
  eventLogMax?: number;
  trimEvery?: number;
}

interface ObjectRow {
  namespace: string;
  name: string;
  body: string;
}

interface EventRow extends ObjectRow {
  revision: number;
  type: StorageEvent['type'];
  previous: string | null;
}

export class SqliteStorage implements Storage {
  readonly #database: Database;
  readonly #options: Required<SqliteStorageOptions>;
  readonly #subscribers = new Set<(event: StorageEvent) => void>();
  readonly #pending: StorageEvent[] = [];
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #remove: Statement;
  readonly #log: Statement;
  #revision: number;
  #compacted: number;
  #publishing = false;

  constructor(options: SqliteStorageOptions) {
    this.#options = { eventLogMax: EVENT_LOG_MAX, trimEvery: EVENT_LOG_TRIM_EVERY, ...options };
    this.#database = openDatabase(options.path);
    const database = this.#database;
    this.#get = database.query('SELECT body FROM objects WHERE tbl=? AND namespace=? AND name=?');
    this.#put = database.query('INSERT OR REPLACE INTO objects VALUES (?,?,?,?,?)');
    this.#remove = database.query('DELETE FROM objects WHERE tbl=? AND namespace=? AND name=?');
    this.#log = database.query('INSERT INTO events VALUES (?,?,?,?,?,?,?)');
    this.#revision = numberOf(database, "SELECT seq AS n FROM sqlite_sequence WHERE name='events'");
    this.#compacted = this.#firstEvent() - 1;
  }

  get revision(): number {
    return this.#revision;
  }

  get compactedRevision(): number {
    return this.#compacted;
  }

  get({ table, namespace, name }: StorageKey): ApiObject | undefined {
    const row = this.#get.get(table, namespace, name) as { body: string } | null;
    return row === null ? undefined : (JSON.parse(row.body) as ApiObject);
  }

  list(request: ListRequest): ListResult {
    const { table, namespace, after, limit, accept } = request;
    const past = this.#statesAt(request);
    const where = ['tbl=?1'];
    if (namespace !== undefined) where.push('namespace=?2');
    if (after !== undefined) where.push('(namespace, name) > (?3, ?4)');
    const sql = `SELECT namespace, name, body FROM objects WHERE ${where.join(' AND ')} ORDER BY namespace, name`;
    const rows = this.#database
      .query<ObjectRow, (string | null)[]>(sql)
      .iterate(...bound(sql, [table, namespace, after?.namespace, after?.name]));
    const items: ApiObject[] = [];
    let more = false;
    for (const row of past === undefined ? rows : rewind([...rows], past, request)) {
      const object = JSON.parse(row.body) as ApiObject;
      if (accept !== undefined && !accept(object)) continue;
      if (limit !== undefined && items.length === limit) {
        more = true;
        break;
      }
      items.push(object);
    }
    return { items, revision: request.revision ?? this.#revision, more };
  }

  count(table: string, namespace?: string): number {
    const base = 'SELECT count(*) AS n FROM objects WHERE tbl=?';
    return namespace === undefined
      ? numberOf(this.#database, base, table)
      : numberOf(this.#database, `${base} AND namespace=?`, table, namespace);
  }

  tablesOf(namespace: string): string[] {
    return this.#database
      .query<{ tbl: string }, [string]>('SELECT DISTINCT tbl FROM objects WHERE namespace=?')
      .all(namespace)
      .map((row) => row.tbl);
  }

  create(key: StorageKey, object: ApiObject): ApiObject {
    if (this.#get.get(key.table, key.namespace, key.name) !== null)
      throw storageError('STORAGE_EXISTS', `${describe(key)} exists`);
    return this.#write({ type: 'ADDED', key, object: this.#stamp(object) });
  }

  update(key: StorageKey, object: ApiObject, expected: string): ApiObject {
    const previous = this.get(key);
    if (previous === undefined) throw storageError('STORAGE_MISSING', `${describe(key)} is gone`);
    if (previous.metadata.resourceVersion !== expected)
      throw storageError('STORAGE_CONFLICT', `${describe(key)} changed since revision ${expected}`);
    return this.#write({ type: 'MODIFIED', key, object: this.#stamp(object), previous });
  }

  delete(key: StorageKey): ApiObject | undefined {
    const previous = this.get(key);
    if (previous === undefined) return undefined;
    return this.#write({ type: 'DELETED', key, object: this.#stamp(previous), previous });
  }

  eventsAfter(table: string, revision: number): StorageEvent[] {
    this.#refuseCompacted(revision);
    const sql = 'SELECT * FROM events WHERE tbl=? AND revision>? ORDER BY revision';
    return this.#database
      .query<EventRow, [string, number]>(sql)
      .all(table, revision)
      .map(({ type, revision: at, namespace, name, body, previous }) => ({
        type,
        revision: at,
        key: { table, namespace, name },
        object: JSON.parse(body) as ApiObject,
        previous: previous === null ? undefined : (JSON.parse(previous) as ApiObject),
      }));
  }

  subscribe(onEvent: (event: StorageEvent) => void): Disposer {
    this.#subscribers.add(onEvent);
    return () => void this.#subscribers.delete(onEvent);
  }

  close(): void {
    this.#subscribers.clear();
    this.#database.close();
  }

  #stamp(object: ApiObject): ApiObject {
    const resourceVersion = String(this.#revision + 1);
    return { ...object, metadata: { ...object.metadata, resourceVersion } };
  }

  #write(change: Omit<StorageEvent, 'revision'>): ApiObject {
    const { type, key, object, previous } = change;
    const revision = this.#revision + 1;
    const body = JSON.stringify(object);
    const before = previous === undefined ? null : JSON.stringify(previous);
    this.#database.transaction(() => {
      this.#log.run(revision, key.table, key.namespace, key.name, type, body, before);
      if (type === 'DELETED') this.#remove.run(key.table, key.namespace, key.name);
      else this.#put.run(key.table, key.namespace, key.name, revision, body);
    })();
    this.#revision = revision;
    if (revision % this.#options.trimEvery === 0) this.#trim();
    // Readers get a copy: what the caller does to its object later is not history.
    this.#publish({ ...change, revision, object: JSON.parse(body) as ApiObject });
    return object;
  }

  /** A subscriber may write; its event waits for its turn so that all subscribers see one order. */
  #publish(event: StorageEvent): void {
    this.#pending.push(event);
    if (this.#publishing) return;
    this.#publishing = true;
    try {
      for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift())
        for (const subscriber of [...this.#subscribers]) subscriber(next);
    } finally {
      this.#publishing = false;
    }
  }

  #trim(): void {
    const compacted = this.#revision - this.#options.eventLogMax;
    if (compacted <= this.#compacted) return;
    this.#database.query('DELETE FROM events WHERE revision<=?').run(compacted);
    this.#compacted = compacted;
  }

  #firstEvent(): number {
    const first = numberOf(this.#database, 'SELECT min(revision) AS n FROM events');
    return first === 0 ? this.#revision + 1 : first;
  }

  #refuseCompacted(revision: number): void {
    if (revision < this.#compacted)
      throw storageError(
        'STORAGE_COMPACTED',
        `too old resource version: ${revision} (${this.#compacted})`,
      );
  }

  /** What the keys written after the asked revision held at it: null = nothing. Undefined when nothing changed. */
  #statesAt({ table, revision }: ListRequest): Map<string, EventRow> | undefined {
    if (revision === undefined || revision >= this.#revision) return undefined;
    this.#refuseCompacted(revision);
    const sql =
      'SELECT *, min(revision) FROM events WHERE tbl=? AND revision>? GROUP BY namespace, name';
    const rows = this.#database.query<EventRow, [string, number]>(sql).all(table, revision);
    return new Map(rows.map((row) => [`${row.namespace}/${row.name}`, row]));
  }
}

function rewind(rows: ObjectRow[], past: Map<string, EventRow>, request: ListRequest): ObjectRow[] {
  const { namespace, after } = request;
  const kept = rows.filter((row) => !past.has(`${row.namespace}/${row.name}`));
  for (const event of past.values()) {
    if (event.previous === null) continue;
    if (namespace !== undefined && event.namespace !== namespace) continue;
    if (after !== undefined && compareKeys(event, after) <= 0) continue;
    kept.push({ namespace: event.namespace, name: event.name, body: event.previous });
  }
  return kept.sort(compareKeys);
}

type NamedRow = { namespace: string; name: string };

function compareKeys(left: NamedRow, right: NamedRow): number {
  if (left.namespace !== right.namespace) return left.namespace < right.namespace ? -1 : 1;
  if (left.name === right.name) return 0;
  return left.name < right.name ? -1 : 1;
}

/** SQLite wants exactly as many values as its highest parameter number. */
function bound(sql: string, values: (string | undefined)[]): (string | null)[] {
  const highest = Math.max(...[...sql.matchAll(/\?(\d)/g)].map((match) => Number(match[1])));
  return values.slice(0, highest).map((value) => value ?? null);
}

function openDatabase(path: string): Database {
  try {
    const database = new Database(path, { create: true });
    database.run('PRAGMA journal_mode=WAL');
    database.run('PRAGMA synchronous=NORMAL');
    database.run('PRAGMA busy_timeout=2000');
    database.run(SCHEMA);
    return database;
  } catch (error) {
    throw new MeshError('STORAGE_OPEN', `cannot open ${path}: ${messageOf(error)}`, {
      side: 'self',
      hint: APISERVER_ERRORS.STORAGE_OPEN,
      cause: error,
    });
  }
}

function numberOf(database: Database, sql: string, ...values: string[]): number {
  const row = database.query<{ n: number | null }, string[]>(sql).get(...values);
  return row?.n ?? 0;
}

function describe(key: StorageKey): string {
  return `${key.table} "${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}"`;
}

type StorageCode = 'STORAGE_EXISTS' | 'STORAGE_MISSING' | 'STORAGE_CONFLICT' | 'STORAGE_COMPACTED';

function storageError(code: StorageCode, message: string): MeshError {
  return new MeshError(code, message, { side: 'self', hint: APISERVER_ERRORS[code] });
}
