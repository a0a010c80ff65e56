/**
 * The config case: a control plane (a process of its own, on real sockets) between a simulated API server and simulated
 * proxies. How long from a change at the API server until the last proxy that it concerns has acknowledged it, alone and
 * under churn; what control holds, how long it takes to start and to bring a new proxy up to date.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { sleep, systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient } from '#xds/client/xds-client.ts';
import type { XdsNode } from '#xds/node.ts';
import { ADDRESS } from '#xds/resources/address.ts';
import { AUTHORIZATION } from '#xds/resources/authorization.ts';
import { ROUTE_TABLE } from '#xds/resources/route-table.ts';
import { TLS_MATERIAL } from '#xds/resources/tls-material.ts';
import { UPSTREAM } from '#xds/resources/upstream.ts';
import type { CaseOptions } from '../cases.ts';
import { emptyRow } from '../measure.ts';
import { peakMiBOf, usageOf } from '../process-usage.ts';
import type { BenchRow } from '../report.ts';
import { type BenchContext, noPart, type Subject, startProcess } from '../subjects/subject.ts';
import type { Change } from './api-server.ts';
import {
  type ClusterSize,
  LARGE,
  namespaceName,
  nodeName,
  podName,
  podStatus,
  policyName,
  policySpec,
  routeName,
  SMALL,
  serviceName,
  virtualServiceSpec,
  WAYPOINT,
} from './objects.ts';
import { markAddress, markText, SimulatedProxy } from './proxies.ts';

const NAME = 'config';
const PORTS = { api: 18_100, discovery: 18_101, monitoring: 18_102, console: 18_103 };
const READY_TIMEOUT_MS = 120_000;
/** A change that nobody acknowledged by then is lost; after an outage all is listed again first, on a busy machine slowly. */
const ACK_TIMEOUT_MS = 60_000;
/** Long enough that control finds nobody at the door. */
const OUTAGE_MS = 1_000;
const CHURN_PER_SECOND = 50;
/** Of the node proxies one in so many asks on demand, as an outside ztunnel may. */
const ON_DEMAND_EVERY = 5;

const NODE_TYPES = [ADDRESS, AUTHORIZATION];
const WAYPOINT_TYPES = [ADDRESS, TLS_MATERIAL, UPSTREAM, ROUTE_TABLE];

interface Plan {
  readonly size: ClusterSize;
  /** Of each kind, one after the other. */
  readonly changes: number;
  readonly churnSeconds: number;
  readonly newProxies: number;
  readonly settleMs: number;
}

const FULL_PLAN: Plan = {
  size: LARGE,
  changes: 40,
  churnSeconds: 15,
  newProxies: 5,
  settleMs: 20_000,
};
const SHORT_PLAN: Plan = { size: SMALL, changes: 3, churnSeconds: 1, newProxies: 1, settleMs: 0 };

export async function runConfig(
  context: BenchContext,
  subject: Subject,
  options: CaseOptions,
): Promise<BenchRow[]> {
  if (subject.capture !== 'own') throw noPart(subject, NAME);
  const isShort = options.settleMs === 0;
  const plan = isShort ? SHORT_PLAN : FULL_PLAN;
  const rows: BenchRow[] = [];
  if (!isShort) rows.push(await idleSmall(context, subject, plan));
  const bench = await ConfigBench.start(context, subject, plan);
  try {
    await bench.run();
  } finally {
    bench.stop();
  }
  return [...rows, ...bench.rows];
}

/** A control plane of a small cluster that nothing happens in. */
async function idleSmall(context: BenchContext, subject: Subject, plan: Plan): Promise<BenchRow> {
  const bench = await ConfigBench.start(context, subject, { ...plan, size: SMALL });
  await bench.connect();
  await sleep(systemClock, plan.settleMs);
  const row = bench.sample('idle, small cluster');
  bench.stop();
  for (const child of context.children.splice(0)) {
    child.kill('SIGKILL');
    await child.exited;
  }
  return row;
}

class ConfigBench {
  readonly rows: BenchRow[] = [];
  readonly #context: BenchContext;
  readonly #subject: Subject;
  readonly #plan: Plan;
  readonly #proxies: SimulatedProxy[] = [];
  /** By mark: the proxies that have not acknowledged it yet. */
  readonly #waiting = new Map<number, { proxies: Set<SimulatedProxy>; done: () => void }>();
  #pid = 0;
  #apiServer: Bun.Subprocess | undefined;
  #marks = 0;

  static async start(context: BenchContext, subject: Subject, plan: Plan): Promise<ConfigBench> {
    const bench = new ConfigBench(context, subject, plan);
    await bench.#start();
    return bench;
  }

  private constructor(context: BenchContext, subject: Subject, plan: Plan) {
    this.#context = context;
    this.#subject = subject;
    this.#plan = plan;
  }

  async run(): Promise<void> {
    const { changes, churnSeconds, settleMs, newProxies } = this.#plan;
    const started = systemClock.now();
    await this.connect();
    this.#note('all proxies at once, first sync', [systemClock.now() - started]);
    await this.#settled();
    await sleep(systemClock, settleMs);
    this.rows.push(this.sample('idle'));
    const fresh: number[] = [];
    for (let each = 0; each < newProxies; each++) fresh.push(await this.#newProxy(each));
    this.#note('a new node proxy, first sync', fresh);
    const kinds = {
      'pod change': 'pod',
      'weight change': 'weight',
      'policy change': 'policy',
    } as const;
    for (const [load, kind] of Object.entries(kinds)) await this.#oneByOne(load, kind, changes);
    await this.#churn(`churn, ${CHURN_PER_SECOND}/s`, churnSeconds);
    await this.#restored();
    this.rows.push({
      ...emptyRow(this.#target, 0, 'peak'),
      rssMiB: peakMiBOf(this.#pid),
    });
  }

  stop(): void {
    for (const proxy of this.#proxies) proxy.close();
  }

  sample(load: string): BenchRow {
    const { rssMiB, privateMiB } = usageOf([this.#pid]);
    return { ...emptyRow(this.#target, this.#proxies.length, load), rssMiB, privateMiB };
  }

  /** Node proxies of every node, one waypoint in each namespace that has one; resolves when all are in sync. */
  async connect(): Promise<void> {
    const { size } = this.#plan;
    for (let index = 0; index < size.nodes; index++) {
      const isOnDemand = index % ON_DEMAND_EVERY === 1;
      const service = `${namespaceName(0)}/${serviceName(0)}.${namespaceName(0)}.svc.cluster.local`;
      this.#add(ztunnelNode(`ztunnel-${index}`, nodeName(index)), {
        types: NODE_TYPES,
        onDemand: isOnDemand ? { [ADDRESS.typeUrl]: [service] } : {},
      });
    }
    for (let index = 0; index < size.waypoints; index++)
      this.#add(waypointNode(namespaceName(index)), { types: WAYPOINT_TYPES });
    await Promise.all(this.#proxies.map(({ synced }) => synced));
  }

  get #target() {
    return { case: NAME, subject: this.#subject, pids: [this.#pid] };
  }

  #add(
    node: XdsNode,
    {
      types,
      onDemand,
    }: { types: readonly { typeUrl: string }[]; onDemand?: Record<string, string[]> },
  ) {
    const endpoint = this.#endpoint(node);
    const typeUrls = types.map(({ typeUrl }) => typeUrl);
    const proxy = new SimulatedProxy({ endpoint, node, typeUrls, onDemand }, (from, mark) =>
      this.#onMark(from, mark),
    );
    this.#proxies.push(proxy);
  }

  #endpoint({ podName, podNamespace, metadata }: XdsNode) {
    const { directory } = this.#context;
    const tokenFile = join(directory, `token-${podNamespace}-${podName}`);
    writeFileSync(tokenFile, `bench:${podNamespace}:${metadata.SERVICE_ACCOUNT}:${podName}`);
    return {
      address: `127.0.0.1:${PORTS.discovery}`,
      serverName: 'istiod.istio-system.svc',
      rootFile: join(directory, 'root.pem'),
      tokenFile,
      clusterId: 'Kubernetes',
    };
  }

  async #start(): Promise<void> {
    const { size } = this.#plan;
    const context = this.#context;
    await this.#startApiServer();
    const kubeconfig = join(context.directory, 'kubeconfig.json');
    writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(`http://127.0.0.1:${PORTS.api}`)));
    const started = systemClock.now();
    const control = await startProcess(context, {
      name: `control-${size.namespaces}`,
      command: [
        join(import.meta.dir, '../../../tulle'),
        ...['role', 'control', '--kubeconfig', kubeconfig],
        ...['--discovery-listen', `127.0.0.1:${PORTS.discovery}`],
        ...['--monitoring-listen', `127.0.0.1:${PORTS.monitoring}`],
        ...['--console-listen', `127.0.0.1:${PORTS.console}`],
        ...['--log-level', 'warn'],
      ],
      port: PORTS.monitoring,
    });
    this.#pid = control.pid;
    await waitFor('control to be ready', READY_TIMEOUT_MS, () =>
      fetch(`http://127.0.0.1:${PORTS.monitoring}/ready`).then(
        (answer) => answer.ok,
        () => false,
      ),
    );
    this.#note('start to ready', [systemClock.now() - started]);
    writeFileSync(join(context.directory, 'root.pem'), await rootInForce());
  }

  async #startApiServer(): Promise<void> {
    const { size } = this.#plan;
    const script = join(import.meta.dir, 'api-server.ts');
    this.#apiServer = await startProcess(this.#context, {
      name: `api-server-${size.namespaces}`,
      command: [process.execPath, script, String(PORTS.api), JSON.stringify(size)],
      port: PORTS.api,
      timeoutMs: READY_TIMEOUT_MS,
    });
  }

  /**
   * The API server dies and comes back with what it had at first, at versions of then, as after the restore of a backup: how long
   * until a change made then is everywhere. What was made in between (the root) must be there again.
   */
  async #restored(): Promise<void> {
    const root = await rootInForce();
    this.#apiServer?.kill('SIGKILL');
    await this.#apiServer?.exited;
    await sleep(systemClock, OUTAGE_MS);
    await this.#startApiServer();
    this.#note('a change after the API server was restored', [await this.#change('pod').done]);
    await waitFor(
      'the Secret of the root',
      ACK_TIMEOUT_MS,
      async () => (await rootInForce()) === root,
    );
  }

  /** From nothing to everything decoded and in force, by the client that our node proxies run. */
  async #newProxy(index: number): Promise<number> {
    const node = ztunnelNode(`ztunnel-new-${index}`, nodeName(0));
    const started = systemClock.now();
    const client = startXdsClient(
      {
        clock: systemClock,
        random: systemRandom,
        log: silentLogger,
        transport: grpcTransport(systemClock, this.#endpoint(node)),
      },
      { node, types: NODE_TYPES },
    );
    await client.whenSynced();
    const took = systemClock.now() - started;
    const { size } = this.#plan;
    const pods = size.namespaces * size.servicesPerNamespace * size.podsPerService;
    const got = client.store(ADDRESS).size;
    client.stop();
    if (got < pods) throw failed(`a new proxy got ${got} addresses for ${pods} pods`);
    return took;
  }

  async #oneByOne(load: string, kind: ChangeKind, count: number): Promise<void> {
    // The first ones compile what runs seldom.
    for (let each = 0; each < Math.min(5, count); each++) await this.#change(kind).done;
    await this.#measured(load, async () => {
      const delays: number[] = [];
      for (let each = 0; each < count; each++) {
        delays.push(await this.#change(kind).done);
        await sleep(systemClock, 20);
      }
      return delays;
    });
  }

  async #churn(load: string, seconds: number): Promise<void> {
    const kinds: ChangeKind[] = ['pod', 'pod', 'pod', 'weight', 'policy'];
    await this.#measured(load, async () => {
      const running: Promise<number>[] = [];
      const started = systemClock.now();
      for (let each = 0; each < seconds * CHURN_PER_SECOND; each++) {
        running.push(this.#change(kinds[each % kinds.length]).done);
        const due = started + ((each + 1) * 1000) / CHURN_PER_SECOND;
        await sleep(systemClock, Math.max(0, due - systemClock.now()));
      }
      return Promise.all(running);
    });
  }

  async #measured(load: string, work: () => Promise<number[]>): Promise<void> {
    const before = { cpu: usageOf([this.#pid]).cpuSeconds, ...this.#sent(), at: systemClock.now() };
    const delays = await work();
    const after = { cpu: usageOf([this.#pid]).cpuSeconds, ...this.#sent(), at: systemClock.now() };
    const row = this.#note(load, delays);
    row.requestsPerSecond = (delays.length / (after.at - before.at)) * 1000;
    row.cpuMicrosPerRequest = ((after.cpu - before.cpu) / delays.length) * 1e6;
    row.bytesPerPush =
      (after.bytes - before.bytes) / Math.max(1, after.responses - before.responses);
    const { rssMiB, privateMiB } = usageOf([this.#pid]);
    Object.assign(row, { rssMiB, privateMiB });
  }

  #sent(): { bytes: number; responses: number } {
    const sum = { bytes: 0, responses: 0 };
    for (const { bytes, responses } of this.#proxies) {
      sum.bytes += bytes;
      sum.responses += responses;
    }
    return sum;
  }

  #note(load: string, delaysMs: readonly number[]): BenchRow {
    const sorted = delaysMs.toSorted((a, b) => a - b);
    const at = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const row = {
      ...emptyRow(this.#target, this.#proxies.length, load),
      p50Ms: at(0.5),
      p99Ms: at(0.99),
    };
    this.rows.push(row);
    return row;
  }

  /** `done`: milliseconds until the last proxy that it concerns has acknowledged it. */
  #change(kind: ChangeKind): { done: Promise<number> } {
    const mark = ++this.#marks;
    const { change, concerns } = changeOf(this.#plan.size, kind, mark);
    const concerned = this.#proxies.filter(concerns);
    return { done: this.#acknowledged(mark, concerned, change) };
  }

  async #acknowledged(mark: number, concerned: SimulatedProxy[], change: Change): Promise<number> {
    const waiting = new Set(concerned);
    const all = Promise.withResolvers<void>();
    this.#waiting.set(mark, { proxies: waiting, done: all.resolve });
    const answer = await fetch(`http://127.0.0.1:${PORTS.api}/bench/change`, {
      method: 'POST',
      body: JSON.stringify([change]),
    });
    const { at } = (await answer.json()) as { at: number };
    const late = systemClock.after(ACK_TIMEOUT_MS, () => {
      const names = [...waiting]
        .slice(0, 3)
        .map(({ name }) => name)
        .join(', ');
      all.reject(
        failed(`${change.kind} ${change.key} did not reach ${waiting.size} proxies: ${names}`),
      );
    });
    await all.promise.finally(() => late.cancel());
    this.#waiting.delete(mark);
    return Math.max(...concerned.map((proxy) => (proxy.acknowledged.get(mark) ?? 0) - at));
  }

  #onMark(proxy: SimulatedProxy, mark: number): void {
    const waiting = this.#waiting.get(mark);
    if (waiting?.proxies.delete(proxy) && waiting.proxies.size === 0) waiting.done();
  }

  /** Statuses are written at the start; what follows from them is not what is measured. */
  async #settled(): Promise<void> {
    let before = -1;
    await waitFor('the control plane to be quiet', READY_TIMEOUT_MS, async () => {
      const cpu = usageOf([this.#pid]).cpuSeconds;
      const isQuiet = before >= 0 && cpu - before < 0.1;
      before = cpu;
      if (!isQuiet) await sleep(systemClock, 1_000);
      return isQuiet;
    });
  }
}

type ChangeKind = 'pod' | 'weight' | 'policy';

function changeOf(
  size: ClusterSize,
  kind: ChangeKind,
  mark: number,
): { change: Change; concerns: (proxy: SimulatedProxy) => boolean } {
  const isNode = ({ name }: SimulatedProxy) => name.startsWith('istio-system/');
  const isWildcardNode = (proxy: SimulatedProxy) =>
    isNode(proxy) && Number(proxy.name.split('-').at(-1)) % ON_DEMAND_EVERY !== 1;
  switch (kind) {
    case 'pod': {
      const inNamespace = mark % size.namespaces;
      const service = Math.floor(mark / size.namespaces) % size.servicesPerNamespace;
      const pod = mark % size.podsPerService;
      const key = `${namespaceName(inNamespace)}/${podName(service, pod)}`;
      return {
        change: { kind: '/pods', key, patch: { status: podStatus(markAddress(mark), 0) } },
        concerns: isWildcardNode,
      };
    }
    case 'weight': {
      const inNamespace = mark % size.waypoints;
      const route = Math.floor(mark / size.waypoints) % size.virtualServices;
      const stable = mark % 100;
      const spec = virtualServiceSpec(serviceName(route), { stable, header: markText(mark) });
      const namespace = namespaceName(inNamespace);
      return {
        change: {
          kind: 'networking.istio.io/virtualservices',
          key: `${namespace}/${routeName(route)}`,
          patch: { spec },
        },
        concerns: ({ name }) => name.startsWith(`${namespace}/`),
      };
    }
    case 'policy': {
      const inNamespace = mark % size.namespaces;
      const policy = Math.floor(mark / size.namespaces) % size.policies;
      const host = serviceName(policy % size.servicesPerNamespace);
      return {
        change: {
          kind: 'security.istio.io/authorizationpolicies',
          key: `${namespaceName(inNamespace)}/${policyName(policy)}`,
          patch: { spec: policySpec(host, markText(mark)) },
        },
        concerns: isNode,
      };
    }
  }
}

function ztunnelNode(podName: string, node: string): XdsNode {
  const metadata = { NODE_NAME: node, SERVICE_ACCOUNT: 'ztunnel', CLUSTER_ID: 'Kubernetes' };
  return { type: 'ztunnel', ip: '127.0.0.1', podName, podNamespace: 'istio-system', metadata };
}

function waypointNode(podNamespace: string): XdsNode {
  const metadata = { GATEWAY_NAME: WAYPOINT, SERVICE_ACCOUNT: WAYPOINT, CLUSTER_ID: 'Kubernetes' };
  const podName = `${WAYPOINT}-1`;
  return { type: 'waypoint', ip: '127.0.0.1', podName, podNamespace, metadata };
}

/** PEM; empty while there is none. */
async function rootInForce(): Promise<string> {
  const path = '/api/v1/namespaces/istio-system/secrets/istio-ca-secret';
  const answer = await fetch(`http://127.0.0.1:${PORTS.api}${path}`);
  const { data } = (await answer.json()) as { data?: Record<string, string> };
  return Buffer.from(data?.['ca-cert.pem'] ?? '', 'base64').toString();
}

function kubeconfigFor(server: string) {
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'bench', cluster: { server } }],
    users: [{ name: 'bench', user: {} }],
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    'current-context': 'bench',
  };
}

async function waitFor(
  what: string,
  timeoutMs: number,
  check: () => Promise<boolean>,
): Promise<void> {
  const deadline = systemClock.now() + timeoutMs;
  while (!(await check())) {
    if (systemClock.now() > deadline) throw failed(`waited ${timeoutMs} ms for ${what}`);
    await sleep(systemClock, 20);
  }
}

function failed(message: string): MeshError {
  const hint = 'read the log file of control in the scratch directory';
  return new MeshError('BENCH_SUBJECT_FAILED', message, { side: 'self', hint });
}
