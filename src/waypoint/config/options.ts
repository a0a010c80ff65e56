/** Flags of `tulle role waypoint`; environment names are Istio's, so that its manifests work as they are. */
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '#base/errors.ts';
import type { LogLevel } from '#base/log.ts';
import { parseDurationMs } from '#config/compile/scalars.ts';
import { DEFAULT_TRUST_DOMAIN } from '#model/identity/spiffe.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';

export type AccessLogChoice = 'text' | 'json' | 'off';

export interface WaypointRoleOptions {
  readonly podName: string;
  readonly podNamespace: string;
  readonly podIp: string;
  /** For failover by label: the file that the downward API writes (Istio: /etc/istio/pod/labels). */
  readonly podLabels: Readonly<Record<string, string>>;
  readonly nodeName: string;
  readonly gatewayName: string;
  readonly serviceAccount: string;
  readonly trustDomain: string;
  readonly clusterId: string;
  readonly network: string;
  /** Istio's name of the mesh, for spans; may be empty. */
  readonly meshId: string;
  /** `host:port`. */
  readonly xdsAddress: string;
  readonly caAddress: string;
  readonly tokenFile: string;
  readonly rootFile: string;
  /** Revocation lists that peers' certificates are judged by, as the node proxy's; undefined = none. */
  readonly crlFile: string | undefined;
  readonly hbonePort: number;
  /** On loopback. */
  readonly adminPort: number;
  readonly metricsPort: number;
  readonly readinessPort: number;
  readonly accessLog: AccessLogChoice;
  readonly logLevel: LogLevel;
  /** Streams on which nothing moves for as long are ended; 0 never. */
  /** Undefined: what the kind of proxy has. */
  readonly streamIdleMs: number | undefined;
  /** Longest time of a stream; 0 = none. */
  readonly streamLifeMs: number;
  /** Tables and upstreams from this file on a plain listener, without a control plane. */
  readonly staticFile: string | undefined;
}

const FLAGS = {
  'xds-address': { type: 'string' },
  'ca-address': { type: 'string' },
  'token-file': { type: 'string' },
  'root-file': { type: 'string' },
  'crl-file': { type: 'string' },
  'trust-domain': { type: 'string' },
  'hbone-port': { type: 'string' },
  'admin-port': { type: 'string' },
  'metrics-port': { type: 'string' },
  'readiness-port': { type: 'string' },
  'access-log': { type: 'string' },
  'log-level': { type: 'string' },
  'stream-idle-timeout': { type: 'string' },
  'max-stream-duration': { type: 'string' },
  static: { type: 'string' },
  help: { type: 'boolean' },
} as const;

export const WAYPOINT_HELP = `usage: tulle role waypoint [flags]
${Object.keys(FLAGS)
  .map((flag) => `  --${flag}`)
  .join('\n')}
`;

const POD_LABELS_FILE = '/etc/istio/pod/labels';
const DEFAULT_CONTROL = 'istiod.istio-system.svc:15012';

/** Undefined when help was asked for. */
export function parseWaypointOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): WaypointRoleOptions | undefined {
  const values = parseFlags(argv);
  if (values.help === true) return undefined;
  const xdsAddress = values['xds-address'] ?? env.XDS_ADDRESS ?? DEFAULT_CONTROL;
  return {
    podName: env.POD_NAME ?? 'waypoint',
    podNamespace: env.POD_NAMESPACE ?? 'default',
    podIp: env.INSTANCE_IP ?? env.POD_IP ?? '0.0.0.0',
    podLabels: readPodLabels(env.POD_LABELS_FILE ?? POD_LABELS_FILE),
    nodeName: env.NODE_NAME ?? '',
    gatewayName: env.GATEWAY_NAME ?? '',
    serviceAccount: env.SERVICE_ACCOUNT ?? 'default',
    trustDomain: values['trust-domain'] ?? env.TRUST_DOMAIN ?? DEFAULT_TRUST_DOMAIN,
    clusterId: env.ISTIO_META_CLUSTER_ID ?? env.CLUSTER_ID ?? 'Kubernetes',
    network: env.NETWORK ?? '',
    meshId: env.ISTIO_META_MESH_ID ?? '',
    xdsAddress: bare(xdsAddress),
    caAddress: bare(values['ca-address'] ?? env.CA_ADDRESS ?? xdsAddress),
    tokenFile: values['token-file'] ?? '/var/run/secrets/tokens/istio-token',
    rootFile: values['root-file'] ?? '/var/run/secrets/istio/root-cert.pem',
    crlFile: (values['crl-file'] ?? env.CRL_PATH) || undefined,
    hbonePort: portOf('hbone-port', values['hbone-port'], 15008),
    adminPort: portOf('admin-port', values['admin-port'], 15000),
    metricsPort: portOf('metrics-port', values['metrics-port'], 15020),
    readinessPort: portOf('readiness-port', values['readiness-port'], 15021),
    accessLog: oneOf('access-log', values['access-log'] ?? 'text', ['text', 'json', 'off']),
    streamIdleMs: durationOf(
      'stream-idle-timeout',
      values['stream-idle-timeout'] ?? env.STREAM_IDLE_TIMEOUT,
      undefined,
    ),
    streamLifeMs: durationOf(
      'max-stream-duration',
      values['max-stream-duration'] ?? env.MAX_STREAM_DURATION,
      0,
    ),
    logLevel: oneOf('log-level', values['log-level'] ?? 'info', ['debug', 'info', 'warn', 'error']),
    staticFile: values.static,
  };
}

/** `key="value"` a line; Kubernetes quotes values as Go does. A pod without the file has no labels to compare. */
function readPodLabels(path: string): Record<string, string> {
  if (!existsSync(path)) return {};
  const lines = readFileSync(path, 'utf8').split('\n');
  return Object.fromEntries(
    lines.flatMap((line) => {
      const [, key, value] = /^([^=]+)="(.*)"$/.exec(line) ?? [];
      return key === undefined ? [] : [[key, value]];
    }),
  );
}

function bare(address: string): string {
  return address.replace(/^https:\/\//, '');
}

function parseFlags(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: FLAGS, allowPositionals: false }).values;
  } catch (cause) {
    throw usage(messageOf(cause), cause);
  }
}

function durationOf<T extends number | undefined>(
  flag: string,
  text: string | undefined,
  otherwiseMs: T,
): number | T {
  if (text === undefined) return otherwiseMs;
  const valueMs = parseDurationMs(text);
  if (valueMs !== undefined) return valueMs;
  throw usage(`--${flag} ${text}: want a duration such as 90s or 1h, 0 for none`);
}

function portOf(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw usage(`--${flag} ${text}: want a port, 0 for any`);
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((each) => each === value);
  if (found !== undefined) return found;
  throw usage(`--${flag} ${value}: want one of ${allowed.join(', ')}`);
}

function usage(message: string, cause?: unknown): MeshError {
  const hint = WAYPOINT_ERRORS.WAYPOINT_OPTIONS;
  return new MeshError('WAYPOINT_OPTIONS', message, { side: 'config', hint, cause });
}
