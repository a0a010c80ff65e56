/** A waypoint process in static mode in front of one upstream on loopback. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, startGuarded, untilListening } from './guarded-process.ts';
import { type HttpEngineOptions, staticFile } from './http-engine.ts';
import { ROOT } from './lab.ts';

export interface StaticWaypoint extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

export async function staticWaypoint(
  options: HttpEngineOptions,
  /** More of the file. */
  more: object = {},
): Promise<StaticWaypoint> {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-waypoint-'));
  const file = join(folder, 'waypoint.json');
  const port = await freePort();
  const config = { ...staticFile(options), ...more, listen: { address: '127.0.0.1', port } };
  writeFileSync(file, JSON.stringify(config));
  const child = await startGuarded([join(ROOT, 'tulle'), 'role', 'waypoint', '--static', file]);
  await untilListening(port);
  return {
    port,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      await child[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
