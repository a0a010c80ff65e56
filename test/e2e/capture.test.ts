/**
 * Capture in a lab, with its kubelets, its API and a control plane that may be late: nothing answers in plaintext that must
 * not, from the first moment of a pod on; first processes reach the network; the host network stays as it is.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { sleep, systemClock } from '#base/clock.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { eventually, missingFor, startLab, type TestLab } from '#test/support/lab.ts';
import { dial } from '#test/support/talk.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'kubectl', 'curl'];
const skip = missingFor({ programs: PROGRAMS, root: true }) !== undefined;
/** How long a pod that is up without a control plane is hammered. */
const LATE_MS = 3_000;

const BASE = `
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Namespace
metadata: { name: legacy }
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
---
apiVersion: v1
kind: Pod
metadata: { name: visitor, namespace: legacy }
spec: { containers: [{ name: sh, image: host, command: [sleep, infinity] }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client, namespace: shop }
spec: { containers: [{ name: sh, image: host, command: [sleep, infinity] }] }
---
${sample('api')}
---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { selector: { app: api }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`;

function sample(name: string): string {
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${name} } }
spec:
  containers:
    - name: app
      image: tulle/sample-http
      ports: [{ containerPort: 8080 }]`;
}

describe.skipIf(skip)('capture in a lab', () => {
  let lab: TestLab;
  let visitor: NetworkNamespace;

  beforeAll(async () => {
    lab = await startLab([]);
    expect((await lab.apply(BASE)).status).toBe(0);
    for (const [namespace, name] of [
      ['legacy', 'visitor'],
      ['shop', 'client'],
      ['shop', 'api'],
    ] as const) {
      await ready(namespace, name);
    }
    await reported('api', 'enabled');
    visitor = openNamespace(lab.podNamespace(await field('legacy', 'visitor', 'metadata.uid')));
  }, 90_000);

  afterAll(async () => {
    visitor?.close();
    await lab?.down();
  });

  const field = async (namespace: string, name: string, path: string) =>
    (await lab.kubectl('get', 'pod', '-n', namespace, name, '-o', `jsonpath={.${path}}`)).stdout;
  const ready = async (namespace: string, name: string) => {
    const wait = ['wait', `pod/${name}`, '--for=condition=Ready', '--timeout=60s'];
    const { status, stderr } = await lab.kubectl(...wait, '-n', namespace);
    if (status !== 0) throw new Error(`${namespace}/${name} is not ready: ${stderr}`);
  };
  const reported = (name: string, value: string) =>
    eventually(`${name} ${value}`, async () =>
      (await field('shop', name, 'metadata.annotations.ambient\\.istio\\.io/redirection')) === value
        ? true
        : undefined,
    );
  /** Plain HTTP from outside the mesh: whether anything came back. */
  const isAnswered = async (address: string): Promise<boolean> => {
    try {
      const talk = await dial(visitor, { address, port: 8080 }, { connectTimeoutMs: 200 });
      talk.send('GET / HTTP/1.1\r\nhost: api\r\nconnection: close\r\n\r\n');
      await talk.closed;
      return talk.receivedBytes > 0;
    } catch {
      // Refused, or nobody has the address yet.
      return false;
    }
  };
  const fromMesh = (url: string) =>
    lab.kubectl('exec', '-n', 'shop', 'client', '--', 'curl', '-s', '-m', '10', url);

  test('a new pod answers nobody in plaintext from its first moment, while the control plane is late', async () => {
    // The next pod gets one of the next addresses of one of the nodes.
    const taken = (
      await lab.kubectl('get', 'pods', '-A', '-o', 'jsonpath={.items[*].status.podIP}')
    ).stdout;
    const candidates = [1, 2].flatMap((node) =>
      Array.from({ length: 12 }, (_, index) => `198.18.${node}.${index + 2}`),
    );
    const free = candidates.filter((address) => !taken.split(' ').includes(address));
    let hammering = true;
    let attempts = 0;
    const answered = new Set<string>();
    const hammers = free.map(async (address) => {
      while (hammering) {
        attempts++;
        if (await isAnswered(address)) answered.add(address);
        await sleep(systemClock, 1);
      }
    });
    const control = lab.processes('role control');
    expect(control).not.toEqual([]);
    for (const pid of control) process.kill(pid, 'SIGSTOP');
    try {
      expect((await lab.apply(sample('secret'))).status).toBe(0);
      await ready('shop', 'secret');
      expect(free).toContain(await field('shop', 'secret', 'status.podIP'));
      await reported('secret', 'pending');
      await sleep(systemClock, LATE_MS);
      await reported('secret', 'pending');
    } finally {
      for (const pid of control) process.kill(pid, 'SIGCONT');
    }
    await reported('secret', 'enabled');
    const address = await field('shop', 'secret', 'status.podIP');
    const before = attempts;
    await eventually('more attempts', async () => (attempts > before + 200 ? true : undefined));
    hammering = false;
    await Promise.all(hammers);
    expect([...answered]).toEqual([]);
    // It does answer who proves an identity.
    const { stdout } = await fromMesh(`http://${address}:8080/`);
    expect(JSON.parse(stdout)).toMatchObject({ remoteAddress: expect.any(String) });
  }, 60_000);

  test('the first process of a pod, an init container, reaches a service that demands mutual TLS at its first try', async () => {
    const manifest = `apiVersion: v1
kind: Pod
metadata: { name: early, namespace: shop }
spec:
  restartPolicy: Never
  initContainers:
    - name: first
      image: host
      command: [curl, -sf, -m, "10", http://api/]
  containers: [{ name: sh, image: host, command: ["true"] }]`;
    expect((await lab.apply(manifest)).status).toBe(0);
    await eventually('the end of the pod', async () =>
      (await field('shop', 'early', 'status.phase')) === 'Succeeded' ? true : undefined,
    );
    expect(await field('shop', 'early', 'status.initContainerStatuses[0].restartCount')).toBe('0');
  }, 120_000);

  test('a pod on the host network is not captured, and its node keeps no rule of capture', async () => {
    const manifest = `apiVersion: v1
kind: Pod
metadata: { name: host, namespace: shop }
spec:
  hostNetwork: true
  containers: [{ name: sh, image: host, command: [sleep, infinity] }]`;
    expect((await lab.apply(manifest)).status).toBe(0);
    await ready('shop', 'host');
    const node = await field('shop', 'host', 'spec.nodeName');
    const [program = '', ...words] = lab.onNode(node, ['nft', 'list', 'tables']);
    const tables = Bun.spawnSync([program, ...words]).stdout.toString();
    expect(tables).toContain('istio-ambient-probes');
    expect(tables).not.toContain('istio-ambient-nat');
    expect(await field('shop', 'host', 'metadata.annotations')).not.toContain('redirection');
  });

  test('a pod that opts out is plain again and keeps its connections; one that opts in is captured', async () => {
    const address = await field('shop', 'api', 'status.podIP');
    expect(await isAnswered(address)).toBe(false);
    const label = (value: string) =>
      lab.kubectl(
        'label',
        'pod',
        'api',
        '-n',
        'shop',
        '--overwrite',
        `istio.io/dataplane-mode${value}`,
      );
    expect((await label('=none')).status).toBe(0);
    await eventually('plain', async () => ((await isAnswered(address)) ? true : undefined));
    await reported('api', '');
    // A connection of the mesh goes on to reach it, in plaintext now.
    expect((await fromMesh('http://api/')).stdout).toContain('remoteAddress');
    expect((await label('-')).status).toBe(0);
    await reported('api', 'enabled');
    await eventually('refused', async () => ((await isAnswered(address)) ? undefined : true));
    expect((await fromMesh('http://api/')).stdout).toContain('remoteAddress');
  }, 120_000);
});
