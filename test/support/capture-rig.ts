/**
 * A node in a network namespace with pods in namespaces of their own, and the real capture agent with real rules,
 * listeners and mutual TLS in this process. What a control plane would do is played here: it tells the proxies about
 * a pod as soon as it knows it, and that the pod speaks HBONE once it is reported captured. Needs root.
 */
import { silentLogger } from '#base/log.ts';
import type { Authorization } from '#model/authorization/authorization.ts';
import { formatPrincipal, type Principal } from '#model/identity/spiffe.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { CaptureAgent } from '#node/agent/capture-agent.ts';
import type { CaptureRequest, CaptureTimes, RedirectionReport } from '#node/agent/captured-pod.ts';
import { NamespaceFinder } from '#node/agent/namespace-finder.ts';
import { type Assembly, assembleNode } from '#node/assemble.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import { staticIdentities } from '#node/config/static-identities.ts';
import { MeshSnapshot } from '#node/state/mesh-snapshot.ts';
import { startReconciler } from '#redirect/reconcile.ts';
import { DEFAULT_RULES, type RuleOptions } from '#redirect/rules.ts';
import { createTestCa } from './certificates.ts';
import { run } from './lab.ts';
import { TestNamespace } from './namespaces.ts';

const TRUST_DOMAIN = 'cluster.local';
const NAMESPACE = 'shop';
const GATEWAY_IPV4 = '198.18.255.254';
const GATEWAY_IPV6 = '2001:2::ffff:1';
const PUSH_DELAY_MS = 10;
const PRINCIPAL = formatPrincipal({
  trustDomain: TRUST_DOMAIN,
  namespace: NAMESPACE,
  serviceAccount: 'default',
});

export interface RigOptions {
  times?: Partial<CaptureTimes>;
  /** Until `deliver` nobody has a certificate and nothing is known about any pod. */
  lateControlPlane?: boolean;
  /** Data workers besides the main thread. */
  workers?: number;
  /** Hears of every report, too. */
  onReport?: (request: CaptureRequest, value: RedirectionReport) => void;
}

export class RigPod implements Disposable {
  readonly name: string;
  readonly uid: string;
  readonly namespace: TestNamespace;
  readonly ipv4: string;
  readonly ipv6: string;
  /** Every value that was reported, in order. */
  readonly reports: RedirectionReport[] = [];
  /** The other proxies have heard that it is captured. */
  announced = false;

  constructor(index: number) {
    this.name = `pod-${index}`;
    this.namespace = new TestNamespace(this.name);
    // So that the namespace is where one that is known by its uid alone is looked for.
    this.uid = this.namespace.name;
    this.ipv4 = `198.18.${index >> 8}.${(index & 255) + 1}`;
    this.ipv6 = `2001:2::1:${index.toString(16)}`;
  }

  get captured(): boolean {
    return this.reports.at(-1) === 'enabled';
  }

  request(options: Partial<RuleOptions> = {}, isNew = false): CaptureRequest {
    return {
      uid: this.uid,
      namespace: NAMESPACE,
      name: this.name,
      serviceAccount: 'default',
      netnsPath: this.namespace.path,
      options: { ...DEFAULT_RULES, ...options },
      isNew,
      wasCaptured: false,
    };
  }

  [Symbol.dispose](): void {
    this.namespace[Symbol.dispose]();
  }
}

export class CaptureRig implements AsyncDisposable {
  readonly node = new TestNamespace('node');
  agent: CaptureAgent;
  readonly assembly: Assembly;
  readonly repairs: string[] = [];
  /** Names of pods that could not be captured several times in a row. */
  readonly failures: string[] = [];
  logs = '';
  readonly #pods: RigPod[] = [];
  readonly #identity: TlsIdentity;
  readonly #identities: ReturnType<typeof waitingIdentities>;
  readonly #stopReconciler;
  readonly #times: CaptureTimes;
  readonly #onReport: RigOptions['onReport'];
  #authorizations: readonly Authorization[] = [];
  #delivers: boolean;
  #publishing = false;

  static async start(options: RigOptions = {}): Promise<CaptureRig> {
    const authority = await createTestCa();
    return new CaptureRig(await authority.issue(PRINCIPAL), options);
  }

  private constructor(identity: TlsIdentity, options: RigOptions) {
    this.#identity = identity;
    this.#identities = waitingIdentities();
    this.#delivers = options.lateControlPlane !== true;
    if (this.#delivers) this.#identities.set(PRINCIPAL, identity);
    this.assembly = assembleNode({
      log: silentLogger,
      identities: this.#identities,
      trustDomain: TRUST_DOMAIN,
      logFormat: 'text',
      workers: options.workers,
      write: (text) => {
        this.logs += text;
        return true;
      },
    });
    this.#onReport = options.onReport;
    this.#times = { settleMs: 50, drainMs: 10_000, ...options.times };
    this.agent = this.#newAgent();
    this.#stopReconciler = startReconciler({
      clock: this.assembly.context.clock,
      log: silentLogger,
      watched: () => this.agent.watched,
      onRepair: (what) => this.repairs.push(what),
    });
    this.node.run(
      'sh',
      '-c',
      `echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding;
       ip address add ${GATEWAY_IPV4}/32 dev lo`,
    );
  }

  /** As a proxy that dies and is started again: rules stay, listeners go. */
  restartAgent(): void {
    this.agent.stop('it is started again');
    this.agent = this.#newAgent();
  }

  /** A proxy that is started beside the running one; `agent` is the new one. */
  addGeneration(): void {
    this.agent = this.#newAgent();
  }

  /** Pods with an address of each family, reachable from the node and from each other. */
  async addPods(count: number): Promise<RigPod[]> {
    const first = this.#pods.length;
    const pods = Array.from({ length: count }, (_, index) => new RigPod(first + index));
    this.#pods.push(...pods);
    await batch(this.node, pods.flatMap(nodeLines));
    await Promise.all(pods.map((pod) => batch(pod.namespace, podLines(pod))));
    this.publish();
    return pods;
  }

  async addPod(): Promise<RigPod> {
    const [pod] = await this.addPods(1);
    return pod;
  }

  setAuthorizations(authorizations: readonly Authorization[]): void {
    this.#authorizations = authorizations;
    this.publish();
  }

  /** The late control plane comes. */
  deliver(): void {
    this.#delivers = true;
    this.#identities.set(PRINCIPAL, this.#identity);
    this.publish();
  }

  publish(): void {
    if (!this.#delivers) return;
    const { state } = this.assembly.context;
    for (const pod of this.#pods) pod.announced = pod.captured;
    const addresses = this.#pods.map(({ name, ipv4, ipv6, captured }) => ({
      kind: 'workload' as const,
      workload: completeWorkload(
        {
          name,
          namespace: NAMESPACE,
          addresses: [ipv4, ipv6],
          protocol: captured ? 'hbone' : 'none',
        },
        TRUST_DOMAIN,
      ),
    }));
    const version = state.current.version + 1;
    state.replace(new MeshSnapshot({ version, addresses, authorizations: this.#authorizations }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopReconciler();
    this.agent.stop('the test is over');
    this.assembly.context.pool.close();
    this.assembly.context.workers?.stop();
    for (const pod of this.#pods) pod[Symbol.dispose]();
    this.node[Symbol.dispose]();
  }

  #newAgent(): CaptureAgent {
    const { context } = this.assembly;
    const namespaces = new NamespaceFinder(context.clock, { netnsDir: '/run/netns' });
    return new CaptureAgent(
      context,
      {
        report: (request, value) => this.#reported(request, value),
        failed: ({ name }) => this.failures.push(name),
      },
      {
        times: this.#times,
        node: this.node.handle,
        findNamespace: (uid) => namespaces.find(uid),
      },
    );
  }

  #reported(request: CaptureRequest, value: RedirectionReport): void {
    this.#pods.find(({ uid }) => uid === request.uid)?.reports.push(value);
    this.#onReport?.(request, value);
    // As a control plane: a little later, once for all that changed meanwhile.
    if (this.#publishing) return;
    this.#publishing = true;
    this.assembly.context.clock.after(PUSH_DELAY_MS, () => {
      this.#publishing = false;
      this.publish();
    });
  }
}

/** As a CA that answers late: who asks before there is a certificate waits for it. */
function waitingIdentities() {
  const known = new Map<Principal, TlsIdentity>();
  const store = staticIdentities(known);
  return {
    ...store,
    forget: () => undefined,
    whenReady: (principal: Principal) => {
      const identity = known.get(principal);
      if (identity !== undefined) return Promise.resolve(identity);
      const { promise, resolve } = Promise.withResolvers<TlsIdentity>();
      const stop = store.onRotate((of, issued) => {
        if (of !== principal) return;
        stop();
        resolve(issued);
      });
      return promise;
    },
  };
}

function nodeLines({ name, namespace, ipv4, ipv6 }: RigPod): string[] {
  return [
    `link add ${name} type veth peer name eth0 netns ${namespace.name}`,
    `link set ${name} up`,
    `address add ${GATEWAY_IPV6}/128 dev ${name} nodad`,
    `route add ${ipv4}/32 dev ${name} src ${GATEWAY_IPV4}`,
    `route add ${ipv6}/128 dev ${name} src ${GATEWAY_IPV6}`,
  ];
}

function podLines({ ipv4, ipv6 }: RigPod): string[] {
  return [
    `address add ${ipv4}/32 dev eth0`,
    `address add ${ipv6}/128 dev eth0 nodad`,
    'link set eth0 up',
    `route add ${GATEWAY_IPV4} dev eth0 scope link`,
    `route add default via ${GATEWAY_IPV4}`,
    `route add ${GATEWAY_IPV6} dev eth0`,
    `route add default via ${GATEWAY_IPV6} dev eth0`,
  ];
}

async function batch(namespace: TestNamespace, lines: readonly string[]): Promise<void> {
  const done = await run(['ip', '-n', namespace.name, '-batch', '-'], { input: lines.join('\n') });
  if (done.status !== 0) throw new Error(`ip -batch: ${done.stderr}`);
}
