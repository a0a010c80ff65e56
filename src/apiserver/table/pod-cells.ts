/** READY, STATUS and RESTARTS of a pod: kubectl's printPod, which looks for the most telling container state. */
import { type ApiObject, isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import { humanDuration } from './columns.ts';

export interface PodCells {
  ready: string;
  status: string;
  restarts: string;
}

const SECOND_MS = 1000;

export function podCells(pod: ApiObject, now = 0): PodCells {
  const containers = list(readPath(pod, ['spec', 'containers']));
  const statuses = list(readPath(pod, ['status', 'containerStatuses']));
  const init = initReason(pod);
  const running = statuses.filter(isReady).length;
  const status = deletionReason(pod) ?? init ?? containerReason(statuses) ?? phaseOf(pod);
  return {
    ready: `${running}/${containers.length}`,
    status,
    restarts: restartsOf(statuses, now),
  };
}

function list(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function isReady(status: JsonObject): boolean {
  return status.ready === true && readPath(status, ['state', 'running']) !== undefined;
}

function phaseOf(pod: ApiObject): string {
  return String(
    readPath(pod, ['status', 'reason']) ?? readPath(pod, ['status', 'phase']) ?? 'Unknown',
  );
}

function deletionReason(pod: ApiObject): string | undefined {
  if (pod.metadata.deletionTimestamp === undefined) return undefined;
  return readPath(pod, ['status', 'reason']) === 'NodeLost' ? 'Unknown' : 'Terminating';
}

function initReason(pod: ApiObject): string | undefined {
  const statuses = list(readPath(pod, ['status', 'initContainerStatuses']));
  const total = list(readPath(pod, ['spec', 'initContainers'])).length;
  for (const [index, status] of statuses.entries()) {
    const terminated = readPath(status, ['state', 'terminated']);
    const waiting = readPath(status, ['state', 'waiting', 'reason']);
    if (isJsonObject(terminated)) {
      if (terminated.exitCode === 0) continue;
      return `Init:${terminated.reason ?? `ExitCode:${terminated.exitCode}`}`;
    }
    if (typeof waiting === 'string' && waiting !== 'PodInitializing') return `Init:${waiting}`;
    return `Init:${index}/${total}`;
  }
  return undefined;
}

function containerReason(statuses: readonly JsonObject[]): string | undefined {
  let reason: string | undefined;
  let anyRunning = false;
  for (const status of [...statuses].reverse()) {
    const waiting = readPath(status, ['state', 'waiting', 'reason']);
    const terminated = readPath(status, ['state', 'terminated']);
    if (typeof waiting === 'string' && waiting !== '') reason = waiting;
    else if (isJsonObject(terminated))
      reason =
        typeof terminated.reason === 'string' && terminated.reason !== ''
          ? terminated.reason
          : `ExitCode:${terminated.exitCode}`;
    else if (isReady(status)) anyRunning = true;
  }
  // One container done, others at work: the pod as a whole runs.
  return reason === 'Completed' && anyRunning ? 'Running' : reason;
}

function restartsOf(statuses: readonly JsonObject[], now: number): string {
  const total = statuses.reduce((sum, status) => sum + Number(status.restartCount ?? 0), 0);
  const times = statuses
    .map((status) => readPath(status, ['lastState', 'terminated', 'finishedAt']))
    .filter((time) => typeof time === 'string')
    .map((time) => Date.parse(time));
  if (total === 0 || times.length === 0) return String(total);
  const seconds = Math.floor((now - Math.max(...times)) / SECOND_MS);
  return `${total} (${humanDuration(seconds)} ago)`;
}
