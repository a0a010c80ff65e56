/** Tulle's waypoint as a plain HTTP proxy: the routes, timeout and retries of the envoy subject, metrics on, no access log. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Route, RouteMatch, RouteTable, Upstream } from '#model/route/route-table.ts';
import { type BenchContext, startProcess } from './subject.ts';

const ENTRY = join(import.meta.dir, '../../../src/cli/main.ts');
const SERVICE = { namespace: 'bench', hostname: 'origin.bench.svc.cluster.local' };
const KEY = `${SERVICE.namespace}/${SERVICE.hostname}`;
const SERVICE_PORT = 80;

export async function startTulleWaypoint(
  context: BenchContext,
  { port, routes }: { port: number; routes: number },
): Promise<number[]> {
  const file = join(context.directory, 'tulle-waypoint.json');
  const config = {
    listen: { address: '127.0.0.1', port },
    service: KEY,
    port: SERVICE_PORT,
    tables: [tableOf(routes)],
    upstreams: [originUpstream(context.originPort)],
    metricsPort: 0,
  };
  writeFileSync(file, JSON.stringify(config));
  const command = [process.execPath, ENTRY, 'role', 'waypoint', '--static', file];
  const child = await startProcess(context, { name: 'tulle-waypoint', command, port });
  return [child.pid];
}

/** `count - 1` routes that no request of the load matches, then the one that takes all. */
function tableOf(count: number): RouteTable {
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
  const ports = [{ port: SERVICE_PORT, protocol: 'http' as const, routes }];
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

function originUpstream(originPort: number): Upstream {
  const connectionPool = {
    connectTimeoutMs: 2000,
    idleTimeoutMs: 3_600_000,
    h2Upgrade: 'default' as const,
  };
  return {
    ...SERVICE,
    ports: [{ port: SERVICE_PORT, protocol: 'http' }],
    policy: { loadBalancer: 'least-request', connectionPool },
    subsets: [],
    endpoints: [
      {
        uid: 'bench-origin',
        name: 'origin',
        address: '127.0.0.1',
        ports: { [SERVICE_PORT]: originPort },
        labels: {},
        locality: { region: '', zone: '', subzone: '' },
        node: '',
        weight: 1,
        healthy: true,
        protocol: 'none',
        principal: '',
        workloadName: 'origin',
        canonicalName: 'origin',
        canonicalRevision: 'latest',
      },
    ],
  };
}
