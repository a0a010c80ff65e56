/**
 * The mesh on a real Kubernetes, from installation to removal, with the user's own example in between: the same scenarios as in
 * the lab, then every part replaced under load, and nothing left at the end.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { type KubeCluster, missingCluster, startCluster } from '#test/kube/cluster.ts';
import { meshImages, trafficCommand } from '#test/kube/mesh-images.ts';
import { consoleAccessScenario } from '#test/scenarios/console-access.ts';
import { ejectionScenario, prepareEjection } from '#test/scenarios/ejection.ts';
import type { MeshWorld } from '#test/scenarios/mesh-world.ts';
import { productServiceScenario } from '#test/scenarios/product-service.ts';
import { eventually, ROOT, run } from '#test/support/lab.ts';
import { failuresOf, parseTraffic } from '#test/support/traffic/traffic.ts';

const PROGRAMS = ['curl', 'tcpdump', 'openssl', 'nsenter'];
const why = missingCluster(PROGRAMS);
const EXAMPLE = join(ROOT, 'examples/product-service');
/** Of the test cluster, on two cores that also run the cluster. */
const INSTALL_MS_MAX = 60_000;
const NODES = ['n1', 'n2'];
/** Longer than the roll-outs of all parts take, one after the other. */
const TRAFFIC_SECONDS = 60;
/** Client and server on different nodes; the server's namespace has no waypoint, the example's has one. */
const TRAFFIC = `
apiVersion: v1
kind: Namespace
metadata: {name: traffic, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: traffic}
spec:
  selector: {app: server}
  ports:
    - {name: http-echo, port: 8080}
    - {name: tcp-greeting, port: 8081}
    - {name: tcp-stream, port: 8082}
---
apiVersion: v1
kind: Pod
metadata: {name: server, namespace: traffic, labels: {app: server}}
spec:
  nodeName: n1
  terminationGracePeriodSeconds: 1
  containers:
    - name: app
      image: host
      imagePullPolicy: IfNotPresent
      command: ${JSON.stringify(trafficCommand('server.ts'))}
      readinessProbe: {tcpSocket: {port: 8082}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: traffic}
spec:
  nodeName: n2
  terminationGracePeriodSeconds: 1
  containers: [{name: app, image: host, imagePullPolicy: IfNotPresent, command: [sleep, infinity]}]
`;

describe.skipIf(why !== undefined)('the mesh on Kubernetes', () => {
  let cluster: KubeCluster;
  let home: string;

  const tulle = (...words: string[]) =>
    run([join(ROOT, 'tulle'), '--kubeconfig', cluster.kubeconfig, ...words], {
      env: { TULLE_HOME: home },
    });
  const asResult = ({
    code,
    stdout,
    stderr,
  }: {
    code: number;
    stdout: string;
    stderr: string;
  }) => ({
    status: code,
    stdout,
    stderr,
  });
  const kubectl = async (...args: string[]) => asResult(await cluster.kubectl(args));
  const world = (): MeshWorld => ({
    nodes: NODES,
    home,
    kubectl,
    apply: async (input) => asResult(await cluster.kubectl(['apply', '-f', '-'], { input })),
    tulle,
    onNode: (node, command) => cluster.nodeCommand(node, command),
  });
  const objectsLeft = async () => {
    const kinds = 'all,cm,secrets,sa,lease,roles,rolebindings';
    const spaced = await kubectl('get', kinds, '-n', 'istio-system', '-o', 'name');
    const wide = await kubectl(
      'get',
      'ns,clusterroles,clusterrolebindings,validatingwebhookconfigurations,priorityclasses',
      '-o',
      'name',
    );
    return `${spaced.stdout}\n${wide.stdout}`
      .split('\n')
      .filter((name) => /istio|tulle|ztunnel/.test(name));
  };

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'tulle-kube-e2e-'));
    const [started, images] = await Promise.all([
      startCluster({ name: `mesh-${process.pid}`, nodes: 2 }),
      meshImages(),
    ]);
    cluster = started;
    for (const image of images) await cluster.loadImage(image);
  }, 900_000);

  afterAll(async () => {
    await cluster?.down();
    rmSync(home, { recursive: true, force: true });
  }, 300_000);

  test('tulle install: everything is ready within a minute', async () => {
    const startedAt = systemClock.now();
    const installed = await tulle('install', '--timeout', '180s');
    const tookMs = systemClock.now() - startedAt;
    expect({ ...installed, stdout: '' }).toMatchObject({ status: 0 });
    expect(tookMs).toBeLessThan(INSTALL_MS_MAX);
    process.stderr.write(`installed in ${Math.round(tookMs)} ms\n`);
    expect(await kubectl('rollout', 'status', 'ds/ztunnel', '-n', 'istio-system')).toMatchObject({
      status: 0,
    });
  }, 300_000);

  test('the example is applied as it is, and its pods are in the mesh', async () => {
    expect((await kubectl('apply', '-f', join(EXAMPLE, 'app.yaml'))).stderr).toBe('');
    const routes = ['apply', '-n', 'shop', '-f', join(EXAMPLE, 'product-service.yaml')];
    expect((await kubectl(...routes)).stderr).toBe('');
    for (const deployment of ['product-service-v1', 'product-service-v2', 'web', 'waypoint'])
      expect(
        await eventually(`deployment ${deployment}`, async () => {
          const wait = [
            'rollout',
            'status',
            '-n',
            'shop',
            `deploy/${deployment}`,
            '--timeout=120s',
          ];
          const result = await kubectl(...wait);
          return result.stderr.includes('NotFound') ? undefined : result;
        }),
      ).toMatchObject({ status: 0 });
    expect(
      await kubectl('wait', 'gtw/waypoint', '-n', 'shop', '--for=condition=Programmed'),
    ).toMatchObject({ status: 0 });
    await eventually('every pod in the mesh', async () => {
      const path = 'jsonpath={.items[*].metadata.annotations.ambient\\.istio\\.io/redirection}';
      const { stdout } = await kubectl('get', 'pods', '-n', 'shop', '-o', path);
      return stdout === 'enabled enabled enabled enabled' ? true : undefined;
    });
    const whole = 'every proxy in sync, and nothing to find fault with';
    await eventually(whole, async () =>
      (await tulle('status')).status === 0 ? true : undefined,
    ).catch(async () => expect(await tulle('status')).toMatchObject({ status: 0 }));
  }, 300_000);

  // While the example is as it was written, with its own load.
  describe('the console', () => consoleAccessScenario(world, () => cluster.kubeconfig));

  productServiceScenario(world);

  // Before anything is replaced: two waypoints at a time would count failures apart.
  describe('a canary that fails', () => {
    beforeAll(() => prepareEjection(world(), 'host'), 300_000);
    ejectionScenario(world);
  });

  test('every part is replaced while it serves, and nothing is lost', async () => {
    expect((await world().apply(TRAFFIC)).stderr).toBe('');
    const ready = ['wait', 'pod', '--all', '-n', 'traffic', '--for=condition=Ready'];
    expect(await kubectl(...ready, '--timeout=120s')).toMatchObject({ status: 0 });
    await eventually('both pods captured', async () => {
      const path = 'jsonpath={.items[*].metadata.annotations.ambient\\.istio\\.io/redirection}';
      const { stdout } = await kubectl('get', 'pods', '-n', 'traffic', '-o', path);
      return stdout === 'enabled enabled' ? true : undefined;
    });
    const address = 'jsonpath={.spec.clusterIP}';
    const { stdout: host } = await kubectl('get', 'svc', 'server', '-n', 'traffic', '-o', address);
    const url = 'http://product-service.shop/';
    const load = trafficCommand('load.ts', host, String(TRAFFIC_SECONDS), url);
    const running = kubectl('exec', '-n', 'traffic', 'client', '--', ...load);
    for (const part of [
      '-n istio-system ds/ztunnel',
      '-n istio-system deploy/istiod',
      '-n shop deploy/waypoint',
    ]) {
      const words = part.split(' ');
      expect(await kubectl('rollout', 'restart', ...words)).toMatchObject({ status: 0 });
      const status = await kubectl('rollout', 'status', ...words, '--timeout=120s');
      expect(status.stdout).toContain('successfully rolled out');
    }
    const { stdout, stderr } = await running;
    if (stdout === '') throw new Error(stderr);
    const kinds = parseTraffic(stdout);
    expect(failuresOf(kinds)).toEqual([]);
    for (const { ok } of Object.values(kinds)) expect(ok).toBeGreaterThan(TRAFFIC_SECONDS);
  }, 300_000);

  test('tulle uninstall leaves nothing, and the pods go on in plaintext', async () => {
    const path = 'jsonpath={.items[*].status.conditions[*].type}';
    const conditions = async () =>
      (await kubectl('get', 'services', '-n', 'shop', '-o', path)).stdout;
    expect(await conditions()).toContain('istio.io/WaypointBound');
    expect(await tulle('uninstall', '--purge', '-y')).toMatchObject({ status: 0 });
    expect(await conditions()).not.toContain('istio.io/');
    await eventually('nothing of it left', async () =>
      (await objectsLeft()).length === 0 ? true : undefined,
    ).catch(async () => expect(await objectsLeft()).toEqual([]));
    for (const node of NODES) {
      const conf = await cluster.inNode(node, [
        'sh',
        '-c',
        'cat /etc/cni/net.d/*; ls /opt/cni/bin',
      ]);
      expect(conf.stdout).not.toContain('tulle-cni');
    }
    const curl = ['curl', '-s', '-m', '5', 'http://product-service/'];
    const answered = await kubectl('exec', '-n', 'shop', 'client', '--', ...curl);
    expect(answered.stdout).toContain('version');
  }, 300_000);
});
