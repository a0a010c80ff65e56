/** Flags of `tulle role node`; environment names are Istio's, so its manifests work as they are. */
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '#base/errors.ts';
import type { LogLevel } from '#base/log.ts';
import { DEFAULT_TRUST_DOMAIN } from '#model/identity/spiffe.ts';
import type { AccessLogFormat } from '../access-log.ts';
import { NODE_ERRORS } from '../errors.ts';
import { ADMIN_PORT, METRICS_PORT, READINESS_PORT } from '../limits.ts';

export interface NodeOptions {
  nodeName: string;
  netnsDir: string;
  cniSocket: string;
  xdsAddress: string;
  trustDomain: string;
  clusterId: string;
  network: string;
  tokenFile: string;
  rootFile: string;
  podName: string;
  podNamespace: string;
  podIp: string;
  logLevel: LogLevel;
  logFormat: AccessLogFormat;
  adminPort: number;
  metricsPort: number;
  readinessPort: number;
  /** Capture the name look-ups of pods that do not say. */
  dnsCapture: boolean;
  /** Everything from this file instead of a control plane: tests and benchmarks. */
  staticFile: string | undefined;
}

const FLAGS = {
  'node-name': { type: 'string' },
  'netns-dir': { type: 'string' },
  'cni-socket': { type: 'string' },
  'xds-address': { type: 'string' },
  'trust-domain': { type: 'string' },
  'cluster-id': { type: 'string' },
  network: { type: 'string' },
  'token-file': { type: 'string' },
  'root-file': { type: 'string' },
  'log-level': { type: 'string' },
  'log-format': { type: 'string' },
  'admin-port': { type: 'string' },
  'metrics-port': { type: 'string' },
  'readiness-port': { type: 'string' },
  'dns-capture': { type: 'string' },
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

/** Undefined when help was asked for. */
export function parseNodeOptions(argv: string[], env: Environment): NodeOptions | undefined {
  const values = parseFlags(argv);
  if (values.help === true) return undefined;
  const nodeName = values['node-name'] ?? env.NODE_NAME ?? 'node';
  const address = values['xds-address'] ?? env.XDS_ADDRESS ?? 'istiod.istio-system.svc:15012';
  return {
    nodeName,
    netnsDir: values['netns-dir'] ?? '/run/netns',
    cniSocket: values['cni-socket'] ?? `/run/tulle/${nodeName}/cni.sock`,
    xdsAddress: address.replace(/^https:\/\//, ''),
    trustDomain: values['trust-domain'] ?? env.TRUST_DOMAIN ?? DEFAULT_TRUST_DOMAIN,
    clusterId: values['cluster-id'] ?? env.CLUSTER_ID ?? 'Kubernetes',
    network: values.network ?? env.NETWORK ?? '',
    tokenFile: values['token-file'] ?? '/var/run/secrets/tokens/istio-token',
    rootFile: values['root-file'] ?? '/var/run/secrets/istio/root-cert.pem',
    podName: env.POD_NAME ?? `node-${nodeName}`,
    podNamespace: env.POD_NAMESPACE ?? 'istio-system',
    podIp: env.INSTANCE_IP ?? env.POD_IP ?? env.NODE_IP ?? '1.1.1.1',
    logLevel: oneOf('log-level', values['log-level'] ?? 'info', ['debug', 'info', 'warn', 'error']),
    logFormat: oneOf('log-format', values['log-format'] ?? env.LOG_FORMAT ?? 'text', [
      'text',
      'json',
    ]),
    adminPort: portOf('admin-port', values['admin-port'], ADMIN_PORT),
    metricsPort: portOf('metrics-port', values['metrics-port'], METRICS_PORT),
    readinessPort: portOf('readiness-port', values['readiness-port'], READINESS_PORT),
    dnsCapture:
      oneOf('dns-capture', values['dns-capture'] ?? env.ISTIO_META_DNS_CAPTURE ?? 'true', [
        'true',
        'false',
      ]) === 'true',
    staticFile: values.static,
  };
}

function parseFlags(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: FLAGS, allowPositionals: false }).values;
  } catch (cause) {
    throw usage(messageOf(cause), cause);
  }
}

function portOf(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const port = Number(text);
  if (!Number.isInteger(port) || port < 0 || port > 65535) {
    throw usage(`--${flag} ${text}: want a port, 0 for any`);
  }
  return port;
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
