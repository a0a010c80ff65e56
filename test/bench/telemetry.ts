/**
 * What telemetry costs: CPU per request with metrics, an access log to a file and one trace in a hundred, against none of it. A waypoint is told to
 * have one or the other in turn, so that both meet the same process and whatever else the machine does; a row has the median of its
 * turns. The ratio is that of the turns, pair by pair, told on standard error.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { memoryEnvironment } from '#base/memory-environment.ts';
import { DEFAULT_SCOPED } from '#model/telemetry/scopes.ts';
import type { ScopedTelemetry, TelemetrySettings } from '#model/telemetry/settings.ts';
import type { CaseOptions } from './cases.ts';
import { measureHttp } from './measure.ts';
import { startOrigin } from './origin.ts';
import { type BenchRow, medianRows } from './report.ts';
import { type BenchContext, endAll, noPart, type Subject } from './subjects/subject.ts';
import { startTullePair } from './subjects/tulle-l4.ts';
import { startTulleWaypoint } from './subjects/tulle-l7.ts';
import { CLIENT, rebuildTopology, SERVER } from './topology.ts';
import { NEXT_VARIANT } from './waypoint-signal.ts';

const CASE = 'telemetry';
/** Turns of each; of a short run one: it shows that the case works. */
const TURNS = 8;
/** Two processes of the same program differ by a tenth for all of their lives, by what the compiler made of them: each has all variants. */
const COPIES = 2;
const FIRST_PORT = 18_081;
const NODE_TURNS = 3;
const SHORT_SECONDS = 1;
/** Bun compiles what runs often: the first seconds of a process are not its own. */
const FIRST_WARM_UP_SECONDS = 3;
const WARM_UP_SECONDS = 1;

const turnsOf = (seconds: number, turns: number) => (seconds <= SHORT_SECONDS ? 1 : turns);
/** wrk takes whole seconds. */
const lengthOf = (seconds: number) => Math.max(1, Math.round(seconds / 2));

const ON = DEFAULT_SCOPED.server;
const OFF: TelemetrySettings = {
  metrics: { disabled: true, overrides: {} },
  accessLog: { outputs: [] },
  tracing: { ...ON.tracing, disabled: true, samplingPercent: 0 },
};
const NOTHING: ScopedTelemetry = { scope: 'bench', server: OFF, client: OFF };
const BOTH = ['off', 'on'];
/** As the launcher and the manifests set it. */
const DEPLOYED = Object.fromEntries(
  memoryEnvironment('waypoint').map(({ name, value }) => [name, value]),
);

export async function runTelemetry(
  context: BenchContext,
  subject: Subject,
  options: CaseOptions,
): Promise<BenchRow[]> {
  if (subject.name !== 'tulle') throw noPart(subject, CASE);
  return [
    ...(await waypointRows(context, subject, options)),
    ...(await nodeRows(context, subject, options)),
  ];
}

/** `on` is all of it: metrics, a line of log for each request, one trace in a hundred. In the order in which the process has them. */
const VARIANTS: Readonly<Record<string, TelemetrySettings>> = {
  off: OFF,
  'metrics alone on': { ...OFF, metrics: ON.metrics },
  on: ON,
};

async function waypointRows(
  context: BenchContext,
  subject: Subject,
  { connections, seconds }: CaseOptions,
): Promise<BenchRow[]> {
  await startOrigin(context);
  const rows: BenchRow[] = [];
  const started = await startVariants(context, turnsOf(seconds, COPIES));
  for (const count of connections) {
    const turns: BenchRow[] = [];
    for (let round = 0; round < turnsOf(seconds, TURNS); round += 1)
      for (const { port, pids } of started)
        for (const name of Object.keys(VARIANTS)) {
          const target = { case: CASE, subject, pids, url: `http://127.0.0.1:${port}/` };
          const warmUpSeconds = round === 0 ? FIRST_WARM_UP_SECONDS : WARM_UP_SECONDS;
          const load = `waypoint, telemetry ${name}`;
          const how = { connections: count, seconds: lengthOf(seconds), load, warmUpSeconds };
          turns.push(await measureHttp(target, how));
          for (const pid of pids) process.kill(pid, NEXT_VARIANT);
        }
    rows.push(...report(turns));
  }
  return rows;
}

async function startVariants(context: BenchContext, copies: number) {
  const command = [process.execPath, join(import.meta.dir, 'waypoint-process.ts')];
  const file = join(context.directory, 'settings.json');
  writeFileSync(file, JSON.stringify(Object.values(VARIANTS)));
  const started: { port: number; pids: number[] }[] = [];
  for (let copy = 0; copy < copies; copy += 1) {
    const port = FIRST_PORT + copy;
    const pids = await startTulleWaypoint(context, {
      port,
      routes: 100,
      protocol: 'h1',
      further: { accessLog: 'text' },
      command,
      commandEnd: [file],
      environment: DEPLOYED,
    });
    started.push({ port, pids });
  }
  return started;
}

/** Both pairs want the same addresses: one is ended before the other begins. */
async function nodeRows(
  context: BenchContext,
  subject: Subject,
  { connections, seconds }: CaseOptions,
): Promise<BenchRow[]> {
  const turns: BenchRow[] = [];
  for (let round = 0; round < turnsOf(seconds, NODE_TURNS); round += 1) {
    for (const which of inTurn(BOTH, round)) {
      await endAll(context.children.splice(0));
      await rebuildTopology();
      await startOrigin(context, SERVER.name);
      const telemetry = which === 'on' ? DEFAULT_SCOPED : NOTHING;
      const pids = await startTullePair(context, { pods: 1, telemetry });
      const url = `http://${SERVER.address}:${context.originPort}/`;
      const target = { case: CASE, subject, pids, url, namespace: CLIENT.name };
      for (const [name, headers] of Object.entries(NODE_LOADS))
        turns.push(
          await measureHttp(
            { ...target, headers },
            {
              connections: connections[0],
              seconds: lengthOf(seconds),
              load: `node proxies, ${name}, telemetry ${which}`,
              warmUpSeconds: FIRST_WARM_UP_SECONDS,
            },
          ),
        );
    }
  }
  return report(turns);
}

/** A connection is what a node proxy counts and logs: in the second load each request is one. */
const NODE_LOADS: Readonly<Record<string, Record<string, string>>> = {
  requests: {},
  connections: { Connection: 'close' },
};

/** Whoever is first in a round is second in the next. */
function inTurn(names: readonly string[], round: number): readonly string[] {
  return round % 2 === 0 ? names : names.toReversed();
}

function report(turns: readonly BenchRow[]): BenchRow[] {
  const of = (load: string) => turns.filter((row) => row.load === load);
  for (const load of new Set(turns.map((row) => row.load))) {
    if (!load.endsWith(' on')) continue;
    const off = of(load.replace(/ telemetry .*$/, ' telemetry off'));
    const ratios = of(load).flatMap(({ cpuMicrosPerRequest: on }, at) => {
      const without = off[at]?.cpuMicrosPerRequest;
      return on && without ? [on / without] : [];
    });
    const sorted = ratios.toSorted((left, right) => left - right);
    const middle = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
    const percent = ((middle - 1) * 100).toFixed(1);
    process.stderr.write(
      `${load}: ${percent} % more CPU a request than without (median of ${ratios.length} pairs)\n`,
    );
  }
  return medianRows([...turns]);
}
