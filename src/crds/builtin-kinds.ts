/** The custom kinds that are served from the start: names, versions and columns, one row a kind. */

export interface Column {
  name: string;
  type: 'string' | 'date' | 'integer';
  jsonPath: string;
  description?: string;
  priority?: number;
}

export interface KindVersion {
  name: string;
  storage?: boolean;
  deprecated?: boolean;
  /** The version whose schema the packages have, when it is another. */
  schemaOf?: string;
}

export interface BuiltinKind {
  group: string;
  kind: string;
  plural: string;
  shortNames?: readonly string[];
  categories: readonly string[];
  clusterScoped?: boolean;
  versions: readonly KindVersion[];
  columns: readonly Column[];
  hasStatus: boolean;
}

const AGE: Column = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was created.',
};

function text(name: string, jsonPath: string, description?: string): Column {
  return { name, type: 'string', jsonPath, description };
}

function istio(
  group: string,
  kind: string,
  plural: string,
  shortNames: readonly string[],
  versions: readonly KindVersion[],
  columns: readonly Column[],
): BuiltinKind {
  const categories = ['istio-io', `${group.replaceAll('.', '-')}`];
  return { group, kind, plural, shortNames, categories, versions, columns, hasStatus: true };
}

const NETWORKING = 'networking.istio.io';
const SECURITY = 'security.istio.io';
const THREE: readonly KindVersion[] = [
  { name: 'v1', storage: true },
  { name: 'v1alpha3', schemaOf: 'v1' },
  { name: 'v1beta1', schemaOf: 'v1' },
];
const TWO: readonly KindVersion[] = [
  { name: 'v1', storage: true },
  { name: 'v1beta1', schemaOf: 'v1' },
];
const TELEMETRY: readonly KindVersion[] = [
  { name: 'v1', schemaOf: 'v1alpha1' },
  { name: 'v1alpha1', storage: true },
];

export const ISTIO_KINDS: readonly BuiltinKind[] = [
  istio(NETWORKING, 'DestinationRule', 'destinationrules', ['dr'], THREE, [
    text('Host', '.spec.host', 'The host that the rule applies to.'),
    AGE,
  ]),
  istio(NETWORKING, 'EnvoyFilter', 'envoyfilters', [], [{ name: 'v1alpha3', storage: true }], []),
  istio(NETWORKING, 'Gateway', 'gateways', ['gw'], THREE, []),
  istio(NETWORKING, 'ProxyConfig', 'proxyconfigs', [], [{ name: 'v1beta1', storage: true }], []),
  istio(NETWORKING, 'ServiceEntry', 'serviceentries', ['se'], THREE, [
    text('Hosts', '.spec.hosts', 'The hosts of the entry.'),
    text('Location', '.spec.location', 'Inside or outside the mesh.'),
    text('Resolution', '.spec.resolution', 'How the endpoints are found.'),
    AGE,
  ]),
  istio(NETWORKING, 'Sidecar', 'sidecars', [], THREE, []),
  istio(NETWORKING, 'VirtualService', 'virtualservices', ['vs'], THREE, [
    text('Gateways', '.spec.gateways', 'The gateways that apply these routes.'),
    text('Hosts', '.spec.hosts', 'The hosts that traffic is sent to.'),
    AGE,
  ]),
  istio(NETWORKING, 'WorkloadEntry', 'workloadentries', ['we'], THREE, [
    AGE,
    text('Address', '.spec.address', 'The address of the endpoint.'),
  ]),
  istio(NETWORKING, 'WorkloadGroup', 'workloadgroups', ['wg'], THREE, [AGE]),
  istio(SECURITY, 'AuthorizationPolicy', 'authorizationpolicies', ['ap'], TWO, [
    text('Action', '.spec.action', 'What the policy does to a request that matches.'),
    AGE,
  ]),
  istio(SECURITY, 'PeerAuthentication', 'peerauthentications', ['pa'], TWO, [
    text('Mode', '.spec.mtls.mode', 'Whether peers must use mutual TLS.'),
    AGE,
  ]),
  istio(SECURITY, 'RequestAuthentication', 'requestauthentications', ['ra'], TWO, []),
  istio('telemetry.istio.io', 'Telemetry', 'telemetries', ['telemetry'], TELEMETRY, [AGE]),
  istio(
    'extensions.istio.io',
    'WasmPlugin',
    'wasmplugins',
    [],
    [{ name: 'v1alpha1', storage: true }],
    [AGE],
  ),
];

const GATEWAY = 'gateway.networking.k8s.io';

function condition(name: string): Column {
  return text(name, `.status.conditions[?(@.type=="${name}")].status`);
}

function gateway(
  row: Omit<BuiltinKind, 'group' | 'categories' | 'hasStatus'> & { group?: string },
): BuiltinKind {
  return {
    group: GATEWAY,
    categories: ['gateway-api'],
    hasStatus: row.kind !== 'ReferenceGrant',
    ...row,
  };
}

const HOSTNAMES = text('Hostnames', '.spec.hostnames');
const STABLE: readonly KindVersion[] = [
  { name: 'v1', storage: true },
  { name: 'v1beta1', schemaOf: 'v1' },
];

export const GATEWAY_KINDS: readonly BuiltinKind[] = [
  gateway({
    kind: 'BackendTLSPolicy',
    plural: 'backendtlspolicies',
    shortNames: ['btlspolicy'],
    versions: [
      { name: 'v1', storage: true },
      { name: 'v1alpha3', schemaOf: 'v1', deprecated: true },
    ],
    columns: [AGE],
  }),
  gateway({
    kind: 'GatewayClass',
    plural: 'gatewayclasses',
    shortNames: ['gc'],
    clusterScoped: true,
    versions: STABLE,
    columns: [
      text('Controller', '.spec.controllerName'),
      condition('Accepted'),
      AGE,
      { ...text('Description', '.spec.description'), priority: 1 },
    ],
  }),
  gateway({
    kind: 'Gateway',
    plural: 'gateways',
    shortNames: ['gtw'],
    versions: STABLE,
    columns: [
      text('Class', '.spec.gatewayClassName'),
      text('Address', '.status.addresses[*].value'),
      condition('Programmed'),
      AGE,
    ],
  }),
  gateway({
    kind: 'GRPCRoute',
    plural: 'grpcroutes',
    versions: [{ name: 'v1', storage: true }],
    columns: [HOSTNAMES, AGE],
  }),
  gateway({ kind: 'HTTPRoute', plural: 'httproutes', versions: STABLE, columns: [HOSTNAMES, AGE] }),
  gateway({
    kind: 'ListenerSet',
    plural: 'listenersets',
    shortNames: ['lset'],
    versions: [{ name: 'v1', storage: true }],
    columns: [condition('Accepted'), condition('Programmed'), AGE],
  }),
  gateway({
    kind: 'ReferenceGrant',
    plural: 'referencegrants',
    shortNames: ['refgrant'],
    versions: [
      { name: 'v1', schemaOf: 'v1beta1' },
      { name: 'v1beta1', storage: true },
    ],
    columns: [AGE],
  }),
  gateway({
    kind: 'TCPRoute',
    plural: 'tcproutes',
    versions: [{ name: 'v1', storage: true, schemaOf: 'v1alpha2' }, { name: 'v1alpha2' }],
    columns: [AGE],
  }),
  gateway({
    kind: 'TLSRoute',
    plural: 'tlsroutes',
    versions: [
      { name: 'v1', storage: true },
      { name: 'v1alpha2', schemaOf: 'v1', deprecated: true },
      { name: 'v1alpha3', schemaOf: 'v1', deprecated: true },
    ],
    columns: [AGE],
  }),
  gateway({
    kind: 'UDPRoute',
    plural: 'udproutes',
    versions: [{ name: 'v1', storage: true, schemaOf: 'v1alpha2' }, { name: 'v1alpha2' }],
    columns: [AGE],
  }),
  gateway({
    group: 'gateway.networking.x-k8s.io',
    kind: 'XBackendTrafficPolicy',
    plural: 'xbackendtrafficpolicies',
    shortNames: ['xbtrafficpolicy'],
    versions: [{ name: 'v1alpha1', storage: true }],
    columns: [AGE],
  }),
];
