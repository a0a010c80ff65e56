/**
 * The life of one pod on its node: address and network, volumes, capture, init containers, containers, status,
 * end. Started by the kubelet, told of changes by `update`, ended by `terminate`.
 */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rfc3339, type Timer } from '#base/clock.ts';
import { isMeshError, messageOf } from '#base/errors.ts';
import type { Container, Pod, Probe } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { equalJson } from '#kube/meta/object.ts';
import type { Network, NetworkNamespace } from '#net/network.ts';
import type { Cluster } from '../controllers/cluster.ts';
import { GRACE_SECONDS, VOLUME_SYNC_DELAY_MS } from '../limits.ts';
import {
  API_SERVICE_ADDRESS,
  CLUSTER_DOMAIN,
  FABRIC_ADDRESS,
  type NodePlan,
  type PodAddresses,
} from '../topology/addresses.ts';
import { buildPodNetwork, removePodNetwork } from '../topology/apply.ts';
import { type PodLink, podLinkName } from '../topology/plan.ts';
import { capturePod, SYSTEM_NAMESPACE, wantsCapture } from './cni.ts';
import { ContainerRunner, StartRefusal } from './container.ts';
import { buildEnvironment, expand, type References } from './environment.ts';
import type { EventNote, EventRecorder } from './events.ts';
import { resolveImage } from './images.ts';
import type { ContainerLog } from './logs.ts';
import { planMounts } from './mounts.ts';
import { type PodView, podStatus } from './pod-status.ts';
import { runProbe } from './prober.ts';
import { type RunningProcess, startProcess } from './process.ts';
import { PodTokens } from './tokens.ts';
import { TOKEN_MOUNT, TOKEN_VOLUME, volumeDirectory, volumesOf, writeVolumes } from './volumes.ts';

export interface NodeContext {
  cluster: Cluster;
  node: NodePlan;
  addresses: PodAddresses;
  network: Network;
  namespace: NetworkNamespace;
  events: EventRecorder;
  program: readonly string[];
  /** PATH and HOME of the machine's user. */
  base: Readonly<Record<string, string>>;
}

const POD_ROOT = '/run/tulle/pods';
/** What a pod waits at most between two tries to get its volumes; a change of a ConfigMap or Secret ends the wait. */
const VOLUME_RETRY_MS = 250;

export class PodWorker {
  readonly #context: NodeContext;
  readonly #directory: string;
  readonly #tokens: PodTokens;
  readonly #startTime: string;
  #pod: Pod;
  #link: PodLink | undefined;
  #address: string | undefined;
  #initialized = false;
  #containers: ContainerRunner[] = [];
  #initContainers: ContainerRunner[] = [];
  #terminating: Promise<void> | undefined;
  #writing = false;
  #dirty = false;
  #volumeTimer: Timer | undefined;
  #wakeVolumes: (() => void) | undefined;
  #renewal: Timer | undefined;
  #failure: { reason: string; message: string } | undefined;

  constructor(context: NodeContext, pod: Pod) {
    this.#context = context;
    this.#pod = pod;
    this.#directory = join(POD_ROOT, pod.metadata.uid ?? '');
    this.#tokens = new PodTokens(context.cluster);
    this.#startTime = rfc3339(context.cluster.clock, 's');
  }

  get pod(): Pod {
    return this.#pod;
  }

  container(name: string | undefined): ContainerRunner | undefined {
    const all = [...this.#containers, ...this.#initContainers];
    return name === undefined || name === ''
      ? all[0]
      : all.find((runner) => runner.view.name === name);
  }

  environmentOf(name: string): Record<string, string> {
    const container = this.#pod.spec.containers.find((entry) => entry.name === name);
    const built =
      container === undefined ? undefined : buildEnvironment(container, this.#references());
    return built !== undefined && 'values' in built ? built.values : { ...this.#context.base };
  }

  update(pod: Pod): void {
    this.#pod = pod;
  }

  async run(): Promise<void> {
    const { spec } = this.#pod;
    const system = this.#pod.metadata.namespace === SYSTEM_NAMESPACE;
    const policy = spec.restartPolicy ?? 'Always';
    const make = (container: Container, restartPolicy: typeof policy) =>
      this.#runner(container, { restartPolicy, system });
    this.#initContainers = (spec.initContainers ?? []).map((container) =>
      make(container, policy === 'Never' ? 'Never' : 'OnFailure'),
    );
    this.#containers = spec.containers.map((container) => make(container, policy));
    try {
      await this.#buildNetwork();
    } catch (error) {
      this.#fail('FailedCreatePodSandBox', messageOf(error));
      return;
    }
    this.#changed();
    if (!(await this.#prepareVolumes())) return;
    await this.#capture();
    for (const runner of this.#initContainers) {
      if (this.#terminating !== undefined) return;
      runner.start();
      if ((await runner.done) !== 0) {
        if (this.#terminating === undefined)
          this.#fail('InitContainerFailed', `init container ${runner.view.name} failed`);
        return;
      }
      runner.view.ready = true;
    }
    if (this.#terminating !== undefined) return;
    this.#initialized = true;
    for (const runner of this.#containers) runner.start();
    this.#changed();
  }

  /** Ends the processes within the grace, frees what the pod had, and lets the API forget it. Idempotent. */
  terminate(graceSeconds: number): Promise<void> {
    this.#terminating ??= this.#end(graceSeconds);
    return this.#terminating;
  }

  async #end(graceSeconds: number): Promise<void> {
    this.#volumeTimer?.cancel();
    this.#renewal?.cancel();
    this.#note({ type: 'Normal', reason: 'Killing', message: 'Stopping the pod' });
    const runners = [...this.#initContainers, ...this.#containers];
    await Promise.all(runners.map((runner) => runner.stop(graceSeconds * 1000)));
    const { node, addresses, events } = this.#context;
    if (this.#link !== undefined) {
      try {
        await removePodNetwork(this.#link, node);
      } catch (error) {
        this.#context.cluster.log.warn('pod network not removed', {
          pod: this.#pod.metadata.name,
          reason: messageOf(error),
        });
      }
      addresses.give(this.#link.address);
    }
    rmSync(this.#directory, { recursive: true, force: true });
    events.forget(this.#pod);
    await this.#forgetInApi();
  }

  async #forgetInApi(): Promise<void> {
    const { client } = this.#context.cluster;
    try {
      const live = await client.get<Pod>(RESOURCES.pods, this.#pod.metadata);
      if (
        live.metadata.uid === this.#pod.metadata.uid &&
        live.metadata.deletionTimestamp !== undefined
      )
        await client.delete(RESOURCES.pods, this.#pod.metadata, { gracePeriodSeconds: 0 });
    } catch (error) {
      if (!isMeshError(error, 'KUBE_NOT_FOUND'))
        this.#context.cluster.log.warn('pod not removed from the API', {
          reason: messageOf(error),
        });
    }
  }

  async #buildNetwork(): Promise<void> {
    const { node, addresses } = this.#context;
    const uid = this.#pod.metadata.uid ?? '';
    mkdirSync(this.#directory, { recursive: true });
    if (this.#pod.spec.hostNetwork === true) {
      this.#address = node.address;
    } else {
      const address = addresses.take();
      if (address === undefined) throw new Error(`no free pod address on ${node.name}`);
      this.#link = { uid, link: podLinkName(uid), address };
      await buildPodNetwork(this.#link, node);
      this.#address = address;
    }
    const { namespace } = this.#pod.metadata;
    const search = [
      `${namespace}.svc.${CLUSTER_DOMAIN}`,
      `svc.${CLUSTER_DOMAIN}`,
      CLUSTER_DOMAIN,
    ].join(' ');
    const name = this.#hostname();
    writeFileSync(
      join(this.#directory, 'resolv.conf'),
      `nameserver ${FABRIC_ADDRESS}\nsearch ${search}\noptions ndots:5\n`,
    );
    writeFileSync(
      join(this.#directory, 'hosts'),
      `127.0.0.1 localhost\n::1 localhost\n${this.#address} ${name}\n`,
    );
  }

  /** False when the pod ended while it waited. */
  async #prepareVolumes(): Promise<boolean> {
    const { clock } = this.#context.cluster;
    let told = '';
    while (this.#terminating === undefined) {
      try {
        await this.#writeVolumes();
        return true;
      } catch (error) {
        const message = messageOf(error);
        if (message !== told) this.#note({ type: 'Warning', reason: 'FailedMount', message });
        told = message;
        this.#waiting('ContainerCreating', message);
      }
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakeVolumes = resolve;
      const timer = clock.after(VOLUME_RETRY_MS, resolve);
      await promise;
      timer.cancel();
    }
    return false;
  }

  async #writeVolumes(): Promise<void> {
    await writeVolumes(this.#directory, {
      ...this.#references(),
      token: (request) => this.#tokens.token(this.#pod, request),
    });
    const renewalMs = this.#tokens.nextRenewalMs();
    this.#renewal?.cancel();
    if (renewalMs === undefined) return;
    this.#renewal = this.#context.cluster.clock.after(renewalMs, () => this.refreshVolumes());
  }

  /** A ConfigMap or Secret changed, or a token is old. */
  refreshVolumes(): void {
    this.#wakeVolumes?.();
    if (this.#volumeTimer !== undefined || !this.#initialized || this.#terminating !== undefined)
      return;
    const { clock, log } = this.#context.cluster;
    this.#volumeTimer = clock.after(VOLUME_SYNC_DELAY_MS, () => {
      this.#volumeTimer = undefined;
      void this.#writeVolumes().catch((error: unknown) => {
        // The files in the pod stay as they are; try again later.
        log.warn('volumes not refreshed', {
          pod: this.#pod.metadata.name,
          reason: messageOf(error),
        });
        this.#renewal = clock.after(10_000, () => this.refreshVolumes());
      });
    });
  }

  async #capture(): Promise<void> {
    const { cluster } = this.#context;
    const { namespace } = this.#pod.metadata;
    const isWanted = () =>
      this.#terminating === undefined &&
      wantsCapture(this.#pod, cluster.namespaces.get({ name: namespace ?? '' }));
    if (!isWanted()) return;
    let told = '';
    await capturePod(
      {
        clock: cluster.clock,
        isWanted,
        onWait: (reason) => {
          if (reason === told) return;
          told = reason;
          this.#waiting('ContainerCreating', reason);
        },
      },
      this.#pod,
    );
  }

  #waiting(reason: string, message: string): void {
    for (const runner of this.#containers) runner.view.state = { waiting: { reason, message } };
    this.#changed();
  }

  #fail(reason: string, message: string): void {
    this.#failure = { reason, message };
    this.#note({ type: 'Warning', reason, message });
    this.#changed();
  }

  #runner(
    container: Container,
    options: { restartPolicy: 'Always' | 'OnFailure' | 'Never'; system: boolean },
  ): ContainerRunner {
    const { clock } = this.#context.cluster;
    return new ContainerRunner(
      {
        clock,
        start: (log) => this.#start(container, log),
        probe: (probe, pid, timeoutMs) => this.#probe(probe, { container, pid, timeoutMs }),
        onChange: () => this.#changed(),
        note: (note) => this.#note(note),
      },
      { container, ...options, graceMs: this.graceSeconds * 1000 },
    );
  }

  get graceSeconds(): number {
    return this.#pod.spec.terminationGracePeriodSeconds ?? GRACE_SECONDS;
  }

  #start(container: Container, log: ContainerLog): RunningProcess {
    const { program, node } = this.#context;
    const resolved = resolveImage(container, program);
    if ('reason' in resolved) throw new StartRefusal(resolved.reason, resolved.message);
    const built = buildEnvironment(container, this.#references());
    if ('problem' in built) throw new StartRefusal('CreateContainerConfigError', built.problem);
    const volumes = volumesOf(this.#pod);
    const token = { name: TOKEN_VOLUME, mountPath: TOKEN_MOUNT, readOnly: true };
    const mounts = container.volumeMounts ?? [];
    const hasToken =
      volumes.some(({ name }) => name === TOKEN_VOLUME) &&
      !mounts.some(({ mountPath }) => mountPath === TOKEN_MOUNT);
    const plan = planMounts({
      container: { ...container, volumeMounts: hasToken ? [...mounts, token] : mounts },
      volumeDirectory: (name) => {
        const volume = volumes.find((entry) => entry.name === name);
        return volume === undefined ? undefined : volumeDirectory(this.#directory, volume);
      },
      resolvConf: join(this.#directory, 'resolv.conf'),
      hosts: join(this.#directory, 'hosts'),
      kindOf,
    });
    if ('problem' in plan) throw new StartRefusal('CreateContainerError', plan.problem);
    const fstab = join(this.#directory, `fstab-${container.name}`);
    writeFileSync(fstab, plan.fstab);
    const hostNetwork = this.#pod.spec.hostNetwork === true;
    return startProcess(
      {
        sandbox: {
          namespace: hostNetwork ? node.namespace : (this.#pod.metadata.uid ?? ''),
          hostname: this.#hostname(),
        },
        fstab,
        argv: resolved.argv.map((word) => expand(word, built.values)),
        environment: built.values,
        workingDirectory: container.workingDir,
      },
      log,
    );
  }

  #probe(
    probe: Probe,
    { container, pid, timeoutMs }: { container: Container; pid: number; timeoutMs: number },
  ) {
    const { network, namespace, cluster } = this.#context;
    return runProbe({ network, clock: cluster.clock }, probe, {
      namespace,
      address: this.#address ?? '',
      ports: container.ports ?? [],
      pid,
      environment: this.environmentOf(container.name),
      timeoutMs,
    });
  }

  #hostname(): string {
    const { spec, metadata } = this.#pod;
    return spec.hostNetwork === true ? this.#context.node.name : spec.hostname || metadata.name;
  }

  #references(): References & {
    pod: Pod;
    podAddress: string;
    nodeAddress: string;
    base: Record<string, string>;
  } {
    const { cluster, node, base } = this.#context;
    const { namespace } = this.#pod.metadata;
    return {
      pod: this.#pod,
      podAddress: this.#address ?? '',
      nodeAddress: node.address,
      base: {
        ...base,
        HOSTNAME: this.#hostname(),
        KUBERNETES_SERVICE_HOST: API_SERVICE_ADDRESS,
        KUBERNETES_SERVICE_PORT: '443',
        KUBERNETES_SERVICE_PORT_HTTPS: '443',
        KUBERNETES_PORT: `tcp://${API_SERVICE_ADDRESS}:443`,
      },
      configMap: (name) => cluster.configMaps.get({ namespace, name }),
      secret: (name) => cluster.secrets.get({ namespace, name }),
    };
  }

  #note(note: EventNote): void {
    this.#context.events.record(this.#pod, this.#context.node.name, note);
  }

  /** Writes the newest status; changes during a write are one more write. */
  #changed(): void {
    this.#dirty = true;
    if (this.#writing) return;
    this.#writing = true;
    void this.#writeStatus();
  }

  async #writeStatus(): Promise<void> {
    const { cluster } = this.#context;
    try {
      while (this.#dirty) {
        this.#dirty = false;
        await this.#writeStatusOnce();
      }
    } catch (error) {
      cluster.log.warn('pod status not written', {
        pod: this.#pod.metadata.name,
        reason: messageOf(error),
      });
      cluster.clock.after(VOLUME_RETRY_MS, () => this.#changed());
    } finally {
      // In the same turn as the last look at `dirty`, so that no change falls between.
      this.#writing = false;
    }
  }

  async #writeStatusOnce(): Promise<void> {
    const { cluster, node } = this.#context;
    const before = this.#pod.status?.conditions ?? [];
    const view: PodView = {
      podAddress: this.#address,
      nodeAddress: node.address,
      startTime: this.#startTime,
      restartPolicy: this.#pod.spec.restartPolicy ?? 'Always',
      containers: this.#containers.map((runner) => runner.view),
      initContainers: this.#initContainers.map((runner) => runner.view),
      initialized: this.#initialized,
      failure: this.#failure,
    };
    const status = podStatus(view, before, rfc3339(cluster.clock, 's'));
    if (equalJson(this.#pod.status, { ...this.#pod.status, ...status })) return;
    const { uid } = this.#pod.metadata;
    try {
      this.#pod = await cluster.client.patch<Pod>(
        RESOURCES.pods,
        this.#pod.metadata,
        { type: 'merge', body: { metadata: { uid }, status } },
        { subresource: 'status' },
      );
    } catch (error) {
      // Gone, or another pod of that name: nothing to report to.
      if (!isMeshError(error, 'KUBE_NOT_FOUND') && !isMeshError(error, 'KUBE_CONFLICT'))
        throw error;
    }
  }
}

function kindOf(path: string): 'file' | 'directory' | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return undefined;
  return stat.isDirectory() ? 'directory' : 'file';
}
