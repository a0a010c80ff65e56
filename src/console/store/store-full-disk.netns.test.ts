/** The store on a file system that is really full: a small tmpfs in a mount namespace of its own, which somebody else's file fills. */
import { describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingFor } from '#test/support/lab.ts';
import type { SmallDiskReport } from '#test/support/store-on-small-disk.ts';

const PROGRAM = join(import.meta.dir, '../../../test/support/store-on-small-disk.ts');
const DISK = '4m';
const skip = missingFor({ programs: ['unshare', 'mount'], root: true }) !== undefined;

describe.skipIf(skip)('TelemetryStore on a small disk', () => {
  test('goes on in memory while the disk is full, says so, and writes what memory has once there is room', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tulle-small-disk-'));
    try {
      const script = `mount -t tmpfs -o size=${DISK} none "$1" && exec "$2" "$3" "$1"`;
      const shell = ['sh', '-c', script, 'sh', folder, process.execPath, PROGRAM];
      const child = Bun.spawn(['unshare', '--mount', ...shell], { stdout: 'pipe', stderr: 'pipe' });
      const [text, complaints] = await Promise.all([child.stdout.text(), child.stderr.text()]);
      expect(complaints).toBe('');
      const report = JSON.parse(text) as SmallDiskReport;
      expect(report).toMatchObject({
        problem: expect.stringContaining('cannot write'),
        isPersistent: false,
        liveWhileFull: report.sentWhileFull,
        problemAfter: '',
        booked: report.sent,
        bookedBefore: report.sentBefore,
      });
      expect(report.sentBefore).toBeGreaterThan(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 60_000);
});
