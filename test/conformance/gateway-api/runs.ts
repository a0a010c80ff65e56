/**
 * What of the suite is run, in two runs: gateways, and the mesh. Apart because of the namespaces' labels: those of the mesh are
 * enrolled and use a waypoint, and what stands behind the gateways has none.
 */
import type { KubeCluster } from '#test/kube/cluster.ts';

export interface SuiteRun {
  name: string;
  profiles: readonly string[];
  /** Features to test beside the core of the profiles; without, those that the GatewayClass claims. */
  features?: readonly string[];
  namespaceLabels?: Readonly<Record<string, string>>;
  /** Made before: namespaces with a waypoint. */
  waypointNamespaces?: readonly string[];
}

const WAYPOINT = 'waypoint';
/** In the order of docs/conformance/README.md, which says why the others are not here. */
const MESH_FEATURES = [
  'MeshClusterIPMatching',
  'MeshHTTPRouteBackendRequestHeaderModification',
  'MeshHTTPRouteNamedRouteRule',
  'MeshHTTPRouteQueryParamMatching',
  'MeshHTTPRouteRedirectPath',
  'MeshHTTPRouteRedirectPort',
  'MeshHTTPRouteRewritePath',
  'MeshHTTPRouteSchemeRedirect',
];
/** Features of gateways that tests of the mesh ask for as well. */
const SHARED_FEATURES = [
  'HTTPRoute303RedirectStatusCode',
  'HTTPRoute307RedirectStatusCode',
  'HTTPRoute308RedirectStatusCode',
  'HTTPRouteParentRefPort',
  'HTTPRouteResponseHeaderModification',
];

export const RUNS: readonly SuiteRun[] = [
  { name: 'gateway', profiles: ['GATEWAY-HTTP', 'GATEWAY-GRPC', 'GATEWAY-TLS', 'GATEWAY-TCP'] },
  {
    name: 'mesh',
    profiles: ['MESH-HTTP', 'MESH-GRPC'],
    features: [...MESH_FEATURES, ...SHARED_FEATURES],
    namespaceLabels: {
      'istio.io/dataplane-mode': 'ambient',
      'istio.io/use-waypoint': WAYPOINT,
    },
    waypointNamespaces: ['gateway-conformance-mesh', 'gateway-conformance-mesh-consumer'],
  },
];

/** The test of static addresses: one that the cluster's load balancers give, and one that nobody has (RFC 5737). */
const USABLE_ADDRESS = '198.19.128.200';
const UNUSABLE_ADDRESS = '203.0.113.1';
const CLASS = 'istio';

/** The suite's flags for a run. */
export function runFlags({ profiles, features, namespaceLabels }: SuiteRun): string[] {
  const labels = Object.entries(namespaceLabels ?? {}).map(([name, value]) => `${name}=${value}`);
  return [
    `--gateway-class=${CLASS}`,
    `--conformance-profiles=${profiles.join(',')}`,
    ...(features === undefined ? [] : [`--supported-features=${features.join(',')}`]),
    ...(labels.length === 0 ? [] : [`--namespace-labels=${labels.join(',')}`]),
    `--usable-address=${USABLE_ADDRESS}`,
    `--unusable-address=${UNUSABLE_ADDRESS}`,
  ];
}

/** Namespaces with their waypoints, Programmed. The suite finds them there, and deletes the namespaces when it ends. */
export async function makeWaypoints(cluster: KubeCluster, run: SuiteRun): Promise<void> {
  const { waypointNamespaces: namespaces = [], namespaceLabels: labels } = run;
  if (namespaces.length === 0) return;
  const items = namespaces.flatMap((name) => [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { name: WAYPOINT, namespace: name },
      spec: {
        gatewayClassName: 'istio-waypoint',
        listeners: [{ name: 'mesh', port: 15_008, protocol: 'HBONE' }],
      },
    },
  ]);
  const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items });
  await kubectl(cluster, ['apply', '-f', '-'], input);
  const gateway = `gateways.gateway.networking.k8s.io/${WAYPOINT}`;
  for (const namespace of namespaces) {
    const condition = ['--for=condition=Programmed', '--timeout=120s'];
    await kubectl(cluster, ['wait', '-n', namespace, ...condition, gateway]);
  }
}

async function kubectl(cluster: KubeCluster, args: string[], input?: string): Promise<void> {
  const { code, stderr } = await cluster.kubectl(args, input === undefined ? {} : { input });
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
}
