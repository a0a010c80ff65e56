/** What a day of a mesh takes on disk: every block of 24 hours is made and written as the recorder does it, on simulated time. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { BlockStore } from '#console/store/block-store.ts';
import { Counts } from '#console/store/counts.ts';
import { StoreDatabase } from '#console/store/database.ts';
import { TIERS, type Tier } from '#console/store/limits.ts';
import { OutcomeTable, SeriesTable } from '#console/store/series-table.ts';
import { totalsOf } from '#console/store/totals.ts';
import { LARGE_MESH, type MeshSize, SyntheticMesh } from './synthetic.ts';

export interface StoredReport {
  readonly hours: number;
  readonly bytes: number;
  readonly bytesPerSample: number;
}

const DAY_HOURS = 24;
const MINUTES = 60;

export function storedBytes(size: MeshSize, hours: number): StoredReport {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-stored-'));
  const database = new StoreDatabase({ clock: systemClock, log: silentLogger, directory });
  try {
    const mesh = new SyntheticMesh(size);
    const writer = new Writer(database, mesh);
    writer.writeSeries();
    const start = Date.UTC(2026, 0, 1) / 1000;
    for (let hour = 0; hour < hours; hour++) writer.writeHour(start + hour * TIERS[2].seconds);
    writer.writeSeconds(start + hours * TIERS[2].seconds);
    return { hours, bytes: database.bytes, bytesPerSample: database.bytes / writer.samples };
  } finally {
    database.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

class Writer {
  samples = 0;
  readonly #database: StoreDatabase;
  readonly #blocks: BlockStore;
  readonly #mesh: SyntheticMesh;
  readonly #series = new SeriesTable();
  readonly #outcomes = new OutcomeTable();
  readonly #minute = new Counts();
  readonly #hour = new Counts();

  constructor(database: StoreDatabase, mesh: SyntheticMesh) {
    this.#database = database;
    this.#mesh = mesh;
    this.#blocks = new BlockStore(database);
  }

  writeSeries(): void {
    this.#mesh.edges.forEach(({ edge }, id) => {
      this.#series.intern({ ...edge, id }, '');
    });
    this.#database.write((open) => {
      for (const { id, body } of this.#series.takeUnsaved())
        open.query('INSERT INTO series VALUES (?,?,0)').run(id, body);
    });
  }

  writeHour(start: number): void {
    this.#hour.clear();
    for (let minute = 0; minute < MINUTES; minute++) {
      this.#minute.clear();
      this.#mesh.fill(this.#minute, TIERS[1].seconds, this.#outcomes);
      this.#write(1, start + minute * TIERS[1].seconds, this.#minute);
      this.#hour.add(this.#minute);
    }
    this.#write(2, start, this.#hour);
  }

  /** As many as are kept. */
  writeSeconds(start: number): void {
    const second = new Counts();
    for (let at = 0; at < TIERS[0].keptSeconds; at++) {
      second.clear();
      this.#mesh.fill(second, 1, this.#outcomes);
      this.#write(0, start + at, second);
    }
  }

  #write(tier: Tier, period: number, counts: Counts): void {
    const totals = totalsOf(counts, period, { series: this.#series, outcomes: this.#outcomes });
    const block = this.#blocks.encode(tier, period, counts, totals);
    this.#database.write((open) => this.#blocks.insert(open, block));
    this.#blocks.remember(block);
    this.samples += counts.touchedCount;
  }
}

if (import.meta.main) {
  const [hours = String(DAY_HOURS)] = process.argv.slice(2);
  process.stdout.write(`${JSON.stringify(storedBytes(LARGE_MESH, Number(hours)))}\n`);
}
