/**
 * `tulle role apiserver`: reads flags, starts the server, writes the admin's kubeconfig, then prints one JSON line on
 * stdout to say that it is ready. SIGTERM and SIGINT end it.
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { systemClock } from '#base/clock.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import { createLogger, type LogLevel } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { writePrivate } from './auth/certificates.ts';
import { createSchemaProvider } from './crd/provider.ts';
import { APISERVER_ERRORS } from './errors.ts';
import { DEFAULT_KUBELET_TEMPLATE } from './proxy/kubelet.ts';
import { type ApiserverOptions, adminKubeconfig, startApiserver } from './server.ts';

const USAGE = `usage: tulle role apiserver --data-dir DIR [flags]
  --data-dir DIR              state: SQLite file, CA, keys (made on first start)
  --listen ADDR:PORT          TLS listener; may be repeated; port 0 picks one (default 127.0.0.1:6443)
  --unix PATH                 TLS on a unix socket too
  --service-cidr CIDR         cluster IPs come from here (default 198.19.0.0/17)
  --advertise ADDR:PORT       where the kubernetes Service leads (default: first --listen)
  --name NAME                 one more name or address for the serving certificate; may be repeated
  --admin-kubeconfig PATH     write the admin's kubeconfig (mode 0600)
  --public-url URL            server in that kubeconfig (default: first listener)
  --kubelet-url-template URL  node agents for logs and exec; {node} {address} {port} are filled in, unix:PATH allowed
                              (default ${DEFAULT_KUBELET_TEMPLATE})
  --log-level LEVEL           debug, info, warn, error (default info)
`;

const FLAGS = {
  'data-dir': { type: 'string' },
  listen: { type: 'string', multiple: true, default: ['127.0.0.1:6443'] as string[] },
  unix: { type: 'string' },
  'service-cidr': { type: 'string', default: '198.19.0.0/17' },
  advertise: { type: 'string' },
  name: { type: 'string', multiple: true, default: [] as string[] },
  'admin-kubeconfig': { type: 'string' },
  'public-url': { type: 'string' },
  'kubelet-url-template': { type: 'string', default: DEFAULT_KUBELET_TEMPLATE },
  'log-level': { type: 'string', default: 'info' },
  help: { type: 'boolean', default: false },
} as const;

export async function runApiserver(argv: string[]): Promise<void> {
  const flags = parseFlags(argv);
  if (flags.help) {
    process.stdout.write(USAGE);
    return;
  }
  const dataDir = flags['data-dir'];
  if (dataDir === undefined) throw usage('--data-dir is missing');
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  chmodSync(dataDir, 0o700);
  const log = createLogger('apiserver', {
    clock: systemClock,
    level: flags['log-level'] as LogLevel,
  });
  const listen = flags.listen.map(parseEndpoint);
  const options: ApiserverOptions = {
    dataDir,
    listen,
    unix: flags.unix,
    serviceCidr: flags['service-cidr'],
    advertise: flags.advertise === undefined ? listen[0] : parseEndpoint(flags.advertise),
    names: [...flags.name, ...listen.map(({ address }) => address).filter(isCertificateName)],
    kubeletUrlTemplate: flags['kubelet-url-template'],
  };
  const schemas = createSchemaProvider();
  const server = await startApiserver(options, {
    clock: systemClock,
    random: systemRandom,
    log,
    schemas,
  });
  const [first] = server.addresses;
  const url = flags['public-url'] ?? `https://${first.address}:${first.port}`;
  const kubeconfig = flags['admin-kubeconfig'];
  // JSON is YAML: kubectl reads it as it is.
  if (kubeconfig !== undefined)
    writePrivate(kubeconfig, `${JSON.stringify(adminKubeconfig(server.keys, url), null, 2)}\n`);
  const address = `${first.address}:${first.port}`;
  process.stdout.write(
    `${JSON.stringify({ ready: true, address, addresses: server.addresses, unix: flags.unix })}\n`,
  );
  await untilSignal();
  await server.stop();
}

function parseFlags(argv: string[]) {
  try {
    return parseArgs({ args: argv, options: FLAGS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    throw usage(messageOf(error));
  }
}

function usage(message: string): MeshError {
  const hint = APISERVER_ERRORS.APISERVER_USAGE;
  return new MeshError('APISERVER_USAGE', message, { side: 'config', hint });
}

function parseEndpoint(text: string): { address: string; port: number } {
  const match = /^\[?([^[\]]*?)\]?:(\d{1,5})$/.exec(text);
  if (match === null) throw usage(`"${text}" is not ADDRESS:PORT`);
  return { address: match[1], port: Number(match[2]) };
}

function isCertificateName(address: string): boolean {
  return address !== '' && address !== '0.0.0.0' && address !== '::';
}

function untilSignal(): Promise<void> {
  return new Promise((resolve) => {
    process.once('SIGTERM', () => resolve());
    process.once('SIGINT', () => resolve());
  });
}
