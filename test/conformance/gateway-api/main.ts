#!/usr/bin/env bun
/** The Gateway API's conformance suite, whole or by hand: see USAGE. */
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { openCluster } from '#test/kube/cluster.ts';
import { makeWaypoints, RUNS, runFlags } from './runs.ts';
import { buildSuite, prepareCluster, suiteCommand } from './suite.ts';
import { installTulle, runWhole } from './whole.ts';

const USAGE = `usage: npm run conformance [-- --channel standard|experimental] [--run gateway|mesh] [--reports FOLDER] [--logs FOLDER]
       bun test/conformance/gateway-api/main.ts prepare|install|run CLUSTER [gateway|mesh] [FLAG…]
  npm run conformance  from nothing: a cluster, CRDs, Tulle, both runs, their reports; the cluster is gone again
  prepare   load the images of the suite into a running cluster and apply the CRDs of the experimental channel
  install   build the image of these sources and install it
  run       run the suite in the control plane's namespace; flags are its own, beside those of the run that is named
            --run-test=HTTPRouteSimpleSameNamespace --supported-features=Gateway,HTTPRoute --report-output=/tmp/report.yaml
`;
const REPORTS = join(import.meta.dir, '../../../docs/conformance/gateway-api');

const progress = (text: string) => void process.stderr.write(`${text}\n`);

async function whole(args: string[]): Promise<number> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    args,
    options: { channel: text, run: text, reports: text, logs: text },
  });
  const { channel = 'experimental' } = values;
  if (channel !== 'standard' && channel !== 'experimental') return usage();
  const runs = RUNS.filter(({ name }) => values.run === undefined || name === values.run);
  if (runs.length === 0) return usage();
  const failed = await runWhole({
    channel,
    runs,
    reports: resolve(values.reports ?? REPORTS),
    logs: resolve(values.logs ?? join(tmpdir(), 'tulle-conformance')),
    progress,
  });
  return failed.length === 0 ? 0 : 1;
}

async function byHand(verb: string, name: string, flags: string[]): Promise<number> {
  const cluster = openCluster(name);
  if (verb === 'install') {
    await installTulle(cluster, progress);
    return 0;
  }
  const suite = await buildSuite(progress);
  if (verb === 'prepare') {
    await prepareCluster(cluster, suite, 'experimental');
    return 0;
  }
  const run = RUNS.find((each) => each.name === flags[0]);
  if (run !== undefined) await makeWaypoints(cluster, run);
  const words = run === undefined ? flags : [...runFlags(run), ...flags.slice(1)];
  const stdio = ['inherit', 'inherit', 'inherit'] as ['inherit', 'inherit', 'inherit'];
  return Bun.spawn(suiteCommand(cluster, suite, words), { stdio }).exited;
}

function usage(): number {
  process.stderr.write(USAGE);
  return 2;
}

const [verb = '', ...rest] = process.argv.slice(2);
const [name, ...flags] = rest;
if (verb === 'whole') process.exitCode = await whole(rest);
else if (name !== undefined && ['prepare', 'install', 'run'].includes(verb))
  process.exitCode = await byHand(verb, name, flags);
else process.exitCode = usage();
