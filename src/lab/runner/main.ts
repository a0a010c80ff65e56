/**
 * `tulle role lab-inner`: the lab from inside its namespaces. Builds the wiring, starts the API server, then runs
 * controllers, kubelets, service addresses and DNS in this process, all over the real API. Tells the launcher how
 * far it is, one JSON line an event. It never cleans up: when it ends, the kernel takes the namespaces.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { type Clock, systemClock } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import { createLogger, type Logger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { readManifests } from '#kube/manifests.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import { type Cluster, connectCluster } from '../controllers/cluster.ts';
import { startDeployments } from '../controllers/deployments.ts';
import { startEndpointSlices } from '../controllers/endpoint-slices.ts';
import { startLoadBalancers } from '../controllers/load-balancers.ts';
import { startNamespaceDefaults } from '../controllers/namespace-defaults.ts';
import { isReady } from '../controllers/replica-plan.ts';
import { startReplicaSets } from '../controllers/replica-sets.ts';
import { startScheduler } from '../controllers/scheduler.ts';
import { startDnsServer } from '../dns/server.ts';
import { slicesOfService } from '../dns/zone.ts';
import { encodeEvent, type LabEvent, type RunnerOptions } from '../events.ts';
import { SYSTEM_NAMESPACE } from '../kubelet/cni.ts';
import { EventRecorder } from '../kubelet/events.ts';
import { Kubelet } from '../kubelet/kubelet.ts';
import { startKubeletServer } from '../kubelet/server.ts';
import { startRelay } from '../launcher/relay.ts';
import { PARTS_TIMEOUT_MS } from '../limits.ts';
import { programCommand } from '../program.ts';
import { ServiceSync } from '../services/sync.ts';
import { FABRIC_ADDRESS, type NodePlan, PodAddresses, planNodes } from '../topology/addresses.ts';
import { buildFabric, buildNodes, privateRun } from '../topology/apply.ts';
import { runCommand } from '../topology/commands.ts';
import { type ApiProcess, startApiProcess } from './api-process.ts';
import { applyManifests } from './apply-manifests.ts';
import { createNamespaces, createNodes, nodeProxyName } from './bootstrap.ts';
import {
  CALLER_EXPECTED,
  DEMO_DIRECTORY,
  DEMO_DONE,
  DEMO_EXPECTED,
  DEMO_NAMESPACE,
  isCaller,
  nextCommands,
} from './demo.ts';
import { type Expected, waitReady } from './readiness.ts';
import { createMesh } from './system-parts.ts';

const DNS_PORT = 53;
const CONSOLE_PORT = 20001;

export async function runLabInner(argv: string[]): Promise<void> {
  const options = JSON.parse(argv[0] ?? '{}') as RunnerOptions;
  const clock = systemClock;
  const log = createLogger('lab', { clock });
  try {
    await startLab(options, { clock, log });
  } catch (error) {
    const known = isMeshError(error) ? error : undefined;
    log.error('the lab did not start', {
      reason: messageOf(error),
      stack: error instanceof Error ? error.stack : undefined,
    });
    await emit({
      event: 'failed',
      code: known?.code ?? 'LAB_START_FAILED',
      message: messageOf(error),
      hint: known?.hint ?? `log: ${options.stateDirectory}/lab.log`,
    });
    process.exit(3);
  }
}

/** Resolves when the line is written: a crash right after must not lose it. */
function emit(event: LabEvent): Promise<void> {
  return new Promise((resolve) => process.stdout.write(encodeEvent(event), () => resolve()));
}

async function startLab(
  options: RunnerOptions,
  { clock, log }: { clock: Clock; log: Logger },
): Promise<void> {
  const begin = clock.now();
  const step = (text: string) => emit({ event: 'step', text, elapsedMs: clock.now() - begin });
  const manifests = readManifests([...(options.demo ? [DEMO_DIRECTORY] : []), ...options.files]);
  const nodes = planNodes(options.nodes);
  await privateRun(options.stateDirectory);
  mkdirSync('/run/tulle', { recursive: true });
  await buildFabric(nodes);
  const starting = startApiProcess({ clock, random: systemRandom, log }, options.apiSocket);
  const [api] = await Promise.all([starting, buildNodes(nodes)]);
  const namespace = options.demo ? DEMO_NAMESPACE : 'default';
  await emit({
    event: 'api',
    certificateAuthority: api.certificateAuthority,
    token: api.token,
    namespace,
  });
  await step(`${options.nodes} nodes wired, the API server answers`);
  await Promise.all([createNodes(api.client, nodes, clock), createNamespaces(api.client)]);
  const cluster = await connectCluster({ client: api.client, clock, random: systemRandom, log });
  await runCluster(cluster, nodes, api);
  const { stateDirectory } = options;
  startLoadBalancers(cluster, { stateDirectory, tell: (event) => void emit(event) });
  await serveConsole(cluster, options.consoleSocket);
  if (options.mesh) await createMesh(cluster, nodes);
  const callers = options.demo ? manifests.filter(isCaller) : [];
  const others = manifests.filter((manifest) => !callers.includes(manifest));
  await applyManifests(api.client, others, namespace);
  await step('controllers, node agents and DNS run, objects are applied');
  const patience = { clock, timeoutMs: PARTS_TIMEOUT_MS };
  await waitReady(cluster, expectedParts(options, nodes), patience);
  await applyManifests(api.client, callers, namespace);
  if (options.demo) await waitReady(cluster, CALLER_EXPECTED, patience);
  await step('every part is ready');
  await emit({
    event: 'ready',
    elapsedMs: clock.now() - begin,
    consoleUrl: '',
    apiServer: '',
    kubeconfig: '',
    done: options.demo ? DEMO_DONE : [],
    next: nextCommands(options.program, options.demo),
  });
}

function expectedParts(options: RunnerOptions, nodes: readonly NodePlan[]): Expected {
  const mesh: Expected = options.mesh
    ? {
        deployments: [`${SYSTEM_NAMESPACE}/istiod`],
        pods: nodes.map((node) => `${SYSTEM_NAMESPACE}/${nodeProxyName(node)}`),
      }
    : { deployments: [], pods: [] };
  if (!options.demo) return mesh;
  return { deployments: [...mesh.deployments, ...DEMO_EXPECTED.deployments], pods: mesh.pods };
}

async function runCluster(
  cluster: Cluster,
  nodes: readonly NodePlan[],
  api: ApiProcess,
): Promise<void> {
  startNamespaceDefaults(cluster, api.certificateAuthority);
  startScheduler(cluster);
  startDeployments(cluster);
  startReplicaSets(cluster);
  startEndpointSlices(cluster);
  const services = new ServiceSync({
    ...cluster,
    applyRuleset: async (ruleset, namespace) => {
      await runCommand(['nft', '-f', '-'], { input: ruleset, namespace });
    },
    namespaces: [undefined, ...nodes.map((node) => node.namespace)],
  });
  await Promise.all([services.start(), startDns(cluster)]);
  const network = new BunNetwork({ clock: cluster.clock });
  const events = new EventRecorder(cluster);
  const {
    PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    HOME = '/',
    LANG,
  } = process.env;
  for (const node of nodes) {
    const kubelet = new Kubelet({
      cluster,
      node,
      addresses: new PodAddresses(node),
      network,
      namespace: openNamespace(`/run/netns/${node.namespace}`),
      events,
      program: programCommand(),
      base: { PATH, HOME, ...(LANG === undefined ? {} : { LANG }) },
    });
    startKubeletServer(kubelet, node.name, cluster.clock);
    kubelet.start();
  }
}

async function startDns(cluster: Cluster): Promise<void> {
  const { services, slices, namespaces, log } = cluster;
  await startDnsServer(
    {
      log: log.child('dns'),
      objects: {
        service: (namespace, name) => services.get({ namespace, name }),
        services: () => services.list(),
        slices: (namespace, name) => slicesOfService(slices.list(namespace), name),
        hasNamespace: (name) => namespaces.get({ name }) !== undefined,
      },
    },
    { address: FABRIC_ADDRESS, port: DNS_PORT },
  );
}

/** The console of whichever control plane pod is ready now. */
async function serveConsole(cluster: Cluster, path: string): Promise<void> {
  if (existsSync(path)) rmSync(path);
  await startRelay({ path }, () => {
    const pod = cluster.pods
      .list(SYSTEM_NAMESPACE)
      .find((entry) => entry.metadata.labels?.app === 'istiod' && isReady(entry));
    const host = pod?.status?.podIP;
    return host === undefined ? undefined : { host, port: CONSOLE_PORT };
  });
}
