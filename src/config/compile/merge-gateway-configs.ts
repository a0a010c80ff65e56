/**
 * Several configurations for one gateway proxy made one: of its Gateway (Gateway API) and of the Istio Gateways that
 * choose it. The earlier one wins where they exclude each other.
 */
import type { GatewayConfig, GatewayListener, GatewayServer } from '#model/route/gateway-config.ts';
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';

export function mergeGatewayConfigs(
  first: GatewayConfig,
  ...others: readonly GatewayConfig[]
): { readonly config: GatewayConfig; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const listeners = new Map<string, GatewayListener>();
  let { denied } = first;
  for (const config of [first, ...others]) {
    denied ??= config.denied;
    for (const listener of config.listeners) {
      const key = `${listener.port} ${listener.bind ?? ''}`;
      const earlier = listeners.get(key);
      listeners.set(
        key,
        earlier === undefined ? listener : mergeListeners(earlier, listener, findings),
      );
    }
  }
  const sorted = [...listeners.values()].sort((left, right) => left.port - right.port);
  const config = { ...first, listeners: sorted, ...(denied && { denied }) };
  return { config, findings };
}

function mergeListeners(
  earlier: GatewayListener,
  later: GatewayListener,
  findings: Finding[],
): GatewayListener {
  const servers: GatewayServer[] = [...earlier.servers];
  for (const server of later.servers) {
    const { kind, ...identity } = server.provenance;
    const own = new Findings(kind, identity);
    const problem = problemWith(server, servers);
    if (problem === undefined) servers.push(withoutDomainsOf(server, servers, own));
    else {
      const message = `port ${later.port}: ${problem}; the server ${server.name} is not served`;
      own.conflict('spec', message, 'use another port, or other hosts');
    }
    findings.push(...own.list);
  }
  return { ...earlier, servers };
}

function problemWith(server: GatewayServer, earlier: readonly GatewayServer[]): string | undefined {
  for (const each of earlier) {
    const { kind, namespace, name } = each.provenance;
    const owner = `${kind} ${namespace}/${name}`;
    if (kindOf(each) !== kindOf(server)) return `${owner} speaks ${each.protocol} there`;
    if (kindOf(server) === 'bytes') return `it belongs to ${owner}`;
    const twice = server.hosts.find((host) => each.hosts.includes(host));
    if (kindOf(server) === 'sni' && twice !== undefined) return `${twice} belongs to ${owner}`;
  }
  return undefined;
}

/** A host of plain HTTP is one virtual host, whoever wrote it: the earlier keeps it, and the later is told. */
function withoutDomainsOf(
  server: GatewayServer,
  earlier: readonly GatewayServer[],
  findings: Findings,
): GatewayServer {
  if (server.protocol !== 'http') return server;
  const taken = new Set(
    earlier.flatMap(({ virtualHosts }) => virtualHosts.flatMap(({ domains }) => domains)),
  );
  const virtualHosts = server.virtualHosts.flatMap(({ domains, routes }) => {
    const own = domains.filter((domain) => !taken.has(domain));
    if (own.length < domains.length)
      findings.conflict(
        'spec',
        `${domains.filter((domain) => taken.has(domain)).join(', ')} of server ${server.name} is served by another Gateway of the same proxy`,
        'name each host in one Gateway only',
      );
    return own.length === 0 ? [] : [{ domains: own, routes }];
  });
  return { ...server, virtualHosts };
}

function kindOf({ protocol }: GatewayServer): 'plain' | 'sni' | 'bytes' {
  if (protocol === 'http') return 'plain';
  return protocol === 'tcp' ? 'bytes' : 'sni';
}
