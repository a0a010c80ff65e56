/**
 * What can be chosen when Tulle is installed: one row a value, with its type, its default and the reason for it. The JSON
 * schema, the chart's values.yaml and docs/install.md are made of these rows.
 */
import { VERSION } from '#base/version.ts';
import { DEFAULT_MESH } from '#control/derive/mesh.ts';

export type ValueType =
  | 'string'
  | 'integer'
  | 'boolean'
  | 'object'
  | 'array'
  /** A count or a percentage, as Kubernetes writes both. */
  | 'intOrString';

export interface ValueRow {
  /** Dots separate members. */
  readonly path: string;
  readonly type: ValueType;
  readonly default: unknown;
  /** What it is. */
  readonly text: string;
  /** Why the default is what it is. */
  readonly reason: string;
  readonly oneOf?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  /** Helm has another way to say it. */
  readonly notInChart?: boolean;
}

/** RFC 1123 label, as namespaces and parts of names. */
const LABEL = '^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$';
const DNS_NAME = '^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$';
/** Of PromQL; without what would have to be escaped in it or in YAML. */
const LABEL_MATCHER = '[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"[^"\'\\\\]*"';
const ABSOLUTE_PATH = '^/[^:]*$';

export const VALUE_ROWS: readonly ValueRow[] = [
  {
    path: 'namespace',
    type: 'string',
    default: DEFAULT_MESH.rootNamespace,
    pattern: LABEL,
    text: 'Namespace of the control plane and the node proxies, and root namespace of the mesh.',
    reason: 'the one that Istio’s tools look into',
    notInChart: true,
  },
  {
    path: 'revision',
    type: 'string',
    default: DEFAULT_MESH.revision,
    // As the control plane takes it: names of objects have 63 characters, and it is a part of them.
    pattern: '^[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?$',
    text: 'Name of this control plane; several revisions can run side by side.',
    reason: 'one control plane is what most clusters have',
  },
  {
    path: 'image.repository',
    type: 'string',
    default: 'tulle',
    pattern: '^[^\\s:@]+(:[0-9]+/[^\\s:@]+)?$',
    text: 'Image of every part, without its tag.',
    reason: 'one program, one image; name your registry here',
  },
  {
    path: 'image.tag',
    type: 'string',
    default: VERSION,
    pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$',
    text: 'Tag of the image.',
    reason: 'the version that makes these manifests: other versions may want others',
  },
  {
    path: 'image.pullPolicy',
    type: 'string',
    default: 'IfNotPresent',
    oneOf: ['Always', 'IfNotPresent', 'Never'],
    text: 'When nodes fetch the image.',
    reason: 'a version’s image never changes, and a node must start its proxy without a registry',
  },
  {
    path: 'image.pullSecrets',
    type: 'array',
    default: [],
    text: 'Secrets of the registry, as a pod’s imagePullSecrets.',
    reason: 'most registries of a cluster need none',
  },
  {
    path: 'trustDomain',
    type: 'string',
    default: DEFAULT_MESH.trustDomain,
    pattern: DNS_NAME,
    text: 'Trust domain of every identity: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT.',
    reason: 'Istio’s; changing it later replaces every identity',
  },
  {
    path: 'clusterId',
    type: 'string',
    default: DEFAULT_MESH.clusterId,
    pattern: '^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$',
    text: 'Name of this cluster.',
    reason: 'Istio’s',
  },
  {
    path: 'meshConfig',
    type: 'object',
    default: {},
    text: 'Further members of MeshConfig (ConfigMap istio, key mesh).',
    reason: 'Istio’s defaults hold',
  },
  {
    path: 'control.replicas',
    type: 'integer',
    default: 2,
    minimum: 1,
    maximum: 9,
    text: 'Pods of the control plane.',
    reason: 'while one is replaced or its node drained, another answers proxies and the webhook',
  },
  {
    path: 'control.resources',
    type: 'object',
    default: { requests: { cpu: '100m', memory: '160Mi' } },
    text: 'Resources of a control plane pod.',
    reason:
      'what it takes with a small mesh; no limit, as it grows with the cluster and must not be killed for that',
  },
  {
    path: 'control.nodeSelector',
    type: 'object',
    default: { 'kubernetes.io/os': 'linux' },
    text: 'Labels of the nodes that it may run on.',
    reason: 'the image is for Linux',
  },
  {
    path: 'control.tolerations',
    type: 'array',
    default: [],
    text: 'Taints that it tolerates.',
    reason: 'tainted nodes are meant for something else',
  },
  {
    path: 'control.affinity',
    type: 'object',
    default: {},
    text: 'Further affinity.',
    reason: 'pods spread over zones and nodes without it',
  },
  {
    path: 'control.logLevel',
    type: 'string',
    default: 'info',
    oneOf: ['debug', 'info', 'warn', 'error'],
    text: 'What it logs.',
    reason: 'a line for what changes, none for what repeats',
  },
  {
    path: 'control.unenforcedPolicy',
    type: 'string',
    default: DEFAULT_MESH.unenforcedPolicy,
    oneOf: ['deny', 'ignore'],
    text: 'Fate of traffic that a policy is about and no proxy on its way can judge.',
    reason: 'nothing fails open; Istio ignores it',
  },
  {
    path: 'control.consoleOpenTo',
    type: 'string',
    default: 'loopback',
    oneOf: ['loopback', 'none'],
    text: 'Who reads the console without a token: `loopback` is whoever may forward a port to its pod.',
    reason:
      'port forwarding into the mesh’s namespace is a right that few have; it works with client certificates, which are no tokens',
  },
  {
    path: 'control.prometheusUrl',
    type: 'string',
    default: '',
    pattern: "^(https?://[^\\s'@?#]+)?$",
    text: 'Address of a Prometheus that scrapes the mesh; the console’s graphs and charts of the past come from there.',
    reason: 'the console keeps a month by itself, as long as its pod lives',
  },
  {
    path: 'control.prometheusMatch',
    type: 'string',
    default: '',
    pattern: `^(${LABEL_MATCHER}(,${LABEL_MATCHER})*)?$`,
    text: 'Label matchers of this mesh’s series in it, such as cluster="eu-1".',
    reason:
      'most have the series of one mesh; where it has those of others, readers would see them',
  },
  {
    path: 'control.consoleReadOnly',
    type: 'boolean',
    default: false,
    text: 'Nobody changes anything through the console, whatever their rights.',
    reason: 'who logs in can do there what their own token may do with kubectl, and no more',
  },
  {
    path: 'control.unreadyWaypoint',
    type: 'string',
    default: DEFAULT_MESH.unreadyWaypoint,
    oneOf: ['refuse', 'bypass'],
    text: 'Fate of traffic for a waypoint that is not there yet.',
    reason: 'its policies would not be enforced; Istio lets it pass',
  },
  {
    path: 'node.enabled',
    type: 'boolean',
    default: true,
    text: 'Install the node proxies and the CNI plugin.',
    reason:
      'without them nothing is captured; a second revision leaves those of the first where they are',
  },
  {
    path: 'node.resources',
    type: 'object',
    default: { requests: { cpu: '100m', memory: '64Mi' } },
    text: 'Resources of a node proxy.',
    reason:
      'measured: 31 MiB with 100 pods, 40 after bulk traffic (docs/benchmarks.md); no limit, as a killed node proxy takes every pod of its node along, and it bounds itself',
  },
  {
    path: 'node.nodeSelector',
    type: 'object',
    default: { 'kubernetes.io/os': 'linux' },
    text: 'Labels of the nodes that have a node proxy.',
    reason: 'pods of a node without one cannot be in the mesh',
  },
  {
    path: 'node.tolerations',
    type: 'array',
    default: [{ operator: 'Exists' }],
    text: 'Taints that it tolerates.',
    reason: 'all: pods of the mesh may run on any node',
  },
  {
    path: 'node.maxSurge',
    type: 'intOrString',
    default: 1,
    pattern: '^[0-9]+%?$',
    text: 'Nodes whose proxy is replaced at a time, as a count or a percentage.',
    reason: 'the slowest is the safest; a large cluster may say 10%',
  },
  {
    path: 'node.terminationGracePeriodSeconds',
    type: 'integer',
    default: 300,
    minimum: 2,
    maximum: 86_400,
    text: 'How long the connections of a replaced node proxy may go on beside its successor.',
    reason: 'what lives longer is cut off with a line in the access log',
  },
  {
    path: 'node.logLevel',
    type: 'string',
    default: 'info',
    pattern: '^[A-Za-z0-9_.:,=-]+$',
    text: 'What it logs: a level, or level,SCOPE=level.',
    reason: 'connections of the mesh have a line each at info',
  },
  {
    path: 'node.logFormat',
    type: 'string',
    default: 'text',
    oneOf: ['text', 'json'],
    text: 'Form of the access log.',
    reason: 'ztunnel’s',
  },
  {
    path: 'node.dnsCapture',
    type: 'boolean',
    default: true,
    text: 'Answer name look-ups of captured pods; a pod’s annotation says otherwise.',
    reason: 'names of ServiceEntries are known to nobody else',
  },
  {
    path: 'cni.binDir',
    type: 'string',
    default: '/opt/cni/bin',
    pattern: ABSOLUTE_PATH,
    text: 'Where the container runtime of the nodes looks for CNI plugins.',
    reason: 'containerd’s and CRI-O’s default',
  },
  {
    path: 'cni.confDir',
    type: 'string',
    default: '/etc/cni/net.d',
    pattern: ABSOLUTE_PATH,
    text: 'Where it looks for their configuration.',
    reason: 'containerd’s and CRI-O’s default',
  },
  {
    path: 'resourceQuota',
    type: 'boolean',
    default: false,
    text: 'Make a ResourceQuota that admits pods of the system priority classes.',
    reason: 'GKE admits them nowhere else without one; elsewhere it is not needed',
  },
  {
    path: 'monitoring.podMonitor',
    type: 'boolean',
    default: false,
    text: 'PodMonitors, by which the Prometheus operator finds every part of the mesh.',
    reason:
      'clusters without the operator do not know the kind; pods are annotated for Prometheus in any case',
  },
  {
    path: 'monitoring.dashboards',
    type: 'boolean',
    default: false,
    text: 'A ConfigMap with Grafana dashboards, labelled as Grafana’s sidecar looks for them.',
    reason: 'nobody reads it where there is no Grafana',
  },
];
