/** `tulle proxy certs NAME`: the certificate of each identity; exit 1 when one has none that is valid. */
import type { Command } from 'commander';
import { systemClock } from '#base/clock.ts';
import type { CertsDump } from '#node/status/config-dump.ts';
import { AnswerIsNo } from '../../output/report.ts';
import { formatTable, type Palette, paletteFor, terminalWidth } from '../../output/table.ts';
import { formatRelative } from '../../output/units.ts';
import { openProxy, type ProxyDoor } from './find.ts';

export interface CertificateRow {
  readonly identity: string;
  readonly state: string;
  readonly serial: string | undefined;
  readonly validFrom: string | undefined;
  readonly validUntil: string | undefined;
  /** Serial number of the (first) root that peers are verified against. */
  readonly root: string | undefined;
  readonly lastError: string | undefined;
}

export async function certs(
  name: string,
  options: { output: string },
  command: Command,
): Promise<void> {
  using door = await openProxy(name, command);
  const rows = await rowsOf(door);
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

/** A waypoint says the same on its status port, without roots. */
async function rowsOf(door: ProxyDoor): Promise<CertificateRow[]> {
  if (door.proxy.kind === 'node') {
    const { certificates } = await door.json<{ certificates: CertsDump[] }>('/certs');
    return certificates.map(rowOfDump);
  }
  interface Status {
    certificates: {
      principal: string;
      state: string;
      serial?: string;
      notBefore?: string;
      notAfter?: string;
      lastError?: string;
    }[];
  }
  const { certificates } = await door.json<Status>('/status');
  return certificates.map(({ principal, state, serial, notBefore, notAfter, lastError }) => ({
    identity: principal,
    state: state === 'ready' ? 'Available' : state,
    serial,
    validFrom: notBefore,
    validUntil: notAfter,
    root: undefined,
    lastError,
  }));
}

export function rowOfDump(dump: CertsDump): CertificateRow {
  const [leaf] = dump.certChain;
  return {
    identity: dump.identity,
    state: dump.state,
    serial: leaf?.serialNumber,
    validFrom: leaf?.validFrom,
    validUntil: leaf?.expirationTime,
    root: dump.rootCerts[0]?.serialNumber,
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
    row.root ?? '-',
    row.lastError ?? '',
  ]);
  const header = ['IDENTITY', 'STATE', 'SERIAL', 'VALID FROM', 'UNTIL', 'ROOT', 'LAST ERROR'];
  return formatTable(header, cells, { width });
}
