/** `tulle waypoint apply|list|status|delete`: the Gateway objects that ask for an L7 proxy. */
import type { Command } from 'commander';
import type { Gateway } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { clusterFor } from '../../cluster.ts';
import { AnswerIsNo } from '../../output/report.ts';
import { formatTable } from '../../output/table.ts';
import { FIELD_MANAGER } from '../kubectl/apply.ts';

const CLASSES = new Set(['istio-waypoint', 'tulle-waypoint']);
const HBONE_PORT = 15008;

export interface WaypointOptions {
  namespace?: string;
  name: string;
  for?: string;
  enrollNamespace?: boolean;
  output?: string;
  allNamespaces?: boolean;
}

export async function apply(options: WaypointOptions, command: Command): Promise<void> {
  const { client, namespace: usual } = clusterFor(command);
  const namespace = options.namespace ?? usual;
  const labels: Record<string, string> =
    options.for === undefined ? {} : { 'istio.io/waypoint-for': options.for };
  const gateway: Gateway = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: options.name, namespace, labels },
    spec: {
      gatewayClassName: 'istio-waypoint',
      listeners: [{ name: 'mesh', port: HBONE_PORT, protocol: 'HBONE' }],
    },
  };
  await client.patch(
    RESOURCES.gateways,
    { namespace, name: options.name },
    { type: 'apply', body: gateway },
    { fieldManager: FIELD_MANAGER, force: true },
  );
  process.stdout.write(`waypoint ${namespace}/${options.name} applied\n`);
  if (options.enrollNamespace) {
    const body = { metadata: { labels: { 'istio.io/use-waypoint': options.name } } };
    await client.patch(RESOURCES.namespaces, { name: namespace }, { type: 'merge', body });
    process.stdout.write(`services of namespace ${namespace} now go through it\n`);
  }
}

export async function list(options: WaypointOptions, command: Command): Promise<void> {
  const rows = (await waypoints(options, command)).map((gateway) => {
    const programmed = gateway.status?.conditions?.find(
      (condition) => condition.type === 'Programmed',
    );
    return {
      namespace: gateway.metadata.namespace ?? '',
      name: gateway.metadata.name,
      ready: programmed?.status === 'True',
      reason:
        programmed === undefined
          ? 'no controller has looked at it yet'
          : (programmed.message ?? programmed.reason ?? ''),
      address: gateway.status?.addresses?.[0]?.value ?? '',
    };
  });
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(rows, null, 2)}\n`);
  else {
    const cells = rows.map((row) => [
      row.namespace,
      row.name,
      row.ready ? 'ready' : 'not ready',
      row.address || '-',
      row.ready ? '' : row.reason,
    ]);
    process.stdout.write(formatTable(['NAMESPACE', 'NAME', 'STATE', 'ADDRESS', 'REASON'], cells));
  }
}

/** Exit 1 unless every waypoint asked for is ready. */
export async function status(options: WaypointOptions, command: Command): Promise<void> {
  await list(options, command);
  const gateways = await waypoints(options, command);
  const ready = gateways.every((gateway) =>
    gateway.status?.conditions?.some(
      ({ type, status: value }) => type === 'Programmed' && value === 'True',
    ),
  );
  if (!ready || gateways.length === 0)
    throw new AnswerIsNo(gateways.length === 0 ? 'there is no waypoint' : '');
}

export async function remove(options: WaypointOptions, command: Command): Promise<void> {
  const { client, namespace: usual } = clusterFor(command);
  const namespace = options.namespace ?? usual;
  await client.delete(RESOURCES.gateways, { namespace, name: options.name });
  process.stdout.write(`waypoint ${namespace}/${options.name} deleted\n`);
}

async function waypoints(options: WaypointOptions, command: Command): Promise<Gateway[]> {
  const { client, namespace: usual } = clusterFor(command);
  const namespace = options.allNamespaces ? undefined : (options.namespace ?? usual);
  const { items } = await client.list<Gateway>(RESOURCES.gateways, { namespace });
  return items.filter((gateway) => CLASSES.has(gateway.spec.gatewayClassName));
}
