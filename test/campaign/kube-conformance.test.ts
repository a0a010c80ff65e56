/**
 * The core of the Gateway API's own conformance suite against Tulle on a real Kubernetes, one test or two of each kind. The whole
 * is `npm run conformance`; docs/conformance/README.md has what it says.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runSuite } from '#test/conformance/gateway-api/run-suite.ts';
import { makeWaypoints, RUNS, runFlags } from '#test/conformance/gateway-api/runs.ts';
import { buildSuite, prepareCluster, type Suite } from '#test/conformance/gateway-api/suite.ts';
import { installTulle } from '#test/conformance/gateway-api/whole.ts';
import { type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';

const why = missingCluster();

const START_MS = 1_200_000; // the first on a machine builds Kubernetes and the suite
const RUN_MS = 300_000;
const CORE: Readonly<Record<string, readonly string[]>> = {
  gateway: [
    'GatewayObservedGenerationBump',
    'GatewaySecretInvalidReferenceGrant',
    'GRPCRouteHeaderMatching',
    'HTTPRouteCrossNamespace',
    'HTTPRouteHTTPSListener',
    'HTTPRouteMatching',
    'HTTPRouteReferenceGrant',
    'HTTPRouteServiceTypes',
    'HTTPRouteWeight',
    'TLSRouteSimpleSameNamespace',
  ],
  mesh: ['MeshBasic', 'MeshFrontend', 'MeshHTTPRouteMatching', 'MeshTrafficSplit'],
};

describe.skipIf(why !== undefined)('the conformance suite of the Gateway API', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tulle-conformance-'));
  let cluster: KubeCluster;
  let suite: Suite;

  beforeAll(async () => {
    const progress = (text: string) => void process.stderr.write(`${text}\n`);
    suite = await buildSuite(progress);
    cluster = await startCluster({ name: `conformance-${process.pid}`, nodes: 1 });
    await prepareCluster(cluster, suite, 'standard');
    await installTulle(cluster, progress);
  }, START_MS);

  afterAll(async () => {
    await cluster?.down();
    rmSync(folder, { recursive: true, force: true });
  }, RUN_MS);

  test.each(RUNS.map((run) => [run.name, run] as const))(
    'core of the %s run',
    async (name, run) => {
      const names = CORE[name];
      await makeWaypoints(cluster, run);
      const { tests, complaints } = await runSuite(cluster, {
        suite,
        log: join(folder, `${name}.log`),
        flags: [...runFlags(run), `-test.run=^TestConformance$/^(${names.join('|')})$`],
      });
      expect(complaints).toEqual([]);
      expect(Object.fromEntries(tests)).toEqual(
        Object.fromEntries(names.map((each) => [each, 'PASS'])),
      );
    },
    RUN_MS,
  );
});
