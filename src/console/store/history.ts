/**
 * What was in force when: each change of configuration, endpoints and deployments with the object before and after. Bounded by age and bytes; the data of
 * Secrets is never stored.
 */
import { rfc3339At } from '#base/clock.ts';
import type { Change, ChangeAnswer } from '../api/series.ts';
import type { ChangesRequest, Visible } from '../console-data.ts';
import type { MeshChange } from '../mesh-view.ts';
import type { StoreDatabase } from './database.ts';
import { CHANGE_TEXT_MAX, CHANGES_BYTES_MAX, CHANGES_KEPT_SECONDS } from './limits.ts';

interface ChangeRow {
  version: number;
  at: number;
  kind: Change['kind'];
  resource: string;
  change: Change['change'];
  summary: string;
}

const CHANGES_LIMIT_MAX = 1000;
/** Oldest ones that go at a time when there are too many bytes. */
const EVICT_ROWS = 64;

export class History {
  readonly #database: StoreDatabase;
  #next: number;
  #bytes: number;
  /** Latest state of each resource, so that what is told twice is kept once. */
  readonly #latest = new Map<string, bigint>();

  constructor(database: StoreDatabase) {
    this.#database = database;
    const row = database.run(
      (open) =>
        open.query('SELECT max(version) AS version, sum(bytes) AS bytes FROM changes').get() as {
          version: number | null;
          bytes: number | null;
        },
    );
    this.#next = (row?.version ?? 0) + 1;
    this.#bytes = row?.bytes ?? 0;
  }

  add(changes: readonly MeshChange[]): void {
    const rows = changes.filter((change) => this.#isNews(change)).map(withoutSecrets);
    if (rows.length === 0) return;
    this.#database.write((open) => {
      const insert = open.query('INSERT OR IGNORE INTO changes VALUES (?,?,?,?,?,?,?,?,?)');
      for (const { atMs, kind, resource, change, summary, before, after } of rows) {
        const [old, young] = [packed(before), packed(after)];
        const bytes = old.length + young.length;
        this.#bytes += bytes;
        const version = this.#next++;
        insert.run(version, atMs, kind, resource, change, summary, bytes, old, young);
      }
    });
  }

  /** Youngest first. */
  list({ fromMs, toMs, resource, limit, visible }: ChangesRequest): Change[] {
    const rows = this.#database.run(
      (open) =>
        open
          .query(
            `SELECT version, at, kind, resource, change, summary FROM changes
             WHERE at>=?1 AND at<=?2 AND (?3 IS NULL OR resource=?3) ORDER BY at DESC, version DESC LIMIT ?4`,
          )
          .all(fromMs, toMs, resource ?? null, CHANGES_LIMIT_MAX) as ChangeRow[],
    );
    return (rows ?? [])
      .filter((row) => isVisible(row.resource, visible))
      .slice(0, limit)
      .map(changeOf);
  }

  get(version: number, visible: Visible): ChangeAnswer | undefined {
    const row = this.#database.run(
      (open) =>
        open.query('SELECT * FROM changes WHERE version=?').get(version) as
          | (ChangeRow & { before: Uint8Array; after: Uint8Array })
          | null,
    );
    if (!row || !isVisible(row.resource, visible)) return undefined;
    return { ...changeOf(row), before: unpacked(row.before), after: unpacked(row.after) };
  }

  /** The last change of configuration before a moment. */
  before(atMs: number, visible: Visible): Change | undefined {
    const rows = this.#database.run(
      (open) =>
        open
          .query(
            `SELECT version, at, kind, resource, change, summary FROM changes
             WHERE at<=? AND kind='config' ORDER BY at DESC, version DESC LIMIT 50`,
          )
          .all(atMs) as ChangeRow[],
    );
    const row = rows?.find(({ resource }) => isVisible(resource, visible));
    return row && changeOf(row);
  }

  evict(nowMs: number): void {
    const oldest = nowMs - CHANGES_KEPT_SECONDS * 1000;
    this.#database.run((open) => {
      const gone = open.query('DELETE FROM changes WHERE at<? RETURNING bytes').all(oldest) as {
        bytes: number;
      }[];
      for (const { bytes } of gone) this.#bytes -= bytes;
      while (this.#bytes > CHANGES_BYTES_MAX) {
        const rows = open
          .query(
            'DELETE FROM changes WHERE version IN (SELECT version FROM changes ORDER BY version LIMIT ?) RETURNING bytes',
          )
          .all(EVICT_ROWS) as { bytes: number }[];
        if (rows.length === 0) break;
        for (const { bytes } of rows) this.#bytes -= bytes;
      }
    });
  }

  #isNews({ resource, after, summary }: MeshChange): boolean {
    const state = BigInt(Bun.hash(`${after}\n${summary}`));
    if (this.#latest.get(resource) === state) return false;
    this.#latest.delete(resource);
    this.#latest.set(resource, state);
    const first = this.#latest.keys().next().value;
    if (this.#latest.size > LATEST_MAX && first !== undefined) this.#latest.delete(first);
    return true;
  }
}

/** Resources whose last state is remembered for telling repetitions. */
const LATEST_MAX = 20_000;

/** `Kind namespace/name`; what has no namespace is everybody's. */
export function isVisible(resource: string, visible: Visible): boolean {
  if (visible === undefined) return true;
  const name = resource.slice(resource.indexOf(' ') + 1);
  const slash = name.indexOf('/');
  return slash < 0 || visible.includes(name.slice(0, slash));
}

function withoutSecrets(change: MeshChange): MeshChange {
  return change.resource.startsWith('Secret ') ? { ...change, before: '', after: '' } : change;
}

function changeOf({ version, at, kind, resource, change, summary }: ChangeRow): Change {
  return { at: rfc3339At(at), kind, resource, change, summary, version };
}

function packed(text: string): Uint8Array {
  return Bun.zstdCompressSync(Buffer.from(text.slice(0, CHANGE_TEXT_MAX)));
}

function unpacked(bytes: Uint8Array): string {
  return Bun.zstdDecompressSync(bytes).toString();
}
