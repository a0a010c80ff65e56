/**
 * Two pods, `web` and `product` of namespace shop, in network namespaces of their own joined by a veth pair, and the mesh that
 * a node proxy has to know about them. Needs root; `remove` takes everything away.
 */
import { formatPrincipal } from '#model/identity/spiffe.ts';
import { completeService, completeWorkload, type StaticMesh } from '#node/config/static-file.ts';
import type { MeshAddress } from '#node/state/mesh-snapshot.ts';
import { createTestCa, type TestCa } from './certificates.ts';

export const CLIENT_IP = '198.18.250.2';
export const SERVER_IP = '198.18.250.3';
export const VIP = '198.18.251.1';
export const APP_PORT = 8080;
export const TRUST_DOMAIN = 'cluster.local';
export const WEB = formatPrincipal({
  trustDomain: TRUST_DOMAIN,
  namespace: 'shop',
  serviceAccount: 'web',
});
export const PRODUCT = formatPrincipal({
  trustDomain: TRUST_DOMAIN,
  namespace: 'shop',
  serviceAccount: 'product',
});

export interface PodPair {
  /** Names of the network namespaces, and their paths. */
  readonly client: string;
  readonly server: string;
  readonly clientPath: string;
  readonly serverPath: string;
  remove(): void;
}

export function makePodPair(name: string): PodPair {
  const client = `tulle-${name}-c${process.pid}`;
  const server = `tulle-${name}-s${process.pid}`;
  for (const each of [client, server]) {
    ip('netns', 'add', each);
    ip('-n', each, 'link', 'set', 'lo', 'up');
  }
  const peer = ['peer', 'name', 'eth0', 'netns', server];
  ip('-n', client, 'link', 'add', 'eth0', 'type', 'veth', ...peer);
  for (const [each, address, gateway] of [
    [client, CLIENT_IP, SERVER_IP],
    [server, SERVER_IP, CLIENT_IP],
  ]) {
    ip('-n', each, 'address', 'add', `${address}/24`, 'dev', 'eth0');
    ip('-n', each, 'link', 'set', 'eth0', 'up');
    ip('-n', each, 'route', 'add', 'default', 'via', gateway);
  }
  return {
    client,
    server,
    clientPath: pathOf(client),
    serverPath: pathOf(server),
    remove() {
      for (const each of [client, server]) Bun.spawnSync(['ip', 'netns', 'del', each]);
    },
  };
}

const pathOf = (name: string) => `/run/netns/${name}`;

function ip(...args: string[]): void {
  const done = Bun.spawnSync(['ip', ...args], { stderr: 'pipe' });
  if (!done.success) throw new Error(`ip ${args.join(' ')}: ${done.stderr}`);
}

/** Both pods on one node proxy, with certificates of that CA; no policies. */
export async function pairMesh(pair: PodPair, ca?: TestCa): Promise<StaticMesh> {
  const authority = ca ?? (await createTestCa());
  const pod = async (name: string, netns: string, principal: typeof WEB) => ({
    namespace: 'shop',
    name,
    serviceAccount: name,
    netns,
    listenAddress: '::',
    certificateFile: '',
    keyFile: '',
    rootFile: '',
    identity: await authority.issue(principal),
  });
  return {
    trustDomain: TRUST_DOMAIN,
    addresses: pairAddresses(),
    authorizations: [],
    pods: [await pod('web', pair.clientPath, WEB), await pod('product', pair.serverPath, PRODUCT)],
  };
}

/** The two workloads, and the service `product` at `VIP`:80 in front of the second. */
export function pairAddresses(): MeshAddress[] {
  const web = completeWorkload(
    {
      name: 'web',
      namespace: 'shop',
      serviceAccount: 'web',
      addresses: [CLIENT_IP],
      protocol: 'hbone',
    },
    TRUST_DOMAIN,
  );
  const product = completeWorkload(
    {
      name: 'product',
      namespace: 'shop',
      serviceAccount: 'product',
      addresses: [SERVER_IP],
      protocol: 'hbone',
      services: {
        'shop/product.shop.svc.cluster.local': [{ servicePort: 80, targetPort: APP_PORT }],
      },
    },
    TRUST_DOMAIN,
  );
  const service = completeService({
    name: 'product',
    namespace: 'shop',
    addresses: [{ network: '', address: VIP }],
    ports: [{ servicePort: 80, targetPort: APP_PORT, appProtocol: 'http' }],
  });
  return [
    { kind: 'workload', workload: web },
    { kind: 'workload', workload: product },
    { kind: 'service', service },
  ];
}
