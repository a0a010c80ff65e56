/** Where the programs of mixed traffic are, and what counts as failed. */
import { join } from 'node:path';
import type { TrafficResult } from './load.ts';

export const TRAFFIC_SERVER = [process.execPath, join(import.meta.dir, 'server.ts')];
export const TRAFFIC_LOAD = [process.execPath, join(import.meta.dir, 'load.ts')];

export function parseTraffic(output: string): TrafficResult['kinds'] {
  const line = output.trim().split('\n').at(-1) ?? '';
  return (JSON.parse(line) as TrafficResult).kinds;
}

/** Every failure with its kind; empty when nothing was lost. */
export function failuresOf(kinds: TrafficResult['kinds']): string[] {
  return Object.entries(kinds)
    .filter(([, { failed }]) => failed > 0)
    .map(([kind, { failed, ok, failures }]) => `${kind}: ${failed} of ${ok + failed}: ${failures}`);
}
