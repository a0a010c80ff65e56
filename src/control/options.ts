/** Flags and environment of the control role. */
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '#base/errors.ts';
import type { LogLevel } from '#base/log.ts';
import type { MeshSettings } from './derive/mesh.ts';
import { DEFAULT_MESH } from './derive/mesh.ts';
import { CONTROL_ERRORS } from './errors.ts';

export interface HostPort {
  readonly hostname: string;
  readonly port: number;
}

export interface ControlOptions {
  /** Undefined: inside a pod. */
  readonly kubeconfig: string | undefined;
  readonly discovery: HostPort;
  readonly monitoring: HostPort;
  /** Undefined: `--console-listen=off`. */
  readonly console: HostPort | undefined;
  readonly consoleUnix: string | undefined;
  readonly proxyImage: string;
  /** Our pod's name: who holds the lease. */
  readonly identity: string;
  readonly logLevel: LogLevel;
  readonly mesh: MeshSettings;
}

export const HELP = `tulle role control: configuration, certificates and telemetry of the mesh
  --kubeconfig FILE         API server to use (default: the pod's service account)
  --discovery-listen H:P    xDS and CA (default 0.0.0.0:15012)
  --monitoring-listen H:P   /metrics /ready /version (default 0.0.0.0:15014)
  --console-listen H:P|off  console JSON and overview (default 0.0.0.0:20001)
  --console-unix PATH       the same on a unix socket
  --proxy-image IMAGE       image of waypoints (default tulle)
  --root-namespace NAME     (default istio-system)
  --trust-domain NAME       (default cluster.local)
  --cluster-id NAME         (default Kubernetes)
  --unenforced-policy deny|ignore
                            traffic that a policy is about and no proxy can judge (default deny)
  --log-level LEVEL         debug, info, warn or error (default info)
`;

const FLAGS = {
  kubeconfig: { type: 'string' },
  'discovery-listen': { type: 'string', default: '0.0.0.0:15012' },
  'monitoring-listen': { type: 'string', default: '0.0.0.0:15014' },
  'console-listen': { type: 'string', default: '0.0.0.0:20001' },
  'console-unix': { type: 'string' },
  'proxy-image': { type: 'string', default: 'tulle' },
  'root-namespace': { type: 'string', default: DEFAULT_MESH.rootNamespace },
  'trust-domain': { type: 'string', default: DEFAULT_MESH.trustDomain },
  'cluster-id': { type: 'string', default: DEFAULT_MESH.clusterId },
  'unenforced-policy': { type: 'string', default: DEFAULT_MESH.unenforcedPolicy },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
} as const;

/** Undefined when help is asked for; throws CONTROL_USAGE. */
export function parseControlOptions(
  argv: string[],
  env: Record<string, string | undefined>,
): ControlOptions | undefined {
  const values = parseFlags(argv);
  if (values.help) return undefined;
  const level = values['log-level'];
  if (level !== 'debug' && level !== 'info' && level !== 'warn' && level !== 'error')
    throw usage(`--log-level ${level} is none of debug, info, warn, error`);
  const unenforcedPolicy = values['unenforced-policy'];
  if (unenforcedPolicy !== 'deny' && unenforcedPolicy !== 'ignore')
    throw usage(`--unenforced-policy ${unenforcedPolicy} is neither deny nor ignore`);
  const consoleListen = values['console-listen'];
  return {
    kubeconfig: values.kubeconfig,
    discovery: hostPort('--discovery-listen', values['discovery-listen']),
    monitoring: hostPort('--monitoring-listen', values['monitoring-listen']),
    console: consoleListen === 'off' ? undefined : hostPort('--console-listen', consoleListen),
    consoleUnix: values['console-unix'],
    proxyImage: values['proxy-image'],
    identity: env.POD_NAME || env.HOSTNAME || `control-${process.pid}`,
    logLevel: level,
    mesh: {
      ...DEFAULT_MESH,
      rootNamespace: values['root-namespace'],
      trustDomain: values['trust-domain'],
      clusterId: values['cluster-id'],
      unenforcedPolicy,
    },
  };
}

function parseFlags(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: FLAGS, strict: true }).values;
  } catch (error) {
    throw usage(messageOf(error), error);
  }
}

function hostPort(flag: string, text: string): HostPort {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  if (colon < 1 || !Number.isInteger(port) || port < 0 || port > 65_535)
    throw usage(`${flag} ${text} is not HOST:PORT`);
  return { hostname: text.slice(0, colon).replace(/^\[|\]$/g, ''), port };
}

function usage(message: string, cause?: unknown): MeshError {
  return new MeshError('CONTROL_USAGE', message, {
    side: 'config',
    hint: CONTROL_ERRORS.CONTROL_USAGE,
    cause,
  });
}
