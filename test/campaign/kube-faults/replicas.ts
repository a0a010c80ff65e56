/**
 * The two replicas of the control plane, one on each node: killed, moved away from, made blind. Who is connected to which is asked
 * of themselves, on their monitoring port.
 */
import type { KubeCluster } from '#test/kube/cluster.ts';
import { eventually } from '#test/support/lab.ts';

/** For what takes seconds on a quiet machine. */
export const WAIT_MS = 180_000;
export const WAIT_FLAG = `--timeout=${WAIT_MS / 1000}s`;
export const NODES = ['n1', 'n2'];
const ROLE = 'istiod-clusterrole-istio-system';
/** Our nftables table in a replica's network namespace. */
const TABLE = 'inet faults';
const TURN_AWAY = `table ${TABLE} {
  chain in {
    type filter hook input priority 0
    tcp dport 15012 reject with tcp reset
  }
}
`;
/** Added first, so that one that is not there is no failure. */
const LET_IN = `table ${TABLE} {}\ndelete table ${TABLE}\n`;

interface Rule {
  readonly apiGroups?: readonly string[];
}

export class Replicas {
  readonly #cluster: KubeCluster;
  /** Of the role, as they were installed. */
  #rules: readonly Rule[] | undefined;

  constructor(cluster: KubeCluster) {
    this.#cluster = cluster;
  }

  async areReady(): Promise<void> {
    await this.#kubectl(
      ...['rollout', 'status', '-n', 'istio-system', 'deployment/istiod', WAIT_FLAG],
    );
  }

  async scale(replicas: number): Promise<void> {
    await this.#kubectl(
      ...['scale', '-n', 'istio-system', 'deployment/istiod', `--replicas=${replicas}`],
    );
  }

  /** The control plane process of the node, as the kernel does it when memory is short; resolves when another runs in its stead. */
  async kill(node: string): Promise<void> {
    const before = await this.#container(node);
    await this.#inNode(node, ['kill', '-KILL', await this.#pid(node)]);
    await eventually(
      'the kubelet to have seen it',
      async () => (await this.#container(node)) !== before || undefined,
      WAIT_MS,
    );
  }

  /** To everything of the API group. */
  async takeRights(group: string): Promise<void> {
    const { rules } = JSON.parse(await this.#kubectl('get', 'clusterrole', ROLE, '-o', 'json')) as {
      rules: Rule[];
    };
    this.#rules ??= rules;
    const without = rules.map(({ apiGroups = [], ...rule }) => ({
      ...rule,
      apiGroups: apiGroups.filter((each) => each !== group),
    }));
    await this.#setRules(without.filter(({ apiGroups }) => apiGroups.length > 0));
  }

  async giveRightsBack(): Promise<void> {
    if (this.#rules !== undefined) await this.#setRules(this.#rules);
  }

  /** Every proxy leaves the replica of the node for the other one, and cannot come back. */
  async turnAway(node: string): Promise<void> {
    await this.#inPod(node, ['nft', '-f', '-'], TURN_AWAY);
    await this.#inPod(node, ['ss', '-K', '-t', 'sport', '=', ':15012']);
    await eventually(
      `the proxies to leave the replica on ${node}`,
      async () => {
        const counts = await Promise.all(NODES.map((each) => this.connected(each)));
        const here = counts[NODES.indexOf(node)];
        return (here === 0 && Math.max(...counts) >= NODES.length) || undefined;
      },
      WAIT_MS,
    );
  }

  async letIn(node: string): Promise<void> {
    await this.#inPod(node, ['nft', '-f', '-'], LET_IN);
  }

  /** Its connections to the API server break: what it may not read it follows no more. */
  async loseApi(node: string): Promise<void> {
    await this.#inPod(node, ['ss', '-K', '-t', 'dport', '=', ':443']);
  }

  /** Resolves when the replica says that it cannot follow so many kinds. */
  async lacks(node: string, kinds: number): Promise<void> {
    await eventually(
      `the replica on ${node} to lack ${kinds} kinds`,
      async () => {
        const metrics = await this.#monitoring(node, '/metrics');
        const lacking = /^tulle_kube_kinds_unfollowed (\d+)/m.exec(metrics)?.[1];
        return lacking === String(kinds) || undefined;
      },
      WAIT_MS,
    );
  }

  /** How many node proxies are connected to the replica of the node. */
  async connected(node: string): Promise<number> {
    const streams = JSON.parse((await this.#monitoring(node, '/streams')) || '[]') as {
      type: string;
    }[];
    return streams.filter(({ type }) => type === 'ztunnel').length;
  }

  async restore(): Promise<void> {
    const installed = await this.#cluster.kubectl(['get', 'clusterrole', ROLE]);
    if (installed.code !== 0) return;
    await this.giveRightsBack();
    await this.scale(NODES.length);
    await this.areReady();
    for (const node of NODES) await this.letIn(node);
  }

  /** For a failure: what each replica says of itself and its proxies. */
  async describe(): Promise<string> {
    const of = async (node: string) => {
      const [ready, streams, metrics] = await Promise.all(
        ['/ready', '/streams', '/metrics'].map((path) => this.#monitoring(node, path)),
      );
      const lacking = /^tulle_kube_kinds_unfollowed .*/m.exec(metrics)?.[0];
      return [`replica on ${node}: ${ready.trim()}`, lacking, streams].join('\n  ');
    };
    return (await Promise.all(NODES.map(of))).join('\n');
  }

  /** Empty when it does not answer. */
  async #monitoring(node: string, path: string): Promise<string> {
    const ip = await this.#field(node, '{.items[*].status.podIP}');
    const words = ['curl', '-s', '--max-time', '5', `http://${ip}:15014${path}`];
    return (await this.#cluster.inControlPlane(words)).stdout;
  }

  #container(node: string): Promise<string> {
    return this.#field(node, '{.items[*].status.containerStatuses[*].containerID}');
  }

  #field(node: string, path: string): Promise<string> {
    return this.#kubectl(
      ...['get', 'pods', '-n', 'istio-system', '-l', 'app=istiod'],
      ...[`--field-selector=spec.nodeName=${node}`, '-o', `jsonpath=${path}`],
    );
  }

  async #setRules(rules: readonly Rule[]): Promise<void> {
    const patch = JSON.stringify({ rules });
    await this.#kubectl('patch', 'clusterrole', ROLE, '--type=merge', '-p', patch);
  }

  /** Of the process in the node's namespace; it may just be started anew. */
  #pid(node: string): Promise<string> {
    return eventually(
      `a control plane process on ${node}`,
      async () => {
        const words = ['pgrep', '-f', 'tulle role control'];
        const { stdout } = await this.#cluster.inNode(node, words);
        const pids = stdout.trim().split('\n').filter(Boolean);
        return pids.length === 1 ? pids[0] : undefined;
      },
      WAIT_MS,
    );
  }

  async #inPod(node: string, words: readonly string[], input = ''): Promise<void> {
    const pid = await this.#pid(node);
    await this.#inNode(node, ['nsenter', `--net=/proc/${pid}/ns/net`, ...words], input);
  }

  async #inNode(node: string, words: readonly string[], input = ''): Promise<void> {
    const { code, stdout, stderr } = await this.#cluster.inNode(node, words, { input });
    if (code !== 0) throw new Error(`${node}: ${words.join(' ')}: ${stderr || stdout}`);
  }

  async #kubectl(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#cluster.kubectl(args);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}
