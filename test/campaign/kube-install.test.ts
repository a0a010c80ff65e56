/**
 * Tulle's life on a real Kubernetes with one node: looked at, installed, changed, refused, and taken away again under traffic with
 * nothing left; then once more with the real Helm.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { DoctorAnswer } from '#cli/commands/doctor/doctor.ts';
import type { InstallReport } from '#install/cluster/report.ts';
import { APP_IMAGE, type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';
import { statePaths } from '#test/kube/state.ts';
import { findHelm, helmProgram } from '#test/support/helm.ts';
import { eventually } from '#test/support/lab.ts';
import { imageArchive } from '#test/support/tulle-image.ts';

const ROOT = join(import.meta.dir, '../..');
const NAME = `install-${process.pid}`;
const START_MS = 900_000; // the first on a machine builds Kubernetes and the image
const STEP_MS = 300_000;

const why = missingCluster();

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(words: string[], { input = '', kubeconfig = '' } = {}): Promise<Answer> {
  const child = Bun.spawn(words, {
    cwd: ROOT,
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdin: new Blob([input]),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [stdout, stderr, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, stdout, stderr };
}

const SHOP = [
  {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
  },
  ...['client', 'server'].map((name) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'shop', labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 1,
      containers: [
        {
          name: 'app',
          image: APP_IMAGE,
          imagePullPolicy: 'Never',
          command: ['app', 'http', ':8080'],
        },
      ],
    },
  })),
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'server', namespace: 'shop' },
    spec: { selector: { app: 'server' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  },
];

describe.skipIf(why !== undefined)('tulle on Kubernetes', () => {
  let cluster: KubeCluster;
  let tulle: (...args: string[]) => Promise<Answer>;
  const report = ({ stdout, stderr, code }: Answer): InstallReport => {
    if (code !== 0) throw new Error(`exit ${code}: ${stderr}`);
    return JSON.parse(stdout) as InstallReport;
  };
  const kubectl = async (...args: string[]) => {
    const { code, stdout, stderr } = await cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  const get = () =>
    cluster.kubectl(['-n', 'shop', 'exec', 'client', '--', 'app', 'get', 'http://server/']);

  beforeAll(async () => {
    cluster = await startCluster({ name: NAME, nodes: 1 });
    using image = await imageArchive();
    await cluster.loadImage(image.path);
    const { kubeconfig } = cluster;
    tulle = (...args) => run(['./tulle', ...args], { kubeconfig });
  }, START_MS);
  afterAll(() => cluster?.down(), STEP_MS);

  test(
    '--dry-run asks the server about everything and changes nothing',
    async () => {
      const { objects, dryRun } = report(await tulle('install', '--dry-run', '-o', 'json'));
      expect(dryRun).toBe(true);
      expect(objects.filter(({ outcome }) => outcome !== 'created')).toEqual([]);
      expect(await kubectl('get', 'namespaces,crds', '-o', 'name')).not.toMatch(/istio|tulle/);
    },
    STEP_MS,
  );

  test(
    'doctor finds nothing wrong, and tulle is not here yet',
    async () => {
      const answer = await tulle('doctor', 'cluster', '-o', 'json');
      const { cluster: found } = JSON.parse(answer.stdout) as DoctorAnswer;
      expect(found?.findings.filter(({ level }) => level !== 'ok')).toEqual([]);
      expect(answer.code).toBe(0);
      expect(found?.findings.at(-1)?.message).toContain('Tulle is not here yet');
    },
    STEP_MS,
  );

  test(
    'an account without rights is told each one that it lacks',
    async () => {
      await kubectl('create', 'serviceaccount', 'weak');
      const token = (await kubectl('create', 'token', 'weak')).trim();
      const config = parse(readFileSync(cluster.kubeconfig, 'utf8')) as { users: object[] };
      config.users = config.users.map((user) => ({ ...user, user: { token } }));
      const { root: folder } = statePaths(NAME);
      writeFileSync(join(folder, 'weak'), stringify(config));
      const answer = await run(['./tulle', 'install'], { kubeconfig: join(folder, 'weak') });
      expect(answer.code).toBe(3);
      expect(answer.stderr).toContain('create daemonsets.apps in namespace istio-system');
      expect(answer.stderr).toContain('list nodes');
      const asked = await run(['./tulle', 'doctor', 'cluster'], {
        kubeconfig: join(folder, 'weak'),
      });
      expect(asked.code).toBe(1);
      expect(asked.stdout).toContain('create daemonsets.apps in namespace istio-system');
      expect(asked.stdout).toContain('Tulle cannot run on it: 1 error');
    },
    STEP_MS,
  );

  test(
    'install makes everything, and all of it runs within a minute',
    async () => {
      const { ready, elapsedMs, warnings } = report(await tulle('install', '-o', 'json'));
      expect({ ready, warnings }).toEqual({ ready: true, warnings: [] });
      expect(elapsedMs).toBeLessThan(60_000);
      // kubectl takes the manifests as well, and finds nothing of them different but in lists of the definitions that have defaults.
      for (const flags of [['--no-crds'], []]) {
        const { stdout } = await run(['./tulle', 'manifest', 'generate', ...flags]);
        const force = flags.length === 0 ? ['--force-conflicts'] : [];
        const accepted = await cluster.kubectl(
          ['apply', '--server-side', '--dry-run=server', ...force, '-f', '-'],
          { input: stdout },
        );
        expect(accepted).toMatchObject({ code: 0, stderr: '' });
      }
    },
    STEP_MS,
  );

  test(
    'the same again changes nothing',
    async () => {
      const { objects } = report(await tulle('install', '-o', 'json'));
      expect(objects.filter(({ outcome }) => outcome !== 'unchanged')).toEqual([]);
    },
    STEP_MS,
  );

  test(
    'upgrade keeps what was chosen and shows what changes',
    async () => {
      report(await tulle('upgrade', '--set', 'control.replicas=1', '-o', 'json'));
      const { objects } = report(
        await tulle('upgrade', '--set', 'node.logFormat=json', '-o', 'json'),
      );
      const changed = objects.filter(({ outcome }) => outcome !== 'unchanged');
      expect(changed.map(({ object }) => object)).toEqual([
        'DaemonSet istio-system/ztunnel',
        'ConfigMap istio-system/tulle-install',
      ]);
      expect(
        await kubectl(
          '-n',
          'istio-system',
          'get',
          'deployment',
          'istiod',
          '-o',
          'jsonpath={.spec.replicas}',
        ),
      ).toBe('1');
    },
    STEP_MS,
  );

  test(
    'a field that somebody else changed is not overwritten unasked',
    async () => {
      await kubectl('-n', 'istio-system', 'set', 'env', 'deployment/istiod', 'X=y');
      await kubectl('-n', 'istio-system', 'scale', 'deployment/istiod', '--replicas=2');
      const refused = await tulle('upgrade', '--set', 'control.replicas=3');
      expect(refused.code).toBe(3);
      expect(refused.stderr).toMatch(/Deployment istio-system\/istiod: .*\.spec\.replicas/);
      expect(refused.stderr).toContain('--force-conflicts');
      const forced = await tulle('upgrade', '--set', 'control.replicas=1', '--force-conflicts');
      expect(forced.code).toBe(0);
    },
    STEP_MS,
  );

  test(
    'objects of somebody else are not taken over',
    async () => {
      await kubectl('create', 'namespace', 'other');
      await kubectl('-n', 'other', 'create', 'configmap', 'istio');
      const refused = await tulle(
        'install',
        '-n',
        'other',
        '--set',
        'node.enabled=false',
        '--dry-run',
      );
      expect(refused.code).toBe(3);
      expect(refused.stderr).toContain('not Tulle’s:\n  ConfigMap other/istio');
      await kubectl('delete', 'namespace', 'other', '--wait=false');
    },
    STEP_MS,
  );

  test(
    'uninstall under traffic: pods go back to plain, no request fails, nothing is left',
    async () => {
      const applied = await cluster.kubectl(['apply', '-f', '-'], {
        input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: SHOP }),
      });
      expect(applied.stderr).toBe('');
      await kubectl(
        '-n',
        'shop',
        'wait',
        '--for=condition=Ready',
        'pod/client',
        'pod/server',
        '--timeout=120s',
      );
      report(await tulle('upgrade', '-o', 'json'));
      expect((await tulle('waypoint', 'apply', '-n', 'shop', '--enroll-namespace')).code).toBe(0);
      await kubectl(
        '-n',
        'shop',
        'wait',
        '--for=condition=Programmed',
        'gateway/waypoint',
        '--timeout=120s',
      );
      expect(await redirections()).toBe('enabled enabled');
      await goesInOrder(() => tulle('uninstall', '--yes', '-o', 'json'));
    },
    STEP_MS,
  );

  const helm = findHelm();
  test.skipIf(helm === undefined)(
    'Helm installs the chart, and takes it away again under traffic: pods go back to plain, nothing is left',
    async () => {
      const { kubeconfig } = cluster;
      const flags = ['-n', 'istio-system', '--kubeconfig', kubeconfig];
      const wait = ['--create-namespace', '--wait', '--timeout', '180s'];
      const installed = helm?.(['install', 'tulle', 'chart', ...flags, ...wait]);
      expect(installed).toMatchObject({ code: 0, stderr: '' });
      const refused = await tulle('install');
      expect(refused.stderr).toContain('managed by Helm');
      await eventually('the waypoint and both pods of the mesh', async () => {
        const words = ['-n', 'shop', 'rollout', 'status', 'deployment/waypoint', '--timeout=120s'];
        const { code } = await cluster.kubectl(words);
        return (code === 0 && (await redirections()) === 'enabled enabled') || undefined;
      });
      const program = helmProgram() ?? '';
      await goesInOrder(
        () => run([program, 'uninstall', 'tulle', ...flags, '--wait'], { kubeconfig }),
        // Helm makes a namespace, and takes none away.
        ['namespace/istio-system'],
      );
      await kubectl('delete', 'namespace', 'istio-system');
    },
    STEP_MS,
  );

  test(
    '--purge takes the definitions as well, and only what was asked for',
    async () => {
      await kubectl('create', 'clusterrole', 'bystander', '--verb=get', '--resource=pods');
      const answer = await tulle('uninstall', '--purge', '--yes');
      expect(answer.code, answer.stderr).toBe(0);
      expect(await kubectl('get', 'crds', '-o', 'name')).not.toMatch(/istio|tulle|gateway/);
      await kubectl('get', 'clusterrole', 'bystander');
    },
    STEP_MS,
  );

  /** What takes the mesh away while requests go on: none fails, and nothing of it is left. */
  async function goesInOrder(
    remove: () => Promise<Answer>,
    staying: readonly string[] = [],
  ): Promise<void> {
    const failed: string[] = [];
    let sent = 0;
    let going = true;
    const traffic = (async () => {
      while (going) {
        const { stdout, stderr } = await get();
        sent += 1;
        if (!stdout.startsWith('200 host=server')) failed.push(stdout + stderr);
      }
    })();
    const answer = await remove();
    going = false;
    await traffic;
    expect(answer.code, answer.stderr).toBe(0);
    expect(failed).toEqual([]);
    expect(sent).toBeGreaterThan(10);
    expect(await redirections()).toBe('');
    expect(await leftovers()).toEqual([...staying]);
    const list = ['sh', '-c', 'ls /opt/cni/bin; cat /etc/cni/net.d/*'];
    expect((await cluster.inNode('n1', list)).stdout).not.toContain('tulle-cni');
  }

  async function redirections(): Promise<string> {
    const path = '{.items[*].metadata.annotations.ambient\\.istio\\.io/redirection}';
    return kubectl('-n', 'shop', 'get', 'pods', '-l', 'app', '-o', `jsonpath=${path}`);
  }

  async function leftovers(): Promise<string[]> {
    const kinds = [
      'namespaces,clusterroles,clusterrolebindings,validatingwebhookconfigurations,gatewayclasses',
      'deployments,daemonsets,services,configmaps,secrets,leases,serviceaccounts,pdb,hpa',
    ];
    const names = await Promise.all(kinds.map((each) => kubectl('get', each, '-A', '-o', 'name')));
    return names
      .join('\n')
      .split('\n')
      .filter((name) => /istio|tulle|ztunnel|waypoint/.test(name));
  }
});
