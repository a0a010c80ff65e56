/**
 * The whole of it from nothing: a cluster of its own, CRDs, images, Tulle installed from these sources, both runs, their reports, and the
 * cluster is gone again. The reports are upstream's files as the suite writes them.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type KubeCluster, startCluster } from '#test/kube/cluster.ts';
import { must } from '#test/kube/command.ts';
import { runSuite, type TestResult } from './run-suite.ts';
import { makeWaypoints, runFlags, type SuiteRun } from './runs.ts';
import { buildSuite, type Channel, prepareCluster, type Suite } from './suite.ts';

const ROOT = join(import.meta.dir, '../../..');
/** What reports say about whom they are of; the suite demands that each says something. */
const IMPLEMENTATION = {
  organization: 'tulle',
  project: 'tulle',
  url: 'unpublished',
  contact: 'unpublished',
};

export interface WholeOptions {
  channel: Channel;
  runs: readonly SuiteRun[];
  /** Folders. */
  reports: string;
  logs: string;
  progress: (text: string) => void;
}

/** Resolves to the names of the runs that failed. */
export async function runWhole(options: WholeOptions): Promise<string[]> {
  const { channel, progress } = options;
  const suite = await buildSuite(progress);
  progress('starting a cluster');
  // Tests that run side by side ask for more CPU than two cores of one node can promise.
  const name = `conformance-${process.pid}`;
  await using cluster = await startCluster({ name, nodes: 2 });
  await prepareCluster(cluster, suite, channel);
  await installTulle(cluster, progress);
  const failed: string[] = [];
  for (const run of options.runs) {
    progress(`run ${run.name}: ${run.profiles.join(', ')}`);
    await makeWaypoints(cluster, run);
    if (!(await passes(cluster, { suite, run, options }))) failed.push(run.name);
  }
  return failed;
}

/** The image of these sources, and `tulle install` with it. */
export async function installTulle(
  cluster: KubeCluster,
  progress: (text: string) => void,
): Promise<void> {
  progress('building the image and installing it');
  const folder = mkdtempSync(join(tmpdir(), 'tulle-conformance-'));
  try {
    const archive = join(folder, 'tulle.tar');
    await must(['node', join(ROOT, 'tools/run.mjs'), 'image', '--out', archive]);
    await cluster.loadImage(archive);
    const env = { TULLE_HOME: folder, KUBECONFIG: cluster.kubeconfig };
    await must([join(ROOT, 'tulle'), 'install', '--timeout', '180s'], { env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface Job {
  suite: Suite;
  run: SuiteRun;
  options: WholeOptions;
}

async function passes(cluster: KubeCluster, { suite, run, options }: Job): Promise<boolean> {
  const { channel, reports, logs, progress } = options;
  const { version } = (await Bun.file(join(ROOT, 'package.json')).json()) as { version: string };
  for (const each of [reports, logs]) mkdirSync(each, { recursive: true });
  const report = join(reports, `${channel}-${version}-${run.name}-report.yaml`);
  const log = join(logs, `${channel}-${run.name}.log`);
  const about = Object.entries({ ...IMPLEMENTATION, version });
  const { code, tests } = await runSuite(cluster, {
    suite,
    log,
    flags: [
      ...runFlags(run),
      ...about.map(([name, value]) => `--${name}=${value}`),
      `--mode=${run.name}`,
      `--report-output=${report}`,
    ],
  });
  const named = (result: TestResult) => [...tests].filter(([, each]) => each === result);
  for (const [test] of named('FAIL')) progress(`FAIL ${test}`);
  const [passed, failed, skipped] = (['PASS', 'FAIL', 'SKIP'] as const).map((each) => named(each));
  progress(
    `${run.name}: ${passed.length} tests passed, ${failed.length} failed, ${skipped.length} of features not claimed`,
  );
  progress(`${report}\n${log}`);
  return code === 0;
}
