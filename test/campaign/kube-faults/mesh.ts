/**
 * A small mesh on a test cluster for faults: a server on each node, a client that asks them without pause, and what is done to
 * the cluster's own parts. Everything is STRICT, so plaintext that gets through is a fault that failed open.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CustomResourceDefinition } from '#crds/builtin-crds.ts';
import { APP_IMAGE, type KubeCluster } from '#test/kube/cluster.ts';
import { type CommandResult, eventually, ROOT, run } from '#test/support/lab.ts';
import { Replicas, WAIT_FLAG, WAIT_MS } from './replicas.ts';

export const POLICIES = 'authorizationpolicies.security.istio.io';
const ETCD = 'http://127.0.0.1:2379/v3/kv';
const CRDS = join(ROOT, 'chart/crds');
/** Each is asked of both servers: what is taken from a proxy is taken within a moment of its coming to another replica. */
const STILL_ROUNDS = 5;
const PASSED = /: 200 /;
const MADE_BY = 'tulle.dev/made-by-version';

const container = (...command: string[]) => ({
  name: 'app',
  image: APP_IMAGE,
  imagePullPolicy: 'Never',
  command,
});
const serving = {
  ...container('app', 'http', ':8080'),
  readinessProbe: { httpGet: { path: '/', port: 8080 }, periodSeconds: 1 },
};
/** Says each request that fails; how many there were stands in a file. */
const LOOP =
  'i=0; while :; do app get http://web/load >/tmp/said || { echo "failed: $(cat /tmp/said)"; }; i=$((i+1)); echo $i >/tmp/count; done';

const pod = (name: string, spec: object, labels: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', labels },
  spec: { terminationGracePeriodSeconds: 1, ...spec },
});
const NAMESPACE = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'istio.io/dataplane-mode': 'ambient' } },
};
const STRICT = {
  apiVersion: 'security.istio.io/v1',
  kind: 'PeerAuthentication',
  metadata: { name: 'default', namespace: 'shop' },
  spec: { mtls: { mode: 'STRICT' } },
};
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'web', namespace: 'shop' },
  spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
};
const PODS = [
  ...['n1', 'n2'].map((nodeName) =>
    pod(`web-${nodeName}`, { nodeName, containers: [serving] }, { app: 'web' }),
  ),
  pod('client', { nodeName: 'n1', containers: [container('sh', '-c', LOOP)] }, { app: 'client' }),
];

/** Nobody reaches the servers. */
export const DENY = policy('shut', { app: 'web' }, [{ to: [{ operation: { ports: ['8080'] } }] }]);

export function policy(name: string, matchLabels: Record<string, string>, rules: object[]) {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'shop' },
    spec: { selector: { matchLabels }, action: 'DENY', rules },
  };
}

export class FaultyMesh {
  readonly cluster: KubeCluster;
  readonly replicas: Replicas;

  constructor(cluster: KubeCluster) {
    this.cluster = cluster;
    this.replicas = new Replicas(cluster);
  }

  tulle(...args: string[]): Promise<CommandResult> {
    return run([join(ROOT, 'tulle'), ...args], { env: { KUBECONFIG: this.cluster.kubeconfig } });
  }

  async kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  async tryApply(...objects: object[]) {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    return this.cluster.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], {
      input,
    });
  }

  async apply(...objects: object[]): Promise<void> {
    const { code, stderr } = await this.tryApply(...objects);
    if (code !== 0) throw new Error(stderr);
  }

  /** Served and captured, everything over mutual TLS. */
  async openShop(): Promise<void> {
    await this.apply(NAMESPACE);
    await this.apply(STRICT, SERVICE, ...PODS);
    await this.kubectl(
      ...['wait', '-n', 'shop', '--for=condition=Ready', WAIT_FLAG, 'pod', '--all'],
    );
    await this.open();
  }

  /** The client is answered by both servers, and nobody is without mutual TLS. */
  async open(): Promise<void> {
    const hosts = new Set<string>();
    await eventually(
      'answers of both servers',
      async () => {
        const host = /^200 host=(\S+)/.exec(await this.#ask('http://web/'))?.[1];
        if (host !== undefined) hosts.add(host);
        return hosts.size === 2 || undefined;
      },
      WAIT_MS,
    );
    await this.noPlaintext();
  }

  /** Both servers refuse: each node's proxy has the policy. */
  async shut(): Promise<void> {
    let last: string[] = [];
    await eventually(
      'both servers to refuse',
      async () => {
        last = await this.#answers();
        return last.every((answer) => !PASSED.test(answer)) || undefined;
      },
      WAIT_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; last:\n${last.join('\n')}`);
    });
  }

  /** DENY is in force, and has been: no request of several passes. */
  async stillShut(): Promise<void> {
    for (let round = 0; round < STILL_ROUNDS; round++) {
      const answers = await this.#answers();
      if (answers.some((answer) => PASSED.test(answer)))
        throw new Error(
          `a request passes that a policy denies:\n${answers.join('\n')}\n${await this.replicas.describe()}`,
        );
    }
  }

  /** What each server says when it is asked by itself, behind its name. */
  async #answers(): Promise<string[]> {
    const path = 'jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\\n"}{end}';
    const pods = await this.kubectl('get', 'pods', '-n', 'shop', '-l', 'app=web', '-o', path);
    const servers = pods.trim().split('\n');
    if (servers.length !== 2) throw new Error(`not two servers: ${pods}`);
    return Promise.all(
      servers.map(async (server) => {
        const [name, ip] = server.split(' ');
        return `${name}: ${await this.#ask(`http://${ip}:8080/`)}`;
      }),
    );
  }

  /** What the client was told. That it could not be asked is no answer. */
  #ask(url: string): Promise<string> {
    let last = '';
    return eventually(
      'an answer of the client',
      async () => {
        const words = ['exec', '-n', 'shop', 'client', '--', 'app', 'get', url];
        const { stdout, stderr } = await this.cluster.kubectl(words);
        last = stderr.trim();
        return stdout.trim() || undefined;
      },
      WAIT_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}; last: ${last}`);
    });
  }

  async noPlaintext(): Promise<void> {
    const path = 'jsonpath={.items[*].status.podIP}';
    const addresses = await this.kubectl('get', 'pods', '-n', 'shop', '-l', 'app=web', '-o', path);
    for (const address of addresses.split(' ')) {
      const words = ['curl', '-s', '--max-time', '3', `http://${address}:8080/`];
      const { stdout } = await this.cluster.inControlPlane(words);
      if (stdout.startsWith('host=')) throw new Error(`${address} answers without mutual TLS`);
    }
  }

  /** What the client lost while the work ran; it asked at least once. */
  async lostDuring(work: () => Promise<unknown>): Promise<string[]> {
    const before = await this.#lost();
    const count = await this.#asked();
    await work();
    await eventually(
      'a further request',
      async () => (await this.#asked()) > count || undefined,
      WAIT_MS,
    );
    return (await this.#lost()).slice(before.length);
  }

  async #lost(): Promise<string[]> {
    const log = await this.kubectl('logs', '-n', 'shop', 'client');
    return log.split('\n').filter((line) => line !== '');
  }

  async #asked(): Promise<number> {
    const count = ['exec', '-n', 'shop', 'client', '--', 'cat', '/tmp/count'];
    return Number(await this.kubectl(...count));
  }

  async stopApi(): Promise<void> {
    await this.cluster.killPart('kube-apiserver');
  }

  async startApi(): Promise<void> {
    await this.cluster.startPart('kube-apiserver');
    await this.#apiAnswers();
  }

  async #apiAnswers(): Promise<void> {
    await eventually(
      'the API server',
      async () => (await this.cluster.kubectl(['get', '--raw', '/readyz'])).code === 0 || undefined,
      WAIT_MS,
    );
  }

  /**
   * Kubernetes' own parts do not see that a database went back, and want to be started anew after it
   * (kubernetes.io/docs/tasks/administer-cluster/configure-upgrade-etcd); the mesh's do.
   */
  async restartOthers(): Promise<void> {
    const others = /kube-(controller-manager|scheduler|proxy)$|kubelet$|coredns$/;
    const names = (await this.cluster.parts()).map(({ name }) => name);
    await Promise.all(
      names
        .filter((name) => others.test(name))
        .map(async (name) => {
          await this.cluster.killPart(name);
          await this.cluster.startPart(name);
        }),
    );
  }

  /** Versions before now are forgotten: who watches from one of them is answered 410 Gone. */
  async forgetVersions(): Promise<void> {
    const ask = async (path: string, body: object) => {
      const words = ['curl', '-sf', `${ETCD}/${path}`, '-d', JSON.stringify(body)];
      const { code, stdout, stderr } = await this.cluster.inControlPlane(words);
      if (code !== 0) throw new Error(`etcd ${path}: ${code} ${stderr}`);
      return JSON.parse(stdout) as { header: { revision: string } };
    };
    const { header } = await ask('range', { key: 'AA==', limit: '1' });
    await ask('compaction', { revision: header.revision, physical: true });
  }

  /**
   * Puts back what a case has changed, whatever state it left: parts run, rights are whole, two replicas serve, nothing is denied.
   * So a case that fails is the only one that does.
   */
  async restore(): Promise<void> {
    for (const { name, state } of await this.cluster.parts())
      if (state !== 'running') await this.cluster.startPart(name);
    await this.#apiAnswers();
    await this.replicas.restore();
    const shop = await this.cluster.kubectl(['get', 'namespace', 'shop']);
    if (shop.code !== 0) return;
    await this.kubectl('delete', POLICIES, '--all', '-n', 'shop');
    await this.kubectl(
      ...['wait', '-n', 'shop', '--for=condition=Ready', WAIT_FLAG, 'pod', '--all'],
    );
    await this.open();
  }
}

/** The definitions of a chart of others: Istio's, or a Gateway API bundle of the version. */
export function foreignCrds(
  pattern: RegExp,
  annotations: Record<string, string> = {},
): CustomResourceDefinition[] {
  const names = readdirSync(CRDS).filter((name) => pattern.test(name));
  return names.map((name) => {
    const text = readFileSync(join(CRDS, name), 'utf8').replace(/^#.*\n/, '');
    const crd = JSON.parse(text) as CustomResourceDefinition;
    const kept = { ...crd.metadata.annotations, ...annotations };
    delete kept[MADE_BY];
    return { ...crd, metadata: { name: crd.metadata.name, annotations: kept } };
  });
}
