/**
 * `tulle join`: from a bare machine to a workload of the mesh and back. Each step says what it did; whatever fails before the machine
 * is captured leaves it as it was.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import { Drain } from '#base/drain.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { canonicalIp } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { ControlEndpoint } from '#http/grpc/channel.ts';
import { createCaClient } from '#identity/svid/ca-client.ts';
import { createSvidStore } from '#identity/svid/svid-store.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { withinTime } from '#kube/client/within-time.ts';
import { probeTiming } from '#kube/probe/probe-state.ts';
import { DEFAULT_TRUST_DOMAIN } from '#model/identity/spiffe.ts';
import type { Workload } from '#model/workload/workload.ts';
import { listenersOn } from '#net/netns/listeners.ts';
import { MachineRedirection } from '#redirect/machine/machine-redirection.ts';
import { INBOUND_HBONE_PORT, INBOUND_PLAINTEXT_PORT, OUTBOUND_PORT } from '#redirect/ports.ts';
import { grpcTransport } from '#xds/client/grpc-transport.ts';
import { startXdsClient, type XdsClient } from '#xds/client/xds-client.ts';
import { type Assembly, assembleNode } from '../assemble.ts';
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT } from '../limits.ts';
import { reportNode } from '../report-node.ts';
import { followXds, NODE_RESOURCE_TYPES } from '../state/xds-source.ts';
import { statusSource } from '../status/report.ts';
import { startStatusServers } from '../status/servers.ts';
import { ControlFinder, type ControlOptions } from './control-finder.ts';
import { Credentials } from './credentials.ts';
import { entrySpec, entryUid, type MachineWords, probeOf, type WorkloadGroup } from './entry.ts';
import { MACHINE_ERRORS } from './errors.ts';
import { HealthChecks } from './health.ts';
import {
  LEAVE_DRAIN_MS,
  LEAVE_SETTLE_MS,
  STEP_MS,
  UNREGISTER_MS,
  WAITING_PERIOD_MS,
} from './limits.ts';
import { Machine } from './machine.ts';
import { runProbe } from './probe.ts';
import { Registration } from './registration.ts';

export interface JoinOptions extends Omit<MachineWords, 'address' | 'machineId'>, ControlOptions {
  /** Name of a WorkloadGroup of the namespace. */
  readonly group?: string;
  /** Undefined: the one that faces the control plane. */
  readonly address?: string;
  /** Instead of what the API gives, for machines that may not ask it. */
  readonly files?: { readonly token: string; readonly root: string };
  /** For token and roots. */
  readonly directory: string;
  readonly excludedPorts: readonly number[];
  readonly dns: boolean;
  /** Leave the entry in the API. */
  readonly keep: boolean;
}

const STATUS_PORTS = { admin: ADMIN_PORT, metrics: METRICS_PORT, readiness: READINESS_PORT };

export interface JoinDeps {
  /** Undefined: the entry was made by somebody else, who also says when it is captured. */
  readonly client: KubeClient | undefined;
  readonly log: Logger;
  /** One line of progress. */
  say(line: string): void;
}

/** Resolves when the machine has left. Rejects with a MeshError; nothing is left behind then. */
export async function joinMachine(deps: JoinDeps, options: JoinOptions): Promise<void> {
  refuseSecond();
  const leaving = signalled();
  const undo: (() => Promise<void> | void)[] = [];
  try {
    await join(deps, options, { leaving, undo });
  } finally {
    for (const step of undo.reverse()) await step();
  }
}

/** Removes what a `tulle join` that was killed left behind; false when there was nothing. */
export function cleanMachine(): boolean {
  refuseSecond();
  const redirection = new MachineRedirection();
  const found = redirection.inPlace;
  redirection.remove();
  redirection.close();
  return found;
}

interface Leaving {
  /** The first signal. */
  readonly asked: Promise<string>;
  /** A second one: at once. */
  readonly hurry: Promise<string>;
}

interface Course {
  readonly leaving: Leaving;
  /** In reverse order, whatever happened. */
  readonly undo: (() => Promise<void> | void)[];
}

async function join(deps: JoinDeps, options: JoinOptions, course: Course): Promise<void> {
  const { client, log, say } = deps;
  const { leaving, undo } = course;
  const group = await readGroup(client, options);
  const { serviceAccount, ports } = entrySpec({ ...options, address: '', machineId: '' }, group);
  const { namespace, name } = options;
  say(`machine ${namespace}/${name}, service account ${serviceAccount}`);

  const files = options.files;
  const credentials =
    client === undefined || files !== undefined
      ? undefined
      : await inTime(
          Credentials.obtain(
            { client, clock: systemClock, log },
            { namespace, serviceAccount, directory: options.directory },
          ),
        );
  if (credentials !== undefined) undo.push(() => credentials.stop());
  const control = new ControlFinder(client, options);
  const { address: found, localAddress } = await inTime(control.find());
  say(`control plane at ${found}`);

  const address = ownAddress(options.address ?? localAddress);
  const words: MachineWords = { ...options, address, machineId: machineId() };
  const registration =
    client &&
    new Registration({ client, clock: systemClock, random: systemRandom, log }, words, group);
  if (registration !== undefined) {
    const how = await inTime(registration.begin());
    undo.push(() => unregister(registration, deps, words, options.keep));
    say(
      `WorkloadEntry ${namespace}/${name} ${how === 'made' ? 'registered' : 'taken over'}, address ${address}`,
    );
  }

  const endpoint: ControlEndpoint = {
    get address() {
      return control.address;
    },
    serverName: `${options.controlPlace.name}.${options.controlPlace.namespace}.svc`,
    rootFile: credentials?.rootFile ?? files?.root ?? '',
    tokenFile: credentials?.tokenFile ?? files?.token,
    clusterId: options.clusterId,
  };
  const { assembly, xds, stop } = startProxy(endpoint, words, {
    log,
    crlFile: credentials?.crlFile,
  });
  undo.push(stop);
  let machine: Machine | undefined;
  const drain = new Drain(
    { clock: systemClock, log, parts: () => (machine === undefined ? [] : [machine.proxy]) },
    { deadlineMs: LEAVE_DRAIN_MS, successor: false },
  );
  const source = statusSource({
    nodeName: name,
    podName: name,
    assembly,
    proxies: () => (machine === undefined ? [] : [machine.proxy]),
    xds,
    drain,
    notReady: () => (machine?.captures ? undefined : 'this machine is not captured yet'),
  });
  const servers = startStatusServers(source, STATUS_PORTS);
  undo.push(() => servers.stop());
  xds.onConnection((connected) => {
    if (connected) assembly.context.identities.retry();
    else void control.find().catch((error: unknown) => log.warn(messageOf(error)));
  });

  const uid = entryUid(words);
  const own = await Promise.race([ownWorkload(deps, { assembly, xds, uid, words }), leaving.asked]);
  if (typeof own === 'string') return;
  const sharedPorts = new Set(Object.values(ports));
  machine = new Machine(
    { assembly, log, excluded: () => control.excluded, onLost: () => registration?.lost() },
    { ...options, uid, sharedPorts },
    own,
  );
  const here = machine;
  undo.push(() => here.remove('the machine leaves the mesh'));
  const ready = new Promise<undefined>((resolve) =>
    machine.proxy.whenReady(() => resolve(undefined)),
  );
  if ((await Promise.race([ready, leaving.asked])) !== undefined) return;
  say(`identity ${here.proxy.principal}`);

  here.capture();
  registration?.captured(own.trustDomain);
  const probe = probeOf(group);
  const network = assembly.context.network;
  const health = new HealthChecks(
    {
      clock: systemClock,
      probe: probe && ((timeoutMs) => runProbe({ clock: systemClock, network }, probe, timeoutMs)),
      onChange(verdict) {
        say(`${verdict.healthy ? 'healthy' : `unhealthy: ${verdict.message}`}`);
        registration?.health(verdict);
      },
    },
    probeTiming({ ...probe, httpGet: undefined, tcpSocket: undefined, exec: undefined }),
  );
  health.start();
  undo.push(() => health.stop());
  say(
    `joined: ${describePorts(sharedPorts)}; ${options.dns ? 'names of the mesh are answered' : 'look-ups are left alone'}`,
  );

  const cause = await leaving.asked;
  health.stop();
  say(`${cause}: leaving`);
  // Once, and before anything else: peers go elsewhere while all is still served.
  if (registration !== undefined) {
    await unregister(registration, deps, words, options.keep);
    await Promise.race([unknownToPeers(assembly, uid), leaving.hurry]);
  }
  here.passBy();
  drain.signal(cause);
  void leaving.hurry.then((signal) => drain.signal(signal));
  await drain.over;
}

function describePorts(ports: ReadonlySet<number>): string {
  return ports.size === 0 ? 'shares no port, only calls' : `shares ${[...ports].join(', ')}`;
}

function startProxy(
  endpoint: ControlEndpoint,
  words: MachineWords,
  { log, crlFile }: { log: Logger; crlFile: string | undefined },
) {
  const clock = systemClock;
  const random = systemRandom;
  const signer = createCaClient(clock, { endpoint, impersonate: false });
  const identities = createSvidStore({ clock, random, log: log.child('identity'), signer });
  const assembly = assembleNode({
    log,
    identities,
    // Discovery tells the machine's own before anything needs it.
    trustDomain: DEFAULT_TRUST_DOMAIN,
    logFormat: 'text',
    crlFile,
  });
  const { name: podName, namespace: podNamespace, address: ip, clusterId, network } = words;
  const transport = grpcTransport(clock, endpoint);
  const xds = startXdsClient(
    { clock, random, log: log.child('xds'), transport },
    {
      node: {
        type: 'ztunnel',
        ip,
        podName,
        podNamespace,
        metadata: { NODE_NAME: podName, CLUSTER_ID: clusterId, NETWORK: network },
      },
      types: NODE_RESOURCE_TYPES,
    },
  );
  const reporter = reportNode(assembly, { xds, transport }, `${podNamespace}/${podName}`);
  const stopFollowing = followXds(xds, assembly.context.state, clock);
  const stop = () => {
    stopFollowing();
    reporter.stop();
    xds.stop();
    identities.stop();
    assembly.context.revocations?.stop();
    assembly.context.pool.close();
    assembly.accessLog.flush();
  };
  return { assembly, xds, stop };
}

interface Awaited {
  assembly: Assembly;
  xds: XdsClient;
  uid: string;
  words: MachineWords;
}

/** Until the control plane knows the machine; says what is missing while it does not. */
function ownWorkload({ say, client }: JoinDeps, awaited: Awaited): Promise<Workload> {
  const { assembly, xds, uid, words } = awaited;
  const { state } = assembly.context;
  return new Promise((resolve) => {
    const look = () => {
      const own = state.current.workloads.get(uid);
      if (own === undefined) return;
      stop();
      timer.cancel();
      resolve(own);
    };
    const timer = systemClock.every(WAITING_PERIOD_MS, () => {
      const { lastError } = xds.status();
      const entry = `WorkloadEntry ${words.namespace}/${words.name} of cluster ${words.clusterId}`;
      const missing =
        client === undefined ? `${entry}: somebody has to make it` : `${entry} in what it serves`;
      say(`waiting for the control plane: ${lastError ?? missing}`);
    });
    const stop = state.onChange(look);
    look();
  });
}

/** Until discovery no longer sends anybody here, at most LEAVE_SETTLE_MS. */
function unknownToPeers({ context }: Assembly, uid: string): Promise<unknown> {
  return new Promise((resolve) => {
    context.state.waitFor(
      ({ workloads }) => {
        const own = workloads.get(uid);
        return own === undefined || (!own.healthy && own.protocol === 'none') ? true : undefined;
      },
      { clock: systemClock, timeoutMs: LEAVE_SETTLE_MS },
      resolve,
    );
  });
}

/** Once; what cannot be done is said with the command that does it. */
async function unregister(
  registration: Registration,
  { say }: JoinDeps,
  { namespace, name }: MachineWords,
  keep: boolean,
): Promise<void> {
  if (registration.ended) return;
  try {
    const how = await withinTime(systemClock, UNREGISTER_MS, registration.end(keep));
    say(`WorkloadEntry ${namespace}/${name} ${how}`);
  } catch (error) {
    say(
      `cannot withdraw WorkloadEntry ${namespace}/${name}: ${messageOf(error)}; kubectl delete workloadentry -n ${namespace} ${name}`,
    );
  }
}

async function readGroup(
  client: KubeClient | undefined,
  { group: name, namespace }: JoinOptions,
): Promise<WorkloadGroup | undefined> {
  if (name === undefined || client === undefined) return undefined;
  try {
    return await inTime(client.get<WorkloadGroup>(RESOURCES.workloadGroups, { namespace, name }));
  } catch (cause) {
    const message = `cannot read WorkloadGroup ${namespace}/${name}: ${messageOf(cause)}`;
    throw failure('JOIN_GROUP', message, cause);
  }
}

function ownAddress(wanted: string): string {
  const redirection = new MachineRedirection();
  const own = redirection.addresses().map(canonicalIp);
  redirection.close();
  const address = canonicalIp(wanted);
  if (own.includes(address)) return address;
  const has = own.length === 0 ? 'none' : own.join(', ');
  throw failure('JOIN_ADDRESS', `${wanted} is no address of this machine, which has ${has}`);
}

/** A step of joining: an API server that says nothing must not hold it up for ever. */
function inTime<T>(step: Promise<T>): Promise<T> {
  return withinTime(systemClock, STEP_MS, step);
}

function refuseSecond(): void {
  const taken = [OUTBOUND_PORT, INBOUND_PLAINTEXT_PORT, INBOUND_HBONE_PORT].find(
    (port) => listenersOn(undefined, port) > 0,
  );
  if (taken !== undefined) throw failure('JOIN_BUSY', `another process listens on port ${taken}`);
  const redirection = new MachineRedirection();
  const { isNode } = redirection;
  redirection.close();
  if (isNode) throw failure('JOIN_BUSY', 'this machine is a node whose pods are in the mesh');
}

/** Of this installation; hashed, as machine-id(5) asks. */
function machineId(): string {
  const id = readFileSync('/etc/machine-id', 'utf8').trim();
  return createHash('sha256').update(`tulle-join ${id}`).digest('hex').slice(0, 16);
}

function signalled(): Leaving {
  const asked = Promise.withResolvers<string>();
  const hurry = Promise.withResolvers<string>();
  let count = 0;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(signal, () => {
      count += 1;
      if (count === 1) asked.resolve(signal);
      else hurry.resolve(signal);
    });
  }
  return { asked: asked.promise, hurry: hurry.promise };
}

function failure(code: keyof typeof MACHINE_ERRORS, message: string, cause?: unknown): MeshError {
  return new MeshError(code, message, { side: 'config', hint: MACHINE_ERRORS[code], cause });
}
