/**
 * Tulle's whole way: the node proxy of the client's node, a waypoint with 100 routes, the node proxy of the server's node. HBONE
 * between them, capture, metrics and access logs of the node proxies on; a policy lets only the waypoint reach the server.
 */
import { CLIENT, SERVER, type Star } from '../topology.ts';
import type { BenchContext } from './subject.ts';
import { allowOnly, startNode, workloadOf } from './tulle-l4.ts';
import { KEY, originUpstream, SERVICE, SERVICE_PORT, startWaypoint, tableOf } from './tulle-l7.ts';

const HBONE_PORT = 15008;
const ROUTES = 100;

export async function startTullePath(
  context: BenchContext,
  { client, server, waypoint, serviceAddress }: Star,
): Promise<{ pids: number[]; url: string }> {
  const names = [CLIENT.name, SERVER.name, 'waypoint'];
  const [ofClient, ofServer, ofWaypoint] = await context.certificates(names);
  const ports = [{ servicePort: SERVICE_PORT, targetPort: context.originPort }];
  const workloads = [
    workloadOf(CLIENT.name, [client]),
    { ...workloadOf(SERVER.name, [server]), services: { [KEY]: ports } },
    workloadOf('waypoint', [waypoint]),
  ];
  const service = {
    ...SERVICE,
    name: 'origin',
    addresses: [{ network: '', address: serviceAddress }],
    ports: [{ ...ports[0], appProtocol: 'http' }],
    waypoint: { address: { network: '', address: waypoint }, hbonePort: HBONE_PORT },
  };
  const authorizations = [allowOnly(ofWaypoint.principal)];
  const mesh = { workloads, services: [service], authorizations };
  const node = (name: string, address: string, certificates: typeof ofClient) =>
    startNode(context, { name, mesh, pods: [{ name, addresses: [address], certificates }] });
  const serverPid = await node(SERVER.name, server, ofServer);
  const { principal, chainFile, keyFile, rootFile } = ofWaypoint;
  const waypointPid = await startWaypoint(context, {
    namespace: 'waypoint',
    port: HBONE_PORT,
    config: {
      listen: { address: waypoint, port: HBONE_PORT },
      hbone: { principal, certificateFile: chainFile, keyFile, rootFile },
      service: KEY,
      port: SERVICE_PORT,
      tables: [{ ...tableOf(ROUTES), addresses: [serviceAddress] }],
      upstreams: [
        originUpstream({
          address: server,
          port: context.originPort,
          protocol: 'http',
          principal: ofServer.principal,
        }),
      ],
      metricsPort: 0,
    },
  });
  const clientPid = await node(CLIENT.name, client, ofClient);
  return { pids: [clientPid, waypointPid, serverPid], url: `http://${serviceAddress}/` };
}
