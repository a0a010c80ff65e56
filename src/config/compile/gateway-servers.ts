/**
 * What a gateway proxy listens on, put together from the servers that it serves and what VirtualServices add to them
 * (Istio: pilot/pkg/networking/core/gateway.go).
 */
import type {
  GatewayConfig,
  GatewayListener,
  GatewayServer,
  ServerTls,
  VirtualHost,
} from '#model/route/gateway-config.ts';
import type { L4Route, Provenance, Route } from '#model/route/route-table.ts';
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';
import type { ContributedPart, Contribution } from './gateway-contribution.ts';
import { catchAllLast } from './gateway-contribution.ts';
import type { GatewayPlan, PlacedServer } from './gateway-plan.ts';
import { narrowerHost } from './hosts.ts';
import { DEFAULT_RETRIES } from './http-features.ts';
import type { CompiledIstioGateway } from './istio-gateway.ts';

const SCHEME = /^kubernetes(-gateway)?:\/\//;

interface Assembly {
  /** By `PlacedServer.id`, in the order in which they are in force. */
  readonly parts: ReadonlyMap<string, readonly ContributedPart[]>;
  readonly namespace: string;
  readonly hasSecret: ((key: string) => boolean) | undefined;
  readonly findings: Finding[];
}

/** `contributions` in the order in which their VirtualServices are in force. */
export function assembleGateway(
  plan: GatewayPlan,
  contributions: Iterable<Contribution>,
  /** Whether a Secret is there, by `namespace/name`. */
  hasSecret?: (key: string) => boolean,
): { readonly config: GatewayConfig; readonly findings: readonly Finding[] } {
  const { namespace, name } = plan.proxy;
  const findings: Finding[] = [...plan.findings];
  const parts = new Map<string, ContributedPart[]>();
  for (const contribution of contributions) {
    findings.push(...contribution.findings);
    for (const part of contribution.parts) {
      const list = parts.get(part.server);
      if (list === undefined) parts.set(part.server, [part]);
      else list.push(part);
    }
  }
  const listeners: GatewayListener[] = [];
  for (const placed of plan.ports) {
    const [{ port, server }] = placed;
    const servers = buildServers(placed, { parts, namespace, hasSecret, findings });
    if (servers.length > 0)
      listeners.push({ port, ...(server.bind && { bind: server.bind }), servers });
  }
  return { config: { namespace, name, listeners }, findings: distinct(findings) };
}

function distinct(findings: readonly Finding[]): Finding[] {
  const keyOf = ({ resource, path, message }: Finding) => `${resource} ${path} ${message}`;
  return [...new Map(findings.map((finding) => [keyOf(finding), finding])).values()];
}

/** All are of one kind (gateway-plan.ts isInTheWay). */
function buildServers(placed: readonly PlacedServer[], assembly: Assembly): GatewayServer[] {
  const [first] = placed;
  if (first.server.protocol === 'http') return [plainServer(placed, assembly)];
  return placed.flatMap((each): GatewayServer[] => {
    const gateway = new Findings('Gateway', each.gateway);
    const built = buildServer(each, assembly, gateway);
    assembly.findings.push(...gateway.list);
    return built === undefined
      ? []
      : [{ name: nameOf(each), provenance: provenanceOf(each.gateway), ...built }];
  });
}

/** One that is told from others of its port by SNI, or has the port for itself; undefined when it is not served. */
function buildServer(
  placed: PlacedServer,
  assembly: Assembly,
  findings: Findings,
): Omit<GatewayServer, 'name' | 'provenance'> | undefined {
  const { server } = placed;
  const own = [...new Set(server.hosts.map(({ host }) => host))];
  const tls = server.tls && bindTls(server.tls, { placed, assembly, findings });
  // Without a certificate nobody can be served, and nothing may be served in its place.
  if (server.tls !== undefined && tls === undefined) return undefined;
  const base = { protocol: server.protocol, ...(tls && { tls }) };
  if (server.protocol === 'https')
    return {
      ...base,
      hosts: own,
      virtualHosts: buildVirtualHosts([placed], assembly),
      l4Routes: [],
    };
  const l4Routes = (assembly.parts.get(placed.id) ?? []).flatMap((part) => part.l4Routes);
  if (l4Routes.length === 0) {
    const kind = server.protocol === 'tls' && tls === undefined ? 'tls' : 'tcp';
    findings.ineffective(
      server.path,
      `no VirtualService has ${kind} rules for it: the port is not served`,
      { hint: `bind a VirtualService with ${kind} rules to the Gateway` },
    );
    return undefined;
  }
  // What is passed through is told apart by the SNI hosts of its rules (gateway.go).
  const hosts = tls === undefined ? sniHostsOf(l4Routes, own) : own;
  return { ...base, hosts, virtualHosts: [], l4Routes };
}

/** Plain HTTP servers of one port are one: a request belongs to no server, only to a host. */
function plainServer(placed: readonly PlacedServer[], assembly: Assembly): GatewayServer {
  const [first] = placed;
  const hosts = [...new Set(placed.flatMap(({ server }) => server.hosts.map(({ host }) => host)))];
  return {
    name: nameOf(first),
    provenance: provenanceOf(first.gateway),
    protocol: 'http',
    hosts,
    virtualHosts: buildVirtualHosts(placed, assembly),
    l4Routes: [],
  };
}

/** Hosts that several VirtualServices have get the rules of all, in the order in which they are in force. */
function buildVirtualHosts(placed: readonly PlacedServer[], { parts }: Assembly): VirtualHost[] {
  const domains = new Map<string, VirtualHost>();
  for (const { id } of placed)
    for (const { virtualHosts } of parts.get(id) ?? [])
      for (const host of virtualHosts) {
        const [domain] = host.domains;
        const known = domains.get(domain);
        // One that is a single VirtualService's stays the object that it is: nothing behind has to look into it again.
        domains.set(domain, known === undefined ? host : joined(known, host));
      }
  for (const { server, gateway } of placed)
    if (server.httpsRedirect)
      for (const { host } of server.hosts)
        for (const domain of new Set([host, ...within(host, domains.keys())]))
          domains.set(domain, { domains: [domain], routes: [redirectToHttps(gateway)] });
  return [...domains.values()];
}

function joined(first: VirtualHost, second: VirtualHost): VirtualHost {
  return { ...first, routes: catchAllLast([...first.routes, ...second.routes]) };
}

function within(host: string, domains: Iterable<string>): string[] {
  return [...domains].filter((domain) => narrowerHost(host, domain) === domain);
}

function redirectToHttps(gateway: CompiledIstioGateway): Route {
  return {
    name: 'https-redirect',
    provenance: provenanceOf(gateway),
    matches: [],
    action: { kind: 'redirect', status: 301, scheme: 'https' },
    retries: DEFAULT_RETRIES,
  };
}

function sniHostsOf(routes: readonly L4Route[], own: readonly string[]): string[] {
  const hosts = routes.flatMap(({ matches }) =>
    matches.length === 0 ? own : matches.flatMap(({ sniHosts }) => sniHosts),
  );
  return [...new Set(hosts)];
}

/** Undefined, with a finding, when a certificate is none that the proxy may have. */
function bindTls(
  tls: ServerTls,
  {
    placed: { server },
    assembly: { namespace, hasSecret },
    findings,
  }: { placed: PlacedServer; assembly: Assembly; findings: Findings },
): ServerTls | undefined {
  const { certificates, clientRoots, ...rest } = tls;
  const names = certificates.map((name) => materialName(name, namespace));
  const own = clientRoots && materialName(clientRoots, namespace);
  // Istio keeps roots in a Secret of their own, or in the certificate's (credentials.SdsCaSuffix).
  const beside = `${own}-cacert`;
  const isBeside = server.rootsBeside && hasSecret?.(beside.replace(SCHEME, ''));
  const roots = isBeside ? beside : own;
  if (names.includes(undefined) || (clientRoots !== undefined && roots === undefined)) {
    const message = `its certificates are in another namespace than the gateway (${namespace}), which may not read them: the server is not served`;
    findings.missing(`${server.path}.tls`, message, `put the Secret into namespace ${namespace}`);
    return undefined;
  }
  return {
    ...rest,
    certificates: names.flatMap((name) => name ?? []),
    ...(roots !== undefined && { clientRoots: roots }),
  };
}

/** Istio reads Secrets of the proxy's own namespace only (pilot/pkg/credentials, ParseResourceName). */
function materialName(secret: string, namespace: string): string | undefined {
  const name = secret.replace(SCHEME, '');
  const slash = name.indexOf('/');
  if (slash === -1) return `kubernetes://${namespace}/${name}`;
  return name.slice(0, slash) === namespace ? `kubernetes://${name}` : undefined;
}

function nameOf({ gateway, server }: PlacedServer): string {
  return `${gateway.namespace}/${gateway.name}/${server.name}`;
}

function provenanceOf({ namespace, name }: CompiledIstioGateway): Provenance {
  return { kind: 'Gateway', namespace, name };
}
