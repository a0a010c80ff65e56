/** Flags and environment of the control role. */
import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { MeshError, messageOf } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { LogLevel } from '#base/log.ts';
import type { PrometheusOptions } from '#console/prometheus/client.ts';
import type { AccessOptions } from '#console/server/access/access.ts';
import { wildcardAddress } from '#net/wildcard.ts';
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
  /** Undefined: `--webhook-listen=off`. */
  readonly webhook: HostPort | undefined;
  /** Undefined: `--console-listen=off`. */
  readonly console: HostPort | undefined;
  readonly consoleUnix: string | undefined;
  readonly consoleAccess: AccessOptions;
  /** Undefined: in memory. */
  readonly consoleStore: string | undefined;
  /** Where the console asks for what its store does not hold second by second. */
  readonly prometheus: PrometheusOptions | undefined;
  readonly proxyImage: string;
  readonly proxyPriorityClass: string | undefined;
  /** Our pod's name: who holds the lease. */
  readonly identity: string;
  readonly logLevel: LogLevel;
  readonly mesh: MeshSettings;
}

export const HELP = `tulle role control: configuration, certificates and telemetry of the mesh
  --kubeconfig FILE         API server to use (default: the pod's service account)
  --discovery-listen H:P    xDS and CA (default port 15012 of every address)
  --monitoring-listen H:P   /metrics /ready /version (default port 15014)
  --webhook-listen H:P|off  the API server asks before it stores an object (default port 15017)
  --console-listen H:P|off  console and its API (default port 20001)
  --console-unix PATH       the same on a unix socket
  --console-store DIR       where what flowed and changed is kept (default: in memory, gone with the process)
  --prometheus-url URL      a Prometheus that scrapes the mesh: graphs and charts of the past come from there
  --prometheus-match TEXT   label matchers of this mesh's series in it, where it has others too: cluster="eu-1"
  --console-open-to WHO,…|none
                            who needs no log-in: loopback (where port forwarding ends), addresses (default loopback)
  --console-guests read|write
                            what they may do without a token of their own (default read)
  --console-read-only[=true|false]
                            nobody changes anything through the console (default false)
  --console-host NAME,…     names that it is served under, besides addresses, localhost and its Service
  --proxy-image IMAGE       image of waypoints and gateways (default tulle)
  --proxy-priority-class NAME
                            their priority class, which must exist (default: the cluster's)
  --root-namespace NAME     (default istio-system)
  --trust-domain NAME       (default cluster.local)
  --cluster-id NAME         (default Kubernetes)
  --revision NAME           which of several control planes this is: label istio.io/rev (default default)
  --unenforced-policy deny|ignore
                            traffic that a policy is about and no proxy can judge (default deny)
  --unready-waypoint refuse|bypass
                            traffic for a waypoint that is not there yet (default refuse)
  --log-level LEVEL         debug, info, warn or error (default info)
`;

const everywhere = (port: number) => formatHostPort(wildcardAddress(), port);

const FLAGS = {
  kubeconfig: { type: 'string' },
  'discovery-listen': { type: 'string', default: everywhere(15_012) },
  'monitoring-listen': { type: 'string', default: everywhere(15_014) },
  'webhook-listen': { type: 'string', default: everywhere(15_017) },
  'console-listen': { type: 'string', default: everywhere(20_001) },
  'console-unix': { type: 'string' },
  'console-store': { type: 'string' },
  'prometheus-url': { type: 'string', default: '' },
  'prometheus-match': { type: 'string', default: '' },
  'console-open-to': { type: 'string', default: 'loopback' },
  'console-guests': { type: 'string', default: 'read' },
  'console-read-only': { type: 'boolean', default: false },
  'console-host': { type: 'string', default: '' },
  'proxy-image': { type: 'string', default: 'tulle' },
  'proxy-priority-class': { type: 'string' },
  'root-namespace': { type: 'string', default: DEFAULT_MESH.rootNamespace },
  'trust-domain': { type: 'string', default: DEFAULT_MESH.trustDomain },
  'cluster-id': { type: 'string', default: DEFAULT_MESH.clusterId },
  revision: { type: 'string', default: DEFAULT_MESH.revision },
  'unenforced-policy': { type: 'string', default: DEFAULT_MESH.unenforcedPolicy },
  'unready-waypoint': { type: 'string', default: DEFAULT_MESH.unreadyWaypoint },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
} as const;

const READ_ONLY = '--console-read-only';

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
  const unreadyWaypoint = values['unready-waypoint'];
  if (unreadyWaypoint !== 'refuse' && unreadyWaypoint !== 'bypass')
    throw usage(`--unready-waypoint ${unreadyWaypoint} is neither refuse nor bypass`);
  const unenforcedPolicy = values['unenforced-policy'];
  if (unenforcedPolicy !== 'deny' && unenforcedPolicy !== 'ignore')
    throw usage(`--unenforced-policy ${unenforcedPolicy} is neither deny nor ignore`);
  const { revision } = values;
  if (!/^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$/.test(revision))
    throw usage(`--revision ${revision} is no DNS label of at most 42 characters`);
  return {
    kubeconfig: values.kubeconfig,
    discovery: hostPort('--discovery-listen', values['discovery-listen']),
    monitoring: hostPort('--monitoring-listen', values['monitoring-listen']),
    webhook: hostPortOrOff('--webhook-listen', values['webhook-listen']),
    console: hostPortOrOff('--console-listen', values['console-listen']),
    consoleUnix: values['console-unix'],
    consoleAccess: consoleAccess(values),
    consoleStore: values['console-store'] || undefined,
    prometheus: prometheus(values),
    proxyImage: values['proxy-image'],
    proxyPriorityClass: values['proxy-priority-class'] || undefined,
    identity: env.POD_NAME || env.HOSTNAME || `control-${process.pid}`,
    logLevel: level,
    mesh: {
      ...DEFAULT_MESH,
      rootNamespace: values['root-namespace'],
      trustDomain: values['trust-domain'],
      clusterId: values['cluster-id'],
      revision,
      unenforcedPolicy,
      unreadyWaypoint,
    },
  };
}

function consoleAccess(values: ReturnType<typeof parseFlags>): AccessOptions {
  const guests = values['console-guests'];
  if (guests !== 'read' && guests !== 'write')
    throw usage(`--console-guests ${guests} is neither read nor write`);
  const openTo = values['console-open-to'] === 'none' ? [] : names(values['console-open-to']);
  const wrong = openTo.find((each) => each !== 'loopback' && isIP(each) === 0);
  if (wrong !== undefined)
    throw usage(`--console-open-to ${wrong} is neither loopback nor an address`);
  return {
    openTo,
    guests,
    isReadOnly: values['console-read-only'],
    hosts: names(values['console-host']).map((name) => name.toLowerCase()),
    namespace: values['root-namespace'],
  };
}

const MATCHER = '[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\\\\n]|\\\\.)*"';
const MATCHERS = new RegExp(`^${MATCHER}(,${MATCHER})*$`);

function prometheus(values: ReturnType<typeof parseFlags>): PrometheusOptions | undefined {
  const { 'prometheus-url': text, 'prometheus-match': match } = values;
  if (match !== '' && !MATCHERS.test(match))
    throw usage(`--prometheus-match ${match} is no list of label matchers as cluster="eu-1"`);
  if (text === '') return undefined;
  const url = URL.parse(text);
  const isPlain =
    url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === null || !/^https?:$/.test(url.protocol) || !isPlain)
    throw usage(`--prometheus-url ${text} is no http or https address without user and query`);
  return { url: url.href, match };
}

function names(text: string): string[] {
  return text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '');
}

function parseFlags(argv: string[]) {
  // A flag takes no value, and a manifest has to give one.
  const args = argv
    .filter((each) => each !== `${READ_ONLY}=false`)
    .map((each) => (each === `${READ_ONLY}=true` ? READ_ONLY : each));
  try {
    return parseArgs({ args, options: FLAGS, strict: true }).values;
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

function hostPortOrOff(flag: string, text: string): HostPort | undefined {
  return text === 'off' ? undefined : hostPort(flag, text);
}

function usage(message: string, cause?: unknown): MeshError {
  return new MeshError('CONTROL_USAGE', message, {
    side: 'config',
    hint: CONTROL_ERRORS.CONTROL_USAGE,
    cause,
  });
}
