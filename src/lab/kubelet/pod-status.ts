/** A pod's status from what its containers do: pure. */
import type { Condition, ContainerStatus, Pod } from '#kube/client/kinds.ts';
import type { RestartPolicy } from './restart.ts';

export interface ContainerView {
  name: string;
  image: string;
  restartCount: number;
  ready: boolean;
  started: boolean;
  containerId?: string;
  state: NonNullable<ContainerStatus['state']>;
  lastState?: ContainerStatus['state'];
}

export interface PodView {
  podAddress: string | undefined;
  nodeAddress: string;
  startTime: string;
  restartPolicy: RestartPolicy;
  containers: readonly ContainerView[];
  initContainers: readonly ContainerView[];
  /** Init containers are through. */
  initialized: boolean;
  /** Set when the pod failed as a whole. */
  failure?: { reason: string; message: string };
}

export type PodStatus = NonNullable<Pod['status']>;

export function podPhase(
  view: Pick<PodView, 'containers' | 'restartPolicy' | 'initialized' | 'failure'>,
): PodStatus['phase'] {
  if (view.failure !== undefined) return 'Failed';
  if (!view.initialized) return 'Pending';
  const { containers, restartPolicy } = view;
  const ended = containers.filter(({ state }) => state.terminated !== undefined);
  if (ended.length === containers.length && restartPolicy !== 'Always') {
    const failed = ended.some(({ state }) => state.terminated?.exitCode !== 0);
    return failed ? (restartPolicy === 'Never' ? 'Failed' : 'Running') : 'Succeeded';
  }
  const begun = containers.every(
    ({ state, lastState }) => state.waiting === undefined || lastState?.terminated !== undefined,
  );
  return begun ? 'Running' : 'Pending';
}

/** `before` are the live conditions: foreign ones (readiness gates) stay, times of unchanged ones stay. */
export function podStatus(view: PodView, before: readonly Condition[], now: string): PodStatus {
  const phase = podPhase(view);
  const unready = view.containers.filter((container) => !container.ready).map(({ name }) => name);
  const completed = phase === 'Succeeded';
  const containersReady: Pick<Condition, 'status' | 'reason' | 'message'> = completed
    ? { status: 'False', reason: 'PodCompleted' }
    : unready.length > 0 || phase === 'Failed'
      ? {
          status: 'False',
          reason: 'ContainersNotReady',
          message: `containers with unready status: [${unready.join(' ')}]`,
        }
      : { status: 'True' };
  const wanted: Condition[] = [
    { type: 'PodReadyToStartContainers', status: view.podAddress === undefined ? 'False' : 'True' },
    view.initialized
      ? { type: 'Initialized', status: 'True' }
      : { type: 'Initialized', status: 'False', reason: 'ContainersNotInitialized' },
    { type: 'Ready', ...containersReady },
    { type: 'ContainersReady', ...containersReady },
    { type: 'PodScheduled', status: 'True' },
  ];
  const conditions = [
    ...wanted.map((condition) => keepTime(condition, before, now)),
    ...before.filter((condition) => !wanted.some(({ type }) => type === condition.type)),
  ];
  const { podAddress, nodeAddress, startTime, failure } = view;
  return {
    phase,
    conditions,
    hostIP: nodeAddress,
    hostIPs: [{ ip: nodeAddress }],
    ...(podAddress === undefined ? {} : { podIP: podAddress, podIPs: [{ ip: podAddress }] }),
    startTime,
    ...(view.initContainers.length === 0
      ? {}
      : { initContainerStatuses: view.initContainers.map(containerStatus) }),
    containerStatuses: view.containers.map(containerStatus),
    ...(failure ?? {}),
  };
}

function keepTime(condition: Condition, before: readonly Condition[], now: string): Condition {
  const previous = before.find(({ type }) => type === condition.type);
  const since = previous?.status === condition.status ? previous.lastTransitionTime : undefined;
  return { ...condition, lastTransitionTime: since ?? now };
}

function containerStatus(view: ContainerView): ContainerStatus {
  const { name, image, ready, restartCount, started, state, lastState = {}, containerId } = view;
  return {
    name,
    image,
    imageID: image,
    ready,
    restartCount,
    started,
    state,
    lastState,
    ...(containerId === undefined ? {} : { containerID: containerId }),
  };
}
