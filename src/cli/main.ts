#!/usr/bin/env bun
/**
 * The program `tulle`. Roles (`tulle role …`) are started without loading the commands, and each command loads
 * its own code when it runs: starting a process stays cheap.
 */
import { basename } from 'node:path';
import { CNI_PLUGIN } from '#cni/config.ts';
import type { ControlExtras } from '#control/main.ts';
import { EXIT, reportOf } from './output/report.ts';

type RunRole = (argv: string[]) => Promise<void>;

/** The processes that make up a mesh; `tulle role NAME --help` lists the flags of one. */
const ROLES: Record<string, () => Promise<RunRole>> = {
  apiserver: async () => (await import('#apiserver/main.ts')).runApiserver,
  control: async () => {
    const { runControl } = await import('#control/main.ts');
    // The proxies' decisions answer `why`; their code is loaded when somebody asks.
    const answerWhy: ControlExtras['answerWhy'] = (mesh, settings) => async (body) =>
      (await import('./why/serve.ts')).answerLive(mesh, settings, body);
    return (argv) => runControl(argv, { answerWhy });
  },
  cni: async () => (await import('#cni/main.ts')).runCniProcess,
  node: async () => (await import('#node/main.ts')).runNode,
  'node-started': async () => (await import('#node/started.ts')).runNodeStarted,
  waypoint: async () => (await import('#waypoint/main.ts')).runWaypoint,
  gateway: async () => (await import('#waypoint/main.ts')).runGateway,
  farewell: async () => (await import('#install/cluster/farewell.ts')).runFarewell,
  'lab-host': async () => (await import('#lab/host.ts')).runLabHost,
  'lab-inner': async () => (await import('#lab/runner/main.ts')).runLabInner,
  sample: async () => (await import('#lab/samples/main.ts')).runSample,
};

async function runRole(name: string | undefined, argv: string[]): Promise<void> {
  const load = name === undefined ? undefined : ROLES[name];
  if (load === undefined) {
    process.stderr.write(
      `error: unknown role ${name ?? ''}; one of ${Object.keys(ROLES).join(', ')}\n`,
    );
    process.exit(EXIT.usage);
  }
  // A log that nobody reads any more costs lines, not the traffic of everybody who passes through this process.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const run = await load();
  await run(argv);
}

async function main(argv: string[]): Promise<void> {
  // Container runtimes find the plugin by the name of its program, and give it no arguments.
  if (basename(process.execPath) === CNI_PLUGIN) return runRole('cni', []);
  if (argv[0] === 'role') return runRole(argv[1], argv.slice(2));
  // `tulle logs … | head` closes our output early: that is the reader's right, not a fault.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.done);
    throw error;
  });
  const { runCommandLine } = await import('./program.ts');
  process.exitCode = await runCommandLine(argv);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  const report = reportOf(error);
  process.stderr.write(report.text);
  process.exit(report.status);
}
