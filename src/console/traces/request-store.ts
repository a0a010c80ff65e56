/** Requests that failed and a bounded number of the others, for a while. Bounded by age, bytes and a second; the oldest go. Runs in the console's thread. */

import { rfc3339At } from '#base/clock.ts';
import type { RequestRecord } from '#telemetry/requests/request-record.ts';
import type { PolicyHits } from '../api/mesh.ts';
import type { RequestRow } from '../api/traffic.ts';
import type { RequestsRequest } from '../console-data.ts';
import type { MeshPicture } from '../graph/mesh-picture.ts';
import type { StoreDatabase } from '../store/database.ts';
import { evict } from './evict.ts';
import {
  GOOD_RECORDS_PER_SECOND_MAX,
  PAGE_ROWS,
  RECORD_TEXT_MAX,
  RECORDS_BYTES_MAX,
  RECORDS_KEPT_MS,
  RECORDS_PER_SECOND_MAX,
  ROWS_MAX,
  SCAN_MAX,
} from './limits.ts';
import { isDenied, isFailed, isHop, isWantedRecord, requestRow } from './request-match.ts';

/** Rows that go at a time when there are too many bytes. */
const EVICT_ROWS = 500;
/** Column `failed`. */
const FAILED = 1;
const DENIED = 2;

type Outcome = keyof typeof RECORDS_BYTES_MAX;
/** Which rows they are. */
const OUTCOMES = { good: 'failed=0', failed: 'failed>0' } as const satisfies Record<
  Outcome,
  string
>;

export class RequestStore {
  readonly #database: StoreDatabase;
  readonly #mesh: MeshPicture;
  readonly #bytesMax: Readonly<Record<Outcome, number>>;
  #pending: RequestRecord[] = [];
  #goodOfSecond = 0;
  #bytes: Record<Outcome, number>;
  dropped = 0;

  constructor(
    deps: { database: StoreDatabase; mesh: MeshPicture },
    bytesMax: Readonly<Record<Outcome, number>> = RECORDS_BYTES_MAX,
  ) {
    this.#database = deps.database;
    this.#mesh = deps.mesh;
    this.#bytesMax = bytesMax;
    this.#bytes = this.#countBytes();
    deps.database.onReplaced(() => {
      this.#bytes = this.#countBytes();
    });
  }

  add(records: readonly RequestRecord[]): void {
    for (const record of records) {
      const isBad = isFailed(record) || isDenied(record);
      if (!isBad && !this.#hasRoomFor(record)) continue;
      if (this.#pending.length < RECORDS_PER_SECOND_MAX) this.#pending.push(bounded(record));
      else this.dropped++;
    }
  }

  /** For one that ended well. Of what goes through a waypoint the waypoint tells better than the proxies on the way to it and from it. */
  #hasRoomFor(record: RequestRecord): boolean {
    if (this.#goodOfSecond === GOOD_RECORDS_PER_SECOND_MAX || isHop(record, this.#mesh))
      return false;
    this.#goodOfSecond += 1;
    return true;
  }

  /** Once a second. */
  flush(): void {
    const pending = this.#pending;
    this.#pending = [];
    this.#goodOfSecond = 0;
    if (pending.length === 0) return;
    this.#database.write((open) => {
      const insert = open.query(
        'INSERT INTO records (at, failed, source, destination, service, status, policy, bytes, body) VALUES (?,?,?,?,?,?,?,?,?)',
      );
      for (const record of pending) {
        const body = JSON.stringify(record);
        const { source, destination, service, status, policy } = record;
        const ends = [source, destination].map(
          ({ namespace, workload }) => `${namespace}/${workload}`,
        );
        const failed = isDenied(record) ? DENIED : isFailed(record) ? FAILED : 0;
        this.#bytes[failed > 0 ? 'failed' : 'good'] += body.length;
        insert.run(
          record.startMs,
          failed,
          ends[0],
          ends[1],
          service,
          status,
          policy,
          body.length,
          body,
        );
      }
    });
  }

  evict(nowMs: number): void {
    this.#database.write((open) => {
      const beforeMs = nowMs - RECORDS_KEPT_MS;
      const what = { table: 'records', key: 'id', rows: EVICT_ROWS, beforeMs } as const;
      for (const outcome of ['good', 'failed'] as const) {
        const those = { ...what, only: OUTCOMES[outcome] };
        this.#bytes[outcome] = evict(open, those, this.#bytes[outcome], this.#bytesMax[outcome]);
      }
    });
  }

  /** Youngest first. */
  find(request: RequestsRequest): RequestRow[] {
    const found: RequestRow[] = [];
    const limit = Math.min(request.limit, ROWS_MAX);
    for (let offset = 0; offset < SCAN_MAX && found.length < limit; offset += PAGE_ROWS) {
      const page = this.#page(request, offset);
      for (const { body } of page) {
        const record = JSON.parse(body) as RequestRecord;
        if (found.length < limit && isWantedRecord(record, request, this.#mesh))
          found.push(requestRow(record, request.visible, this.#mesh));
      }
      if (page.length < PAGE_ROWS) break;
    }
    return found;
  }

  /** Denials by policy since a moment. */
  policyHits(sinceMs: number): PolicyHits[] {
    const rows = this.#database.run(
      (open) =>
        open
          .query(
            `SELECT policy, count(*) AS denied, max(at) AS last FROM records
             WHERE at>=? AND failed=${DENIED} GROUP BY policy ORDER BY denied DESC`,
          )
          .all(sinceMs) as { policy: string; denied: number; last: number }[],
    );
    return (rows ?? []).map(({ policy, denied, last }) => ({
      resource: policy,
      action: 'deny',
      denied,
      lastDeniedAt: rfc3339At(last),
    }));
  }

  #page({ fromMs, toMs, onlyFailed }: RequestsRequest, offset: number): { body: string }[] {
    return (
      this.#database.run(
        (open) =>
          open
            .query(
              'SELECT body FROM records WHERE at>=?1 AND at<=?2 AND failed>=?3 ORDER BY at DESC, id DESC LIMIT ?4 OFFSET ?5',
            )
            .all(
              fromMs ?? 0,
              toMs ?? Number.MAX_SAFE_INTEGER,
              onlyFailed ? 1 : 0,
              PAGE_ROWS,
              offset,
            ) as {
            body: string;
          }[],
      ) ?? []
    );
  }

  #countBytes(): Record<Outcome, number> {
    const count = (outcome: Outcome) =>
      this.#database.run(
        (open) =>
          open
            .query(`SELECT sum(bytes) AS bytes FROM records WHERE ${OUTCOMES[outcome]}`)
            .get() as { bytes: number | null },
      )?.bytes ?? 0;
    return { good: count('good'), failed: count('failed') };
  }
}

function bounded(record: RequestRecord): RequestRecord {
  const cut = (text: string) =>
    text.length > RECORD_TEXT_MAX ? text.slice(0, RECORD_TEXT_MAX) : text;
  return {
    ...record,
    path: cut(record.path),
    authority: cut(record.authority),
    userAgent: cut(record.userAgent),
    reason: cut(record.reason),
    requestId: cut(record.requestId),
    method: cut(record.method),
  };
}
