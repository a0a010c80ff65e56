/** How a client's sidecar protects a connection: DestinationRule.tls, else what both ends can (Istio's automatic mutual TLS). */
import type { Endpoint, Upstream } from '#model/route/route-table.ts';
import type { Asked } from './ambient.ts';
import type { WhyAnswer } from './contract.ts';
import type { ServerMode } from './policies.ts';
import { serverMode } from './policies.ts';

type Client = WhyAnswer['mtls']['client'];

export interface Transport {
  readonly client: Client;
  readonly server: ServerMode;
}

export function clientTransport(
  { world, source }: Asked,
  to: { endpoint: Endpoint; port: number; upstream: (key: string) => Upstream | undefined },
): Transport {
  const { endpoint, port, upstream } = to;
  const found = world.mesh.workloads.get(endpoint.uid);
  const server =
    found === undefined
      ? 'PERMISSIVE'
      : serverMode(world, { namespace: found.workload.namespace, labels: found.labels }, port);
  if (source.outside) return { client: 'plaintext', server };
  const [key] = found?.workload.services.keys() ?? [];
  const rule = key === undefined ? undefined : tlsModeOf(world, upstream(key), port);
  if (rule === 'DISABLE') return { client: 'plaintext', server };
  if (rule === 'SIMPLE' || rule === 'MUTUAL') return { client: 'simple', server };
  if (rule === 'ISTIO_MUTUAL') return { client: 'istio-mtls', server };
  // What a ServiceEntry lists by itself has no sidecar.
  const hasSidecar = !endpoint.uid.includes('/ServiceEntry/');
  return { client: hasSidecar && server !== 'DISABLE' ? 'istio-mtls' : 'plaintext', server };
}

function tlsModeOf(
  { mesh }: Asked['world'],
  upstream: Upstream | undefined,
  port: number,
): string | undefined {
  if (upstream?.provenance === undefined) return undefined;
  const { namespace, name } = upstream.provenance;
  const policy = mesh.sources.destinationRules.get(`${namespace}/${name}`)?.spec?.trafficPolicy;
  const servicePort = upstream.ports.find((each) =>
    upstream.endpoints.some(({ ports }) => ports[each.port] === port),
  )?.port;
  const ofPort = policy?.portLevelSettings?.find((each) => each?.port?.number === servicePort);
  return ofPort === undefined ? policy?.tls?.mode : ofPort.tls?.mode;
}
