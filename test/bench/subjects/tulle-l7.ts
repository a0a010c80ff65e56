/** Tulle's waypoint as a plain HTTP proxy: the routes, timeout and retries of the envoy subject, metrics on, no access log. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Route, RouteMatch, RouteTable, Upstream } from '#model/route/route-table.ts';
import type { AppProtocol } from '#model/service/service.ts';
import { grpcPort } from '../origin.ts';
import { inNamespace } from '../topology.ts';
import { type BenchContext, type L7Options, startProcess } from './subject.ts';

/** The launcher, as a user starts it. */
const TULLE = join(import.meta.dir, '../../../tulle');
export const SERVICE = { namespace: 'bench', hostname: 'origin.bench.svc.cluster.local' };
export const KEY = `${SERVICE.namespace}/${SERVICE.hostname}`;
export const SERVICE_PORT = 80;

/** Another program than the launcher's, with the configuration's file between. */
interface Started {
  command?: readonly string[];
  commandEnd?: readonly string[];
  environment?: Record<string, string>;
}

export async function startTulleWaypoint(
  context: BenchContext,
  { port, routes, protocol, further, ...started }: L7Options & Started & { further?: object },
): Promise<number[]> {
  const isGrpc = protocol === 'grpc';
  const origin = {
    address: '127.0.0.1',
    port: isGrpc ? grpcPort(context) : context.originPort,
    protocol: isGrpc ? ('grpc' as const) : ('http' as const),
  };
  const config = {
    listen: { address: '127.0.0.1', port },
    service: KEY,
    port: SERVICE_PORT,
    tables: [tableOf(routes, origin.protocol)],
    upstreams: [originUpstream(origin)],
    metricsPort: 0,
    ...further,
  };
  return [await startWaypoint(context, { config, port, ...started })];
}

export async function startWaypoint(
  context: BenchContext,
  {
    config,
    port,
    namespace,
    command: program = [TULLE, 'role', 'waypoint', '--static'],
    commandEnd = [],
    environment,
  }: { config: object; port: number; namespace?: string } & Started,
): Promise<number> {
  const file = join(context.directory, `tulle-waypoint-${port}.json`);
  writeFileSync(file, JSON.stringify(config));
  const command = [...program, file, ...commandEnd];
  const child = await startProcess(context, {
    name: 'tulle-waypoint',
    command: namespace === undefined ? command : inNamespace(namespace, command),
    namespace,
    port,
    environment,
  });
  return child.pid;
}

/** `count - 1` routes that no request of the load matches, then the one that takes all. */
export function tableOf(count: number, protocol: AppProtocol = 'http'): RouteTable {
  const specific = Array.from({ length: count - 1 }, (_, index) =>
    routeOf(`service-${index}`, [
      {
        path: { kind: 'prefix', value: `/service-${index}/` },
        headers: [{ name: 'x-canary', match: { kind: 'exact', value: 'true' } }],
        withoutHeaders: [],
        queryParams: [],
      },
    ]),
  );
  const routes = [...specific, routeOf('all', [])];
  const ports = [{ port: SERVICE_PORT, protocol, routes }];
  return { ...SERVICE, addresses: [], ports };
}

function routeOf(name: string, matches: RouteMatch[]): Route {
  return {
    name,
    provenance: { kind: 'VirtualService', namespace: SERVICE.namespace, name },
    matches,
    action: {
      kind: 'forward',
      destinations: [{ upstream: KEY, host: SERVICE.hostname, port: SERVICE_PORT, weight: 1 }],
    },
    timeoutMs: 10_000,
    retries: { attempts: 2, on: ['connect-failure'], statusCodes: [], backoffBaseMs: 25 },
  };
}

/** `principal`: reached by HBONE. */
export function originUpstream(origin: {
  address: string;
  port: number;
  protocol: AppProtocol;
  principal?: string;
}): Upstream {
  const { address, port, protocol, principal } = origin;
  const connectionPool = {
    connectTimeoutMs: 2000,
    idleTimeoutMs: 3_600_000,
    h2Upgrade: 'default' as const,
  };
  return {
    ...SERVICE,
    ports: [{ port: SERVICE_PORT, protocol }],
    policy: { loadBalancer: 'least-request', connectionPool },
    subsets: [],
    endpoints: [
      {
        uid: 'bench-origin',
        name: 'origin',
        address,
        ports: { [SERVICE_PORT]: port },
        labels: {},
        locality: { region: '', zone: '', subzone: '' },
        node: '',
        weight: 1,
        healthy: true,
        protocol: principal === undefined ? 'none' : 'hbone',
        principal: principal ?? '',
        workloadName: 'origin',
        canonicalName: 'origin',
        canonicalRevision: 'latest',
      },
    ],
  };
}
