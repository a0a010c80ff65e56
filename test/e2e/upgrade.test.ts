/**
 * Nothing is dropped: node proxies are replaced twice under a minute of mixed traffic, a waypoint once; the control plane
 * and the API server stand still while it runs. One lab for both.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { eventually, missingFor, run, startLab, type TestLab } from '#test/support/lab.ts';
import {
  failuresOf,
  parseTraffic,
  TRAFFIC_LOAD,
  TRAFFIC_SERVER,
} from '#test/support/traffic/traffic.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;
const TRAFFIC_SECONDS = 60;
const REPLACED_AFTER_S = 10;
const SURGE_AFTER_S = 30;
const WAYPOINT_AFTER_S = 45;
const AWAY_SECONDS = 8;

const list = (words: readonly string[]) => JSON.stringify(words);

/** Client and server on different nodes; the server's namespace has no waypoint, the demo's service has one. */
const OBJECTS = `
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
  nodeName: node1
  containers:
    - name: app
      image: host
      command: ${list(TRAFFIC_SERVER)}
      readinessProbe: {tcpSocket: {port: 8082}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: client, namespace: traffic}
spec:
  nodeName: node2
  containers: [{name: app, image: host, command: [sleep, infinity]}]
`;

interface NodePod {
  metadata: {
    name: string;
    namespace: string;
    labels: Record<string, string>;
    deletionTimestamp?: string;
  };
  spec: { nodeName: string };
  status?: { conditions?: { type: string; status: string }[] };
}

describe.skipIf(skip)('under mixed traffic', () => {
  let lab: TestLab;

  beforeAll(async () => {
    lab = await startLab(['--demo']);
    expect((await lab.apply(OBJECTS)).stderr).toBe('');
    const wait = ['wait', 'pod', '--all', '-n', 'traffic', '--for=condition=Ready'];
    expect((await lab.kubectl(...wait, '--timeout=60s')).status).toBe(0);
    await eventually('both pods captured', async () =>
      (await annotations()) === 'enabled enabled' ? true : undefined,
    );
  }, 90_000);

  afterAll(async () => {
    await lab?.down();
  });

  const annotations = async () => {
    const path = 'jsonpath={.items[*].metadata.annotations.ambient\\.istio\\.io/redirection}';
    return (await lab.kubectl('get', 'pods', '-n', 'traffic', '-o', path)).stdout;
  };
  const inClient = (...words: string[]) =>
    lab.tulle('exec', '-n', 'traffic', 'client', '--', ...words);
  const traffic = async (seconds: number) => {
    const host = await fieldOf('service', 'server', '.spec.clusterIP');
    const url = 'http://product-service.shop/';
    const { stdout, stderr } = await inClient(...TRAFFIC_LOAD, host, String(seconds), url);
    if (stdout === '') throw new Error(stderr);
    return parseTraffic(stdout);
  };
  const nodePods = async () => {
    const words = ['get', 'pods', '-n', 'istio-system', '-l', 'app=ztunnel', '-o', 'json'];
    const { stdout } = await lab.kubectl(...words);
    return (JSON.parse(stdout) as { items: NodePod[] }).items;
  };
  const readiness = async (node: string) =>
    (
      await run(lab.onNode(node, ['curl', '-s', 'http://127.0.0.1:15021/healthz/ready']))
    ).stdout.trim();
  /** In the client's network, without the API server. */
  const fromClient = (...words: string[]) => {
    const [pid] = lab.processes('sleep infinity', 'HOSTNAME=client');
    return run(['nsenter', '-t', String(pid), '--net', ...words]);
  };
  const fieldOf = async (kind: string, name: string, field: string) => {
    const words = ['get', kind, name, '-n', 'traffic', '-o', `jsonpath={${field}}`];
    return (await lab.kubectl(...words)).stdout;
  };
  /** Neither answers nor closes anything until disposed. */
  const mute = () => {
    const pids = ['role control', 'role apiserver'].flatMap((role) => lab.processes(role));
    expect(pids.length).toBe(2);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    return {
      [Symbol.dispose]() {
        for (const pid of pids) process.kill(pid, 'SIGCONT');
      },
    };
  };
  const ready = (names: (name: string) => boolean) =>
    eventually('the successors', async () => {
      const found = (await nodePods()).filter(
        ({ metadata, status }) =>
          names(metadata.name) &&
          status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
      );
      return found.length === 2 ? true : undefined;
    });
  const remove = async (names: readonly string[]) => {
    const words = ['delete', 'pods', '-n', 'istio-system', ...names, '--wait=false'];
    expect((await lab.kubectl(...words)).status).toBe(0);
  };
  /** Both node proxies at once are told to end; each gets a successor while it ends. */
  const replace = async (): Promise<void> => {
    const old = (await nodePods()).map(({ metadata }) => metadata.name);
    await remove(old);
    await ready((name) => !old.includes(name));
  };
  /** Successors first, as a DaemonSet with a surge does it; then the others are told to end. */
  const replaceBySurge = async (): Promise<void> => {
    const old = (await nodePods()).filter(
      ({ metadata }) => metadata.deletionTimestamp === undefined,
    );
    const next = old.map(({ metadata: { name, namespace, labels }, spec }) => {
      const metadata = { name: `${name}-surge`, namespace, labels };
      return JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata, spec });
    });
    expect((await lab.apply(next.join('\n'))).stderr).toBe('');
    await ready((name) => name.endsWith('-surge'));
    await remove(old.map(({ metadata }) => metadata.name));
  };

  test(
    'node proxies replaced twice and a waypoint lose no request, no connection and no byte of a long stream',
    async () => {
      const running = traffic(TRAFFIC_SECONDS);
      const begin = performance.now();
      const at = (seconds: number) => Bun.sleep(begin + seconds * 1000 - performance.now());
      await at(REPLACED_AFTER_S);
      await replace();
      await at(SURGE_AFTER_S);
      await replaceBySurge();
      // The stream keeps the first ones alive: asked while it surely runs, however long the waypoint takes.
      expect((await nodePods()).length).toBeGreaterThan(2);
      await at(WAYPOINT_AFTER_S);
      const waypoint = ['deploy/waypoint', '-n', 'shop'];
      expect((await lab.kubectl('rollout', 'restart', ...waypoint)).status).toBe(0);
      const status = await lab.kubectl('rollout', 'status', ...waypoint, '--timeout=60s');
      expect(status.stdout).toContain('successfully rolled out');
      const kinds = await running;
      expect(failuresOf(kinds)).toEqual([]);
      for (const { ok } of Object.values(kinds)) expect(ok).toBeGreaterThan(TRAFFIC_SECONDS * 5);
      await eventually('the end of the former ones', async () =>
        (await nodePods()).length === 2 ? true : undefined,
      );
      // What they left behind is in force, and no generation undid what another one did.
      expect(await annotations()).toBe('enabled enabled');
      expect((await fromClient('nft', 'list', 'ruleset')).stdout).toContain('redirect to :15001');
      for (const node of ['node1', 'node2']) {
        const metrics = await run(
          lab.onNode(node, ['curl', '-s', 'http://127.0.0.1:15020/metrics']),
        );
        expect(metrics.stdout).toContain('istio_build{');
        expect(metrics.stdout).not.toContain('tulle_capture_repairs_total{');
      }
    },
    (TRAFFIC_SECONDS + 120) * 1000,
  );

  test('the control plane and the API server stand still: connections go on and are made, nodes stay ready, then changes arrive', async () => {
    const host = await fieldOf('service', 'server', '.spec.clusterIP');
    {
      using _muted = mute();
      const words = [...TRAFFIC_LOAD, host, String(AWAY_SECONDS)];
      const { stdout, stderr } = await fromClient(...words);
      expect(stderr).toBe('');
      const kinds = parseTraffic(stdout);
      expect(failuresOf(kinds)).toEqual([]);
      expect(await Promise.all(['node1', 'node2'].map(readiness))).toEqual(['ready', 'ready']);
    }
    const deny = {
      apiVersion: 'security.istio.io/v1',
      kind: 'AuthorizationPolicy',
      metadata: { name: 'nobody', namespace: 'traffic' },
      spec: {},
    };
    const answers = async () =>
      (await fromClient('curl', '-s', '-m', '2', `http://${host}:8080/`)).status === 0;
    expect(await answers()).toBe(true);
    await eventually('the API server', async () =>
      (await lab.apply(JSON.stringify(deny))).status === 0 ? true : undefined,
    );
    await eventually('the refusal', async () => ((await answers()) ? undefined : true));
    await lab.kubectl('delete', 'authorizationpolicy', 'nobody', '-n', 'traffic');
    await eventually('the answer', async () => ((await answers()) ? true : undefined));
  }, 90_000);

  test('a node proxy that starts while the control plane stands still lets nothing pass, says why, and serves when it is back', async () => {
    const host = await fieldOf('service', 'server', '.spec.clusterIP');
    const address = await fieldOf('pod', 'server', '.status.podIP');
    const proxy = (await nodePods()).find(
      ({ spec, metadata }) => spec.nodeName === 'node2' && metadata.deletionTimestamp === undefined,
    );
    const fetchFrom = async (target: string) =>
      (await fromClient('curl', '-s', '-m', '2', `http://${target}:8080/`)).status;
    {
      using _muted = mute();
      const [pid] = lab.processes('role node', `POD_NAME=${proxy?.metadata.name}`);
      process.kill(pid as number, 'SIGKILL');
      const reason = await eventually('the new one', async () => {
        const text = await readiness('node2');
        return text.startsWith('not ready: nothing from the control plane yet') ? text : undefined;
      });
      expect(reason).toMatch(/yet: .+/);
      expect(await fetchFrom(host)).not.toBe(0);
      expect(await fetchFrom(address)).not.toBe(0);
    }
    await eventually('the answer', async () => ((await fetchFrom(host)) === 0 ? true : undefined));
    await eventually('readiness', async () =>
      (await readiness('node2')) === 'ready' ? true : undefined,
    );
  }, 60_000);
});
