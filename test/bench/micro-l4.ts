/**
 * What one L4 connection costs in our own code, both ends, so that no socket, no TLS and no other process is in the figure. For
 * looking at changes; `bun --cpu-prof test/bench/micro-l4.ts` says where.
 */
import { connections } from '#test/support/memory-path.ts';

const CONNECTIONS = Number(process.argv[2] ?? 20_000);
const PARALLEL = 32;
const ROUNDS = 5;

async function round(): Promise<number> {
  const before = process.cpuUsage();
  await connections(CONNECTIONS, PARALLEL);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / CONNECTIONS;
}

const figures: number[] = [];
for (let index = 0; index < ROUNDS; index++) figures.push(await round());
console.log(
  `${Math.min(...figures).toFixed(1)} us a connection, both ends (${figures.map((each) => each.toFixed(1)).join(', ')})`,
);
process.exit(0);
