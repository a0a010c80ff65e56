/** kubectl's columns of the built-in kinds, as pkg/printers/internalversion prints them. */
import { formatLabelSelector } from '#kube/meta/label-selector.ts';
import { type ApiObject, isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import { podCells } from './pod-cells.ts';

export type Cell = string | number | boolean | undefined;

export interface Column {
  name: string;
  type: string;
  format?: string;
  description?: string;
  /** Only with -o wide. */
  wide?: boolean;
  cell(object: ApiObject, now: number): Cell;
}

const SECOND_MS = 1000;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const YEAR = 365 * DAY;

export const NAME_COLUMN: Column = {
  name: 'Name',
  type: 'string',
  format: 'name',
  description: 'Name must be unique within a namespace.',
  cell: (object) => object.metadata.name,
};

const AGE: Column = {
  name: 'Age',
  type: 'string',
  description: 'Time since creation.',
  cell: (object, now) => ageOf(object.metadata.creationTimestamp, now),
};

function column(name: string, cell: Column['cell'], extra: Partial<Column> = {}): Column {
  return { name, type: 'string', cell, ...extra };
}

const NUMBER = { type: 'integer', format: 'int32' };
const WIDE = { wide: true };

export const BUILTIN_COLUMNS: Record<string, readonly Column[]> = {
  '/pods': [
    NAME_COLUMN,
    column('Ready', (pod) => podCells(pod).ready),
    column('Status', (pod) => podCells(pod).status),
    column('Restarts', (pod, now) => podCells(pod, now).restarts),
    AGE,
    column('IP', (pod) => text(pod, 'status.podIP', '<none>'), WIDE),
    column('Node', (pod) => text(pod, 'spec.nodeName', '<none>'), WIDE),
    column('Nominated Node', (pod) => text(pod, 'status.nominatedNodeName', '<none>'), WIDE),
    column('Readiness Gates', () => '<none>', WIDE),
  ],
  '/services': [
    NAME_COLUMN,
    column('Type', (service) => text(service, 'spec.type', '<none>')),
    column('Cluster-IP', (service) => text(service, 'spec.clusterIP', '<none>')),
    column('External-IP', externalIp),
    column('Port(s)', servicePorts),
    AGE,
    column('Selector', (service) => mapText(readPath(service, ['spec', 'selector'])), WIDE),
  ],
  '/namespaces': [NAME_COLUMN, column('Status', (object) => text(object, 'status.phase', '')), AGE],
  '/nodes': [
    NAME_COLUMN,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    AGE,
    column('Version', (node) => text(node, 'status.nodeInfo.kubeletVersion', '')),
    column('Internal-IP', (node) => nodeAddress(node, 'InternalIP'), WIDE),
    column('External-IP', (node) => nodeAddress(node, 'ExternalIP'), WIDE),
    column('OS-Image', (node) => text(node, 'status.nodeInfo.osImage', '<unknown>'), WIDE),
    column(
      'Kernel-Version',
      (node) => text(node, 'status.nodeInfo.kernelVersion', '<unknown>'),
      WIDE,
    ),
    column(
      'Container-Runtime',
      (node) => text(node, 'status.nodeInfo.containerRuntimeVersion', '<unknown>'),
      WIDE,
    ),
  ],
  '/configmaps': [
    NAME_COLUMN,
    column('Data', (map) => size(map.data) + size(map.binaryData), NUMBER),
    AGE,
  ],
  '/secrets': [
    NAME_COLUMN,
    column('Type', (secret) => text(secret, 'type', '')),
    column('Data', (secret) => size(secret.data), NUMBER),
    AGE,
  ],
  '/serviceaccounts': [
    NAME_COLUMN,
    column('Secrets', (account) => size(account.secrets), NUMBER),
    AGE,
  ],
  '/endpoints': [NAME_COLUMN, column('Endpoints', endpointsText), AGE],
  '/events': [
    column('Last Seen', (event, now) => ageOf(lastSeen(event), now)),
    column('Type', (event) => text(event, 'type', '')),
    column('Reason', (event) => text(event, 'reason', '')),
    column('Object', (event) => {
      const kind = text(event, 'involvedObject.kind', '') || text(event, 'regarding.kind', '');
      const name = text(event, 'involvedObject.name', '') || text(event, 'regarding.name', '');
      return `${kind.toLowerCase()}/${name}`;
    }),
    column('Message', (event) => (text(event, 'message', '') || text(event, 'note', '')).trim()),
    column('Count', (event) => Number(event.count ?? 1), { ...WIDE, ...NUMBER }),
    column('Name', (event) => event.metadata.name, { ...WIDE, format: 'name' }),
  ],
  'apps/deployments': [
    NAME_COLUMN,
    column(
      'Ready',
      (object) => `${count(object, 'status.readyReplicas')}/${count(object, 'spec.replicas')}`,
    ),
    column('Up-to-date', (object) => count(object, 'status.updatedReplicas'), NUMBER),
    column('Available', (object) => count(object, 'status.availableReplicas'), NUMBER),
    AGE,
    ...templateColumns(),
  ],
  'apps/replicasets': [
    NAME_COLUMN,
    column('Desired', (object) => count(object, 'spec.replicas'), NUMBER),
    column('Current', (object) => count(object, 'status.replicas'), NUMBER),
    column('Ready', (object) => count(object, 'status.readyReplicas'), NUMBER),
    AGE,
    ...templateColumns(),
  ],
  'coordination.k8s.io/leases': [
    NAME_COLUMN,
    column('Holder', (lease) => text(lease, 'spec.holderIdentity', '')),
    AGE,
  ],
  'discovery.k8s.io/endpointslices': [
    NAME_COLUMN,
    column('AddressType', (slice) => text(slice, 'addressType', '')),
    column('Ports', slicePorts),
    column('Endpoints', sliceAddresses),
    AGE,
  ],
  'apiextensions.k8s.io/customresourcedefinitions': [
    NAME_COLUMN,
    column('Created At', (crd) => crd.metadata.creationTimestamp),
  ],
};

/** kubectl's HumanDuration: two units while the larger one is small. */
export function ageOf(timestamp: string | undefined, now: number): string {
  if (timestamp === undefined) return '<unknown>';
  const seconds = Math.floor((now - Date.parse(timestamp)) / SECOND_MS);
  if (Number.isNaN(seconds)) return '<invalid>';
  return humanDuration(seconds);
}

export function humanDuration(seconds: number): string {
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 2 * MINUTE) return `${seconds}s`;
  if (seconds < 10 * MINUTE) return twoUnits(seconds, [MINUTE, 'm'], [1, 's']);
  if (seconds < 3 * HOUR) return `${Math.floor(seconds / MINUTE)}m`;
  if (seconds < 8 * HOUR) return twoUnits(seconds, [HOUR, 'h'], [MINUTE, 'm']);
  if (seconds < 2 * DAY) return `${Math.floor(seconds / HOUR)}h`;
  if (seconds < 8 * DAY) return twoUnits(seconds, [DAY, 'd'], [HOUR, 'h']);
  if (seconds < 2 * YEAR) return `${Math.floor(seconds / DAY)}d`;
  if (seconds < 8 * YEAR) return twoUnits(seconds, [YEAR, 'y'], [DAY, 'd']);
  return `${Math.floor(seconds / YEAR)}y`;
}

type Unit = readonly [seconds: number, letter: string];

function twoUnits(seconds: number, [large, first]: Unit, [small, second]: Unit): string {
  const rest = Math.floor((seconds % large) / small);
  return `${Math.floor(seconds / large)}${first}${rest === 0 ? '' : `${rest}${second}`}`;
}

function text(object: ApiObject, path: string, absent: string): string {
  const value = readPath(object, path.split('.'));
  return value === undefined || value === null || value === '' ? absent : String(value);
}

function count(object: ApiObject, path: string): number {
  return Number(readPath(object, path.split('.')) ?? 0);
}

function size(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return isJsonObject(value) ? Object.keys(value).length : 0;
}

function objects(value: unknown): JsonObject[] {
  return Array.isArray(value) ? value.filter(isJsonObject) : [];
}

function mapText(value: unknown): string {
  if (!isJsonObject(value) || size(value) === 0) return '<none>';
  return Object.keys(value)
    .sort()
    .map((key) => `${key}=${value[key]}`)
    .join(',');
}

function templateColumns(): Column[] {
  const containers = (object: ApiObject) =>
    objects(readPath(object, ['spec', 'template', 'spec', 'containers']));
  return [
    column(
      'Containers',
      (object) =>
        containers(object)
          .map((item) => item.name)
          .join(','),
      WIDE,
    ),
    column(
      'Images',
      (object) =>
        containers(object)
          .map((item) => item.image)
          .join(','),
      WIDE,
    ),
    column(
      'Selector',
      (object) => {
        const selector = readPath(object, ['spec', 'selector']);
        return isJsonObject(selector) ? formatLabelSelector(selector) : '<none>';
      },
      WIDE,
    ),
  ];
}

function externalIp(service: ApiObject): string {
  const type = text(service, 'spec.type', '');
  if (type === 'ExternalName') return text(service, 'spec.externalName', '<none>');
  const external = readPath(service, ['spec', 'externalIPs']);
  const fixed = Array.isArray(external) ? external.map(String) : [];
  if (type !== 'LoadBalancer') return fixed.join(',') || '<none>';
  const ingress = objects(readPath(service, ['status', 'loadBalancer', 'ingress']));
  const assigned = ingress.map((item) => String(item.ip ?? item.hostname));
  return [...assigned, ...fixed].join(',') || '<pending>';
}

function servicePorts(service: ApiObject): string {
  const ports = objects(readPath(service, ['spec', 'ports']));
  const texts = ports.map(({ port, nodePort, protocol }) =>
    nodePort === undefined ? `${port}/${protocol}` : `${port}:${nodePort}/${protocol}`,
  );
  return texts.join(',') || '<none>';
}

function nodeStatus(node: ApiObject): string {
  const conditions = objects(readPath(node, ['status', 'conditions']));
  const ready = conditions.find((condition) => condition.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (readPath(node, ['spec', 'unschedulable']) === true) words.push('SchedulingDisabled');
  return words.join(',');
}

const ROLE_PREFIX = 'node-role.kubernetes.io/';

function nodeRoles(node: ApiObject): string {
  const roles = Object.keys(node.metadata.labels ?? {}).filter((key) =>
    key.startsWith(ROLE_PREFIX),
  );
  return (
    roles
      .map((key) => key.slice(ROLE_PREFIX.length))
      .sort()
      .join(',') || '<none>'
  );
}

function nodeAddress(node: ApiObject, type: string): string {
  const addresses = objects(readPath(node, ['status', 'addresses']));
  return String(addresses.find((item) => item.type === type)?.address ?? '<none>');
}

function lastSeen(event: ApiObject): string | undefined {
  const time =
    readPath(event, ['series', 'lastObservedTime']) ??
    event.lastTimestamp ??
    event.firstTimestamp ??
    event.eventTime ??
    event.metadata.creationTimestamp;
  return typeof time === 'string' ? time : event.metadata.creationTimestamp;
}

const SHOWN_MAX = 3;

function shorten(items: readonly string[], none: string): string {
  if (items.length === 0) return none;
  const more = items.length - SHOWN_MAX;
  const shown = items.slice(0, SHOWN_MAX).join(',');
  return more > 0 ? `${shown} + ${more} more...` : shown;
}

function endpointsText(endpoints: ApiObject): string {
  const all = objects(endpoints.subsets).flatMap((subset) =>
    objects(subset.addresses).flatMap(({ ip }) =>
      objects(subset.ports).map(({ port }) => `${ip}:${port}`),
    ),
  );
  return shorten(all, '<none>');
}

function slicePorts(slice: ApiObject): string {
  return shorten(
    objects(slice.ports).map(({ port }) => String(port ?? '*')),
    '<unset>',
  );
}

function sliceAddresses(slice: ApiObject): string {
  const addresses = objects(slice.endpoints).flatMap(
    (item) => (item.addresses as string[] | undefined) ?? [],
  );
  return shorten(addresses, '<unset>');
}
