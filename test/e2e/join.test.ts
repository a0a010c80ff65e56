/**
 * A bare machine joins the lab: it is called by its service's names and calls pods, both with mutual TLS; STRICT and policy hold both
 * ways; what is unhealthy gets nothing; what is not shared is never touched, also when the proxy is killed; it leaves nothing behind.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { API_SERVER, BareMachine, type JoinProcess } from '#test/support/bare-machine.ts';
import { eventually, missingFor, ROOT, run, startLab, type TestLab } from '#test/support/lab.ts';

const PROGRAMS = ['ip', 'nft', 'unshare', 'nsenter', 'kubectl', 'curl'];
/** It takes a second or two; on a machine that is busy with other things, more. */
const WAIT_MS = 60_000;
const skip = missingFor({ programs: PROGRAMS, root: true });

const pod = (namespace: string, name: string, rest: string) => `apiVersion: v1
kind: ServiceAccount
metadata: { name: ${name}, namespace: ${namespace} }
---
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: ${name} } }
spec:
  serviceAccountName: ${name}
  containers: [{ name: ${name}, ${rest} }]
---
`;
const CLIENT = 'image: host, command: [sleep, "600"]';

const OBJECTS = `apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Namespace
metadata: { name: legacy }
---
${pod('shop', 'web', CLIENT)}${pod('legacy', 'visitor', CLIENT)}${pod('shop', 'api', 'image: tulle/sample-http')}
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec: { selector: { app: api }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: billing, namespace: shop }
spec: { selector: { app: billing }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: billing, namespace: shop }
spec:
  hosts: [billing.example]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }]
  workloadSelector: { labels: { app: billing } }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: billing, namespace: shop }
---
apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: { name: billing, namespace: shop }
spec:
  metadata: { labels: { app: billing } }
  template: { serviceAccount: billing, ports: { http: 8080 } }
  probe: { periodSeconds: 1, failureThreshold: 1, httpGet: { path: /, port: 8080 } }
`;

const STRICT = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: { name: default, namespace: shop }
spec: { mtls: { mode: STRICT } }
`;
const only = (app: string, principal: string) => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${app}, namespace: shop }
spec:
  selector: { matchLabels: { app: ${app} } }
  rules: [{ from: [{ source: { principals: ["cluster.local/ns/shop/sa/${principal}"] } }] }]
`;

describe.skipIf(skip !== undefined)('a bare machine', () => {
  let lab: TestLab;
  let machine: BareMachine;
  let joined: JoinProcess;

  beforeAll(async () => {
    lab = await startLab(['--nodes', '1']);
    expect((await lab.apply(OBJECTS)).stderr).toBe('');
    const config = readFileSync(lab.kubeconfig, 'utf8');
    const kubeconfig = config.replace(/"server": *"[^"]*"/, `"server":"${API_SERVER}"`);
    const enter = lab.onFabric;
    machine = new BareMachine({ enter, bridge: 'fabric', kubeconfig, host: 200, nodes: 1 });
    for (const [namespace, name] of [
      ['shop', 'web'],
      ['shop', 'api'],
      ['legacy', 'visitor'],
    ]) {
      const args = ['-n', namespace, '--for=condition=Ready', `pod/${name}`, '--timeout=60s'];
      expect((await lab.kubectl('wait', ...args)).status).toBe(0);
    }
  }, 90_000);
  afterAll(async () => {
    await machine?.[Symbol.asyncDispose]();
    await lab?.down();
  });

  const curlFrom = async (who: 'shop/web' | 'legacy/visitor', url: string) => {
    const [namespace, name] = who.split('/');
    const curl = ['curl', '-s', '-m', '3', '-w', '%{http_code}', url];
    return (await lab.tulle('exec', '-n', namespace, name, '--', ...curl)).stdout;
  };
  const entry = async () => {
    const args = ['get', 'workloadentry', '-n', 'shop', 'vm1', '-o', 'json'];
    const { stdout } = await lab.kubectl(...args);
    return stdout === '' ? undefined : JSON.parse(stdout);
  };
  const start = () => machine.join('-n', 'shop', '--group', 'billing', '--name', 'vm1');
  const becomes = (what: string, ask: () => Promise<boolean>) =>
    eventually(what, async () => (await ask()) || undefined, WAIT_MS).catch((error: unknown) => {
      throw new Error(`${error}\n${joined?.output()}`);
    });
  const answers = (who: 'shop/web' | 'legacy/visitor', url: string, wanted: string) =>
    becomes(`${wanted} for ${who} from ${url}`, async () =>
      (await curlFrom(who, url)).endsWith(wanted),
    );

  test(
    'joins: registered, captured, healthy, in that order',
    async () => {
      joined = start();
      await becomes('the joined machine', async () => joined.output().includes('healthy'));
      expect(joined.output()).toContain('identity spiffe://cluster.local/ns/shop/sa/billing');
      await becomes(
        'its condition',
        async () => (await entry())?.status?.conditions?.[0]?.status === 'True',
      );
      expect(await entry()).toMatchObject({
        metadata: {
          annotations: {
            'ambient.istio.io/redirection': 'enabled',
            'proxy.istio.io/health-checks-enabled': 'true',
            'istio.io/autoRegistrationGroup': 'billing',
          },
          labels: { app: 'billing' },
          ownerReferences: [{ kind: 'WorkloadGroup', name: 'billing' }],
        },
        spec: { address: machine.address, serviceAccount: 'billing', ports: { http: 8080 } },
      });
    },
    2 * WAIT_MS,
  );

  test(
    'is called by both of its names, and calls pods by theirs, under STRICT and policies of principals',
    async () => {
      expect(
        (await lab.apply(`${STRICT}---\n${only('billing', 'web')}---\n${only('api', 'billing')}`))
          .status,
      ).toBe(0);
      await answers('shop/web', 'http://billing/', '200');
      await answers('shop/web', 'http://billing.example/', '200');
      expect(await curlFrom('shop/web', 'http://billing/')).toContain('"service":"machine-8080"');
      // Only the machine's principal may call the pod; that of another pod may not.
      await becomes('the pod', async () =>
        (await machine.curl('http://api.shop.svc.cluster.local/')).endsWith('200'),
      );
      await answers('shop/web', 'http://api/', '000');
    },
    2 * WAIT_MS,
  );

  test(
    'refuses plaintext to what it shares, and nothing else',
    async () => {
      await answers('legacy/visitor', `http://${machine.address}:8080/`, '000');
      expect(await curlFrom('legacy/visitor', `http://${machine.address}:9090/`)).toEndWith('200');
      // A tunnel reaches no port that is not shared either.
      expect(await curlFrom('shop/web', `http://${machine.address}:9090/`)).toEndWith('000');
      // Lines are written a moment later, many at once.
      await becomes('the reason', async () =>
        joined.output().includes('not 9090: tulle join --port NAME=9090'),
      );
    },
    2 * WAIT_MS,
  );

  test(
    'gets nothing while its probe fails',
    async () => {
      await machine.curl('http://127.0.0.1:8080/_sample/fail?status=503');
      await becomes(
        'the unhealthy condition',
        async () => (await entry())?.status?.conditions?.[0]?.status === 'False',
      );
      // Refused by the client's proxy for want of an endpoint, not answered with 503 by the app.
      await answers('shop/web', 'http://billing/', '000');
      await machine.curl('http://127.0.0.1:8080/_sample/fail?off');
      await answers('shop/web', 'http://billing/', '200');
    },
    2 * WAIT_MS,
  );

  test(
    'puts its rules back when a firewall flushes them',
    async () => {
      machine.namespace.run('nft', 'flush', 'ruleset');
      await becomes('the repaired rules', async () =>
        machine.namespace.run('nft', 'list', 'tables').includes('tulle-machine'),
      );
      await answers('legacy/visitor', `http://${machine.address}:8080/`, '000');
      await becomes('the pod', async () =>
        (await machine.curl('http://api.shop.svc.cluster.local/')).endsWith('200'),
      );
    },
    2 * WAIT_MS,
  );

  test(
    'killed, it refuses what is for the mesh, and is reachable as ever; joining again makes it whole',
    async () => {
      joined.kill('SIGKILL');
      await joined.exited;
      expect(await curlFrom('legacy/visitor', `http://${machine.address}:9090/`)).toEndWith('200');
      expect(await curlFrom('legacy/visitor', `http://${machine.address}:8080/`)).toEndWith('000');
      const tables = machine.namespace.run('nft', 'list', 'tables');
      expect(tables).toContain('tulle-machine');
      // Else nobody on the machine could look up a name any more.
      expect(tables).not.toContain('tulle-machine-lookups');
      joined = start();
      await answers('shop/web', 'http://billing/', '200');
    },
    2 * WAIT_MS,
  );

  test(
    'leaves: the entry is gone, and nothing stays on the machine',
    async () => {
      joined.kill('SIGTERM');
      expect(await joined.exited).toBe(0);
      expect(await entry()).toBeUndefined();
      expect(machine.namespace.listing()).not.toMatch(/tulle|0x111|lookup 211|table 211/);
      expect(await curlFrom('legacy/visitor', `http://${machine.address}:8080/`)).toEndWith('200');
    },
    2 * WAIT_MS,
  );

  test(
    '--clean removes what a killed one left',
    async () => {
      joined = start();
      await becomes('the joined machine', async () => joined.output().includes('healthy'));
      joined.kill('SIGKILL');
      await joined.exited;
      expect((await machine.clean()).stdout).toBe('rules and routes are removed\n');
      expect(machine.namespace.listing()).not.toMatch(/tulle|0x111|lookup 211|table 211/);
      expect((await machine.clean()).stdout).toBe('nothing was left behind\n');
    },
    2 * WAIT_MS,
  );

  test('a node of the cluster is refused: its pods are in the mesh, and its kubelet is not to be', async () => {
    const node = `--net=${lab.podNamespace('node1')}`;
    const { status, stderr } = await run(['nsenter', node, join(ROOT, 'tulle'), 'join', '--clean']);
    expect(status).toBe(3);
    expect(stderr).toContain('this machine is a node whose pods are in the mesh');
  });
});
