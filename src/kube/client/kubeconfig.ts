/**
 * Where the API server is, as a kubeconfig file's context says. Files named in it are relative to it; token files are
 * read again on every request. Inside a pod: in-cluster.ts.
 */
import { dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { messageOf } from '#base/errors.ts';
import { invalid, readText } from './in-cluster.ts';
import type { KubeConnection, TlsOptions } from './rest-client.ts';

interface ClusterEntry {
  server?: string;
  'certificate-authority'?: string;
  'certificate-authority-data'?: string;
  'insecure-skip-tls-verify'?: boolean;
  'tls-server-name'?: string;
}
interface UserEntry {
  token?: string;
  tokenFile?: string;
  'client-certificate'?: string;
  'client-certificate-data'?: string;
  'client-key'?: string;
  'client-key-data'?: string;
  exec?: object;
  'auth-provider'?: object;
}
interface Kubeconfig {
  'current-context'?: string;
  contexts?: { name: string; context?: { cluster?: string; user?: string; namespace?: string } }[];
  clusters?: { name: string; cluster?: ClusterEntry }[];
  users?: { name: string; user?: UserEntry }[];
}

export function loadKubeconfig(path: string, context?: string): KubeConnection {
  return parseKubeconfig(readText(path), { directory: dirname(resolve(path)), context });
}

export function parseKubeconfig(
  text: string,
  options: { directory: string; context?: string },
): KubeConnection {
  const config = parseYaml(text);
  const name = options.context ?? config['current-context'];
  const context = config.contexts?.find((entry) => entry.name === name)?.context;
  if (context === undefined) throw invalid(`no context ${JSON.stringify(name ?? '')}`);
  const cluster = config.clusters?.find((entry) => entry.name === context.cluster)?.cluster;
  if (cluster?.server === undefined) throw invalid(`no server for cluster ${context.cluster}`);
  const user = config.users?.find((entry) => entry.name === context.user)?.user ?? {};
  if (user.exec !== undefined || user['auth-provider'] !== undefined)
    throw invalid(`user ${context.user} needs a credential plugin, which is not supported`);
  return {
    server: cluster.server.replace(/\/+$/, ''),
    tls: tlsOptions(cluster, user, options.directory),
    token: tokenSource(user, options.directory),
    namespace: context.namespace ?? 'default',
  };
}

function tlsOptions(cluster: ClusterEntry, user: UserEntry, directory: string): TlsOptions {
  const pem = (data?: string, file?: string) => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8');
    return file === undefined ? undefined : readText(resolve(directory, file));
  };
  return {
    ca: pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
    cert: pem(user['client-certificate-data'], user['client-certificate']),
    key: pem(user['client-key-data'], user['client-key']),
    serverName: cluster['tls-server-name'],
    rejectUnauthorized: cluster['insecure-skip-tls-verify'] === true ? false : undefined,
  };
}

function tokenSource(user: UserEntry, directory: string): (() => string) | undefined {
  const { token, tokenFile } = user;
  if (tokenFile !== undefined) return () => readText(resolve(directory, tokenFile)).trim();
  return token === undefined ? undefined : () => token;
}

function parseYaml(text: string): Kubeconfig {
  let config: unknown;
  try {
    config = parse(text);
  } catch (error) {
    throw invalid(messageOf(error), error);
  }
  if (typeof config !== 'object' || config === null) throw invalid('not a mapping');
  return config as Kubeconfig;
}
