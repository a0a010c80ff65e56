/** `tulle proxy certs NAME`: the certificate of each identity; exit 1 when one has none that is valid. */
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import type { CertsDump } from '#identity/svid/certs-dump.ts';
import { AnswerIsNo } from '../../output/report.ts';
import { formatTable, type Palette, paletteFor, terminalWidth } from '../../output/table.ts';
import { formatRelative } from '../../output/units.ts';
import { openProxy } from './find.ts';

export interface CertificateRow {
  readonly identity: string;
  readonly state: string;
  readonly serial: string | undefined;
  readonly validFrom: string | undefined;
  readonly validUntil: string | undefined;
  /** Serial number of the first of `roots`. */
  readonly root: string | undefined;
  /** Of those that peers are verified against: several while one takes over from another. */
  readonly roots: readonly string[];
  readonly lastError: string | undefined;
}

export async function certs(
  name: string,
  options: { output: string },
  command: Command,
): Promise<void> {
  using door = await openProxy(name, command);
  const { certificates } = await door.json<{ certificates: CertsDump[] }>('/certs');
  const rows = certificates.map(rowOfDump);
  const now = systemClock.wallTime();
  process.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(rows, null, 2)}\n`
      : formatCertificates(rows, now, paletteFor(process.stdout, process.env), terminalWidth()),
  );
  const bad = rows.filter((row) => !isValid(row, now)).length;
  if (bad > 0)
    throw new AnswerIsNo(`${bad} of ${rows.length} identities have no valid certificate`);
}

export function rowOfDump(dump: CertsDump): CertificateRow {
  const [leaf] = dump.certChain;
  const roots = dump.rootCerts.map(({ serialNumber }) => serialNumber);
  return {
    identity: dump.identity,
    state: dump.state,
    serial: leaf?.serialNumber,
    validFrom: leaf?.validFrom,
    validUntil: leaf?.expirationTime,
    root: roots[0],
    roots,
    lastError: dump.lastError,
  };
}

function isValid({ state, validUntil }: CertificateRow, nowMs: number): boolean {
  return state === 'Available' && (validUntil === undefined || Date.parse(validUntil) > nowMs);
}

export function formatCertificates(
  rows: readonly CertificateRow[],
  nowMs: number,
  paint: Palette,
  width?: number,
): string {
  if (rows.length === 0) return 'no identity: no pod of this node is captured\n';
  const when = (time: string | undefined) =>
    time === undefined ? '-' : formatRelative(time, nowMs);
  const cells = rows.map((row) => [
    row.identity,
    paint(isValid(row, nowMs) ? 'green' : 'red', row.state),
    row.serial ?? '-',
    when(row.validFrom),
    when(row.validUntil),
    row.roots.join(', ') || '-',
    row.lastError ?? '',
  ]);
  const header = ['IDENTITY', 'STATE', 'SERIAL', 'VALID FROM', 'UNTIL', 'ROOT', 'LAST ERROR'];
  return formatTable(header, cells, { width });
}
