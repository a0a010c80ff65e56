/** Flags of `tulle role node`; environment names are Istio's, so its manifests work as they are. */
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '#base/errors.ts';
import { LogLevels } from '#base/log.ts';
import { DEFAULT_TRUST_DOMAIN } from '#model/identity/spiffe.ts';
import type { AccessLogFormat } from '../access-log.ts';
import { DEFAULT_DNS_SETTINGS, type DnsSettings } from '../dns/decide.ts';
import { NODE_ERRORS } from '../errors.ts';
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT, WORKERS_MAX } from '../limits.ts';
import type { PodLimits } from '../usage/pod-limits.ts';
import { CNI_FLAGS, type CniOptions, cniOptionsOf, excludedNamespacesOf } from './cni-options.ts';
import { cpuLimit } from './cpu-limit.ts';

export interface NodeOptions {
  nodeName: string;
  netnsDir: string;
  cniSocket: string;
  /** The plugin that asks on it. */
  cni: CniOptions;
  /** No pod of these is captured. */
  excludeNamespaces: readonly string[];
  /** Where an outside CNI agent listens that captures the pods (ZDS); undefined: we capture them. */
  inpodSocket: string | undefined;
  /** Where outside ztunnels are told of the pods that we capture (ZDS); undefined: we serve them. */
  ztunnelSocket: string | undefined;
  xdsAddress: string;
  /** Of the certificate service; most often the same. */
  caAddress: string;
  trustDomain: string;
  clusterId: string;
  network: string;
  tokenFile: string;
  rootFile: string;
  caRootFile: string;
  /** Further metadata of the xDS node. */
  nodeMetadata: Readonly<Record<string, string>>;
  /** Further fields of calls for discovery, and of those for certificates. */
  xdsHeaders: Readonly<Record<string, string>>;
  caHeaders: Readonly<Record<string, string>>;
  podName: string;
  podNamespace: string;
  podIp: string;
  /** As RUST_LOG: `info`, or `info,access=debug`. */
  logLevels: LogLevels;
  /** Those that were named; each has a flag and a variable. */
  podLimits: Partial<PodLimits>;
  logFormat: AccessLogFormat;
  adminPort: number;
  metricsPort: number;
  readinessPort: number;
  /** Capture the name look-ups of pods that do not say. */
  dnsCapture: boolean;
  dns: DnsSettings;
  /** From SIGTERM to the end by force; undefined where nobody said how long we may take. */
  drainDeadlineMs: number | undefined;
  /** Revocation lists (PEM); undefined when none are kept. */
  crlFile: string | undefined;
  /** Threads that carry traffic besides the main one. */
  workers: number;
  /** Everything from this file instead of a control plane: tests and benchmarks. */
  staticFile: string | undefined;
}

const FLAGS = {
  'node-name': { type: 'string' },
  'netns-dir': { type: 'string' },
  'cni-socket': { type: 'string' },
  ...CNI_FLAGS,
  'inpod-uds': { type: 'string' },
  'ztunnel-uds-address': { type: 'string' },
  'xds-address': { type: 'string' },
  'trust-domain': { type: 'string' },
  'cluster-id': { type: 'string' },
  network: { type: 'string' },
  'token-file': { type: 'string' },
  'root-file': { type: 'string' },
  'crl-file': { type: 'string' },
  'log-level': { type: 'string' },
  'log-format': { type: 'string' },
  'pod-inbound-connections-max': { type: 'string' },
  'pod-outbound-connections-max': { type: 'string' },
  'pod-streams-max': { type: 'string' },
  'pod-pending-connects-max': { type: 'string' },
  'pod-buffered-bytes-max': { type: 'string' },
  'peer-streams-max': { type: 'string' },
  'admin-port': { type: 'string' },
  'metrics-port': { type: 'string' },
  'readiness-port': { type: 'string' },
  'dns-capture': { type: 'string' },
  'termination-grace-period-seconds': { type: 'string' },
  workers: { type: 'string' },
  static: { type: 'string' },
  help: { type: 'boolean' },
} as const;

export const NODE_HELP = `usage: tulle role node [flags]
${Object.keys(FLAGS)
  .filter((flag) => flag !== 'static')
  .map((flag) => `  --${flag}`)
  .join('\n')}
`;

type Environment = Record<string, string | undefined>;

export function statusPortsOf(options: NodeOptions) {
  const { adminPort: admin, metricsPort: metrics, readinessPort: readiness } = options;
  return { admin, metrics, readiness };
}

const TOKEN_FILE = '/var/run/secrets/tokens/istio-token';
const ROOT_FILE = '/var/run/secrets/istio/root-cert.pem';
const METADATA_PREFIX = 'ISTIO_META_';
/** RFC 9110 §5.1 and §5.5. */
const HEADER_NAME = /^[-!#$%&'*+.^_`|~0-9a-z]+$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;

/** Undefined when help was asked for. */
export function parseNodeOptions(argv: string[], env: Environment): NodeOptions | undefined {
  const values = parseFlags(argv);
  if (values.help === true) return undefined;
  const nodeName = values['node-name'] ?? env.NODE_NAME ?? 'node';
  const address = values['xds-address'] ?? env.XDS_ADDRESS ?? 'istiod.istio-system.svc:15012';
  const rootFile = values['root-file'] ?? env.XDS_ROOT_CA ?? ROOT_FILE;
  const nodeMetadata = metadataOf(env);
  const podNamespace = env.POD_NAMESPACE ?? 'istio-system';
  return {
    nodeName,
    netnsDir: values['netns-dir'] ?? '/run/netns',
    cniSocket: values['cni-socket'] ?? `/run/tulle/${nodeName}/cni.sock`,
    cni: cniOptionsOf(
      oneOf('cni', values.cni ?? env.TULLE_CNI ?? 'off', ['install', 'off', 'uninstall']),
      values,
      env,
    ),
    excludeNamespaces: excludedNamespacesOf(values, env, podNamespace),
    ztunnelSocket: values['ztunnel-uds-address'] ?? env.ZTUNNEL_UDS_ADDRESS,
    inpodSocket: values['inpod-uds'] ?? env.INPOD_UDS,
    xdsAddress: withoutScheme(address),
    caAddress: withoutScheme(env.CA_ADDRESS ?? address),
    trustDomain: values['trust-domain'] ?? env.TRUST_DOMAIN ?? DEFAULT_TRUST_DOMAIN,
    clusterId: values['cluster-id'] ?? nodeMetadata.CLUSTER_ID ?? env.CLUSTER_ID ?? 'Kubernetes',
    network: values.network ?? env.NETWORK ?? '',
    tokenFile: values['token-file'] ?? env.AUTH_TOKEN ?? TOKEN_FILE,
    rootFile,
    caRootFile: values['root-file'] ?? env.CA_ROOT_CA ?? rootFile,
    nodeMetadata,
    xdsHeaders: headersOf(env, 'XDS_HEADER_'),
    caHeaders: headersOf(env, 'CA_HEADER_'),
    crlFile: (values['crl-file'] ?? env.CRL_PATH) || undefined,
    podName: env.POD_NAME ?? `node-${nodeName}`,
    podNamespace,
    podIp: env.INSTANCE_IP ?? env.POD_IP ?? env.NODE_IP ?? '1.1.1.1',
    logLevels: levelsOf(values['log-level'] ?? (env.RUST_LOG || 'info')),
    podLimits: podLimitsOf(values, env),
    logFormat: oneOf('log-format', values['log-format'] ?? env.LOG_FORMAT ?? 'text', [
      'text',
      'json',
    ]),
    adminPort: portOf('admin-port', values['admin-port'], ADMIN_PORT),
    metricsPort: portOf('metrics-port', values['metrics-port'], METRICS_PORT),
    readinessPort: portOf('readiness-port', values['readiness-port'], READINESS_PORT),
    dns: {
      domain: env.CLUSTER_DOMAIN ?? DEFAULT_DNS_SETTINGS.domain,
      ipv6: env.IPV6_ENABLED !== 'false',
      // As Istio spells it.
      preferredNamespace: env.PREFERED_SERVICE_NAMESPACE,
    },
    dnsCapture:
      oneOf('dns-capture', values['dns-capture'] ?? env.ISTIO_META_DNS_CAPTURE ?? 'true', [
        'true',
        'false',
      ]) === 'true',
    drainDeadlineMs: drainDeadlineOf(
      values['termination-grace-period-seconds'] ?? env.TERMINATION_GRACE_PERIOD_SECONDS,
    ),
    workers: workersOf(values.workers ?? env.TULLE_WORKERS),
    staticFile: values.static,
  };
}

function withoutScheme(address: string): string {
  return address.replace(/^https:\/\//, '');
}

/** What an operator wants the control plane to know of this node: `ISTIO_META_X` becomes `X` (ztunnel src/config.rs). */
function metadataOf(env: Environment): Record<string, string> {
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith(METADATA_PREFIX) || value === undefined) continue;
    metadata[name.slice(METADATA_PREFIX.length)] = value;
  }
  return metadata;
}

/** `XDS_HEADER_X-Tenant=a` becomes `x-tenant: a` (ztunnel src/config.rs). */
function headersOf(env: Environment, prefix: string): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(prefix) || value === undefined) continue;
    const name = variable.slice(prefix.length).toLowerCase();
    if (!HEADER_NAME.test(name) || !HEADER_VALUE.test(value)) {
      throw usage(
        `${variable}: what follows ${prefix} is no name of a field, or its value is no text`,
      );
    }
    headers[name] = value;
  }
  return headers;
}

function parseFlags(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: FLAGS, allowPositionals: false }).values;
  } catch (cause) {
    throw usage(messageOf(cause), cause);
  }
}

function levelsOf(text: string): LogLevels {
  if (LogLevels.valid(text)) return new LogLevels(text);
  throw usage(`--log-level ${text}: want off, error, warn, info or debug, or SCOPE=LEVEL,…`);
}

const LIMIT_FLAGS = {
  inboundConnectionsMax: 'pod-inbound-connections-max',
  outboundConnectionsMax: 'pod-outbound-connections-max',
  streamsMax: 'pod-streams-max',
  pendingConnectsMax: 'pod-pending-connects-max',
  bufferedBytesMax: 'pod-buffered-bytes-max',
  peerStreamsMax: 'peer-streams-max',
} as const satisfies Record<keyof PodLimits, keyof typeof FLAGS>;

/** `--pod-streams-max 500` or POD_STREAMS_MAX=500. */
function podLimitsOf(values: ReturnType<typeof parseFlags>, env: Environment): Partial<PodLimits> {
  const chosen: Partial<Record<keyof PodLimits, number>> = {};
  for (const [name, flag] of Object.entries(LIMIT_FLAGS)) {
    const text = values[flag] ?? env[flag.toUpperCase().replaceAll('-', '_')];
    if (text === undefined || text === '') continue;
    const limit = Number(text);
    if (!Number.isInteger(limit) || limit < 1) {
      throw usage(`--${flag} ${text}: want a whole number above 0`);
    }
    chosen[name as keyof PodLimits] = limit;
  }
  return chosen;
}

/** As ztunnel (src/config.rs): the kubelet's grace less five seconds, less one of a short grace. */
function drainDeadlineOf(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined;
  const seconds = Number(text);
  if (!(seconds >= 1)) throw usage(`a termination grace of ${text} seconds: want 1 or more`);
  return (seconds > 10 ? seconds - 5 : seconds - 1) * 1000;
}

function portOf(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw usage(`--${flag} ${text}: want a port, 0 for any`);
  }
  return port;
}

/** Without a CPU limit one loop serves the node: memory first, and who wants more cores says so. */
function workersOf(text: string | undefined): number {
  if (text === undefined) return Math.min(WORKERS_MAX, Math.max(0, cpuLimit() - 1));
  const count = Number(text);
  if (!Number.isInteger(count) || count < 0 || count > WORKERS_MAX) {
    throw usage(`--workers ${text}: want a whole number, 0 to ${WORKERS_MAX}`);
  }
  return count;
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found === undefined) throw usage(`--${flag} ${value}: want one of ${allowed.join(', ')}`);
  return found;
}

function usage(message: string, cause?: unknown): MeshError {
  return new MeshError('NODE_OPTIONS', message, {
    side: 'config',
    hint: NODE_ERRORS.NODE_OPTIONS,
    cause,
  });
}
