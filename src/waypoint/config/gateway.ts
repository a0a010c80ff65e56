/**
 * What a gateway listens on, compiled from its GatewayConfigs: ports, the server that takes a connection, the virtual host that
 * takes a request. Several configs (Istio Gateways that select the same proxies) share a port. Part of the snapshot, immutable.
 *
 *   port ─ plaintext ─► place `80`           all HTTP servers of the port: virtual host by authority
 *        └ TLS ─ SNI ─► place `443/name`     one server: its certificates, its virtual hosts, or bytes
 */
import { type CompiledRoutes, compileRoutes } from '#model/route/compile.ts';
import type {
  GatewayConfig,
  GatewayListener,
  GatewayServer,
  ServerTls,
} from '#model/route/gateway-config.ts';
import { compileHosts, HostTable } from '#model/route/host-table.ts';
import { type CompiledL4Routes, compileL4Routes } from '#model/route/l4-routes.ts';
import { DEFAULT_NORMALIZATION, type PathNormalization } from '#model/route/normalize-path.ts';
import type { PolicyDenial } from '#model/route/route-table.ts';
import type { LoadShedding, RateLimit } from '#model/route/traffic-limits.ts';
import { type CompiledHttpPolicies, compileHttpPolicies } from '#policy/l7/compile-policies.ts';

export interface CompiledHost {
  readonly domains: readonly string[];
  /** Undefined: every request is redirected to https. */
  readonly routes: CompiledRoutes | undefined;
}

/** Where a request of a gateway is looked up: its connection names the place, each request finds it in the snapshot of its moment. */
export interface Place {
  readonly key: string;
  readonly port: number;
  readonly hosts: HostTable<CompiledHost>;
  readonly l4: CompiledL4Routes;
  readonly denied: PolicyDenial | undefined;
  readonly policies: CompiledHttpPolicies | undefined;
  readonly rateLimits: readonly RateLimit[] | undefined;
  readonly shedding: readonly LoadShedding[] | undefined;
  /** Proxies in front of this port that are believed about the client. */
  readonly trustedProxies: number;
  readonly pathNormalization: PathNormalization;
  /**
   * For the hosts of all TLS servers of the port the keys of the places that have them: a request whose host is another's, as far
   * as the most specific name says, came over the wrong connection. Undefined when there is but one.
   */
  readonly owners: HostTable<ReadonlySet<string>> | undefined;
}

export interface CompiledServer {
  readonly place: Place;
  readonly server: GatewayServer;
  readonly tls: ServerTls | undefined;
  /** Changes when connections that were made under other terms must end. */
  readonly terms: string;
}

export interface CompiledListener {
  /** Address and port; what a socket is bound for. */
  readonly key: string;
  readonly port: number;
  readonly bind: string | undefined;
  readonly proxyProtocol: boolean;
  /** Servers that are chosen by SNI; undefined when the port is plaintext. */
  readonly bySni: HostTable<CompiledServer> | undefined;
  readonly plain: { readonly place: Place; readonly protocol: 'http' | 'tcp' } | undefined;
  /** What connections of each place were made under. */
  readonly terms: ReadonlyMap<string, string>;
}

export interface CompiledGateways {
  readonly listeners: readonly CompiledListener[];
  readonly places: ReadonlyMap<string, Place>;
  readonly problems: readonly string[];
  readonly parts: ReadonlyMap<GatewayConfig, CompiledParts>;
}

/** Routes are the costly part: compiled once for a config, whoever it shares its ports with. */
interface CompiledParts {
  readonly byServer: ReadonlyMap<GatewayServer, ServerParts>;
  readonly problems: readonly string[];
}

interface ServerParts {
  /** Of the config. */
  readonly policies: CompiledHttpPolicies | undefined;
  readonly hosts: readonly CompiledHost[];
  readonly l4: CompiledL4Routes;
}

/** A server with what it came with. */
interface Member {
  readonly config: GatewayConfig;
  readonly listener: GatewayListener;
  readonly server: GatewayServer;
  readonly parts: ServerParts;
}

export const NO_GATEWAYS: CompiledGateways = {
  listeners: [],
  places: new Map(),
  problems: [],
  parts: new Map(),
};

export function compileGateways(
  configs: Iterable<GatewayConfig>,
  previous: CompiledGateways = NO_GATEWAYS,
): CompiledGateways {
  const parts = new Map<GatewayConfig, CompiledParts>();
  const byKey = new Map<string, Member[]>();
  const problems: string[] = [];
  for (const config of configs) {
    const compiled = previous.parts.get(config) ?? compileParts(config);
    parts.set(config, compiled);
    problems.push(...compiled.problems);
    if (config.denied !== undefined) problems.push(config.denied.reason);
    for (const listener of config.listeners) {
      const key = `${listener.bind ?? '*'} ${listener.port}`;
      const members = byKey.get(key) ?? [];
      byKey.set(key, members);
      for (const server of listener.servers) {
        const own = compiled.byServer.get(server);
        if (own !== undefined) members.push({ config, listener, server, parts: own });
      }
    }
  }
  const listeners: CompiledListener[] = [];
  const places = new Map<string, Place>();
  for (const [key, members] of byKey) {
    if (members.length === 0) continue;
    const compiled = compileListener(key, members, problems);
    listeners.push(compiled.listener);
    for (const place of compiled.places) places.set(place.key, place);
  }
  return { listeners, places, problems, parts };
}

function compileParts(config: GatewayConfig): CompiledParts {
  const problems: string[] = [];
  const byServer = new Map<GatewayServer, ServerParts>();
  const policies = config.policies && compileHttpPolicies(config.policies);
  for (const { servers } of config.listeners) {
    for (const server of servers) {
      const hosts: CompiledHost[] = server.virtualHosts.map(({ domains, routes }) => ({
        domains,
        routes: server.httpsRedirect
          ? undefined
          : compileRoutes(routes, (problem) => problems.push(problem)),
      }));
      // Also a host that nothing is routed for is redirected, as Istio does.
      if (server.httpsRedirect) hosts.push({ domains: server.hosts, routes: undefined });
      const l4 = compileL4Routes(server.l4Routes, (problem) => problems.push(problem));
      byServer.set(server, { hosts, l4, policies });
    }
  }
  return { byServer, problems };
}

function compileListener(
  key: string,
  members: readonly Member[],
  problems: string[],
): { listener: CompiledListener; places: Place[] } {
  const { port, bind } = members[0].listener;
  const isTls = ({ server }: Member) => server.tls !== undefined || server.protocol === 'tls';
  const secure = members.filter(isTls);
  const plain = members.filter((member) => !isTls(member));
  const where = `port ${port}`;
  if (secure.length > 0 && plain.length > 0) {
    const { name } = plain[0].server;
    problems.push(`${where} has servers with and without TLS: ${name} and its like are not served`);
  }
  const proxyProtocol = members.some(({ listener }) => listener.proxyProtocol === true);
  const base = { key, port, bind, proxyProtocol };
  if (secure.length > 0) {
    const servers = secureServers(key, secure);
    return {
      listener: {
        ...base,
        bySni: new HostTable(
          servers.flatMap((value) =>
            (value.server.hosts.length === 0 ? ['*'] : value.server.hosts).map((pattern) => ({
              pattern,
              value,
            })),
          ),
        ),
        plain: undefined,
        terms: new Map(servers.map(({ place, terms }) => [place.key, terms])),
      },
      places: servers.map(({ place }) => place),
    };
  }
  const protocol = plain.some(({ server }) => server.protocol !== 'tcp') ? 'http' : 'tcp';
  const served = plain.filter(({ server }) => (server.protocol === 'tcp') === (protocol === 'tcp'));
  if (served.length < plain.length) {
    problems.push(`${where} has HTTP and TCP servers: only HTTP is served`);
  }
  const place: Place = {
    key,
    port,
    hosts: compileHosts(served.flatMap(({ parts }) => parts.hosts)),
    l4: joined(served),
    denied: deniedBy(served),
    policies: policiesOf(served),
    ...limitsOf(served),
    // Of several opinions the one that believes the fewest.
    trustedProxies: Math.min(...served.map(({ config }) => config.trustedProxies ?? 0)),
    // It is the mesh's, so all have the same.
    pathNormalization: served[0]?.config.pathNormalization ?? DEFAULT_NORMALIZATION,
    owners: undefined,
  };
  return {
    listener: {
      ...base,
      bySni: undefined,
      plain: { place, protocol },
      terms: new Map([[key, protocol]]),
    },
    places: [place],
  };
}

/** Each is its own place; the name of a server is unique in its gateway. */
function secureServers(key: string, members: readonly Member[]): CompiledServer[] {
  const placeKey = ({ config, server }: Member) =>
    `${key}/${config.namespace}/${config.name}/${server.name}`;
  const owners = members.length > 1 ? ownersOf(members, placeKey) : undefined;
  return members.map((member) => {
    const { server, config, parts } = member;
    const { certificates: _rotated, ...terms } = server.tls ?? { certificates: [] };
    return {
      place: {
        key: placeKey(member),
        port: member.listener.port,
        hosts: compileHosts(parts.hosts),
        l4: parts.l4,
        denied: config.denied,
        policies: parts.policies,
        ...limitsOf([member]),
        trustedProxies: config.trustedProxies ?? 0,
        pathNormalization: config.pathNormalization ?? DEFAULT_NORMALIZATION,
        owners,
      },
      server,
      tls: server.tls,
      terms: JSON.stringify([server.protocol, terms]),
    };
  });
}

function ownersOf(
  members: readonly Member[],
  placeKey: (member: Member) => string,
): HostTable<ReadonlySet<string>> {
  const byPattern = new Map<string, Set<string>>();
  for (const member of members)
    for (const pattern of member.parts.hosts.flatMap(({ domains }) => domains)) {
      const keys = byPattern.get(pattern.toLowerCase()) ?? new Set();
      byPattern.set(pattern.toLowerCase(), keys.add(placeKey(member)));
    }
  return new HostTable([...byPattern].map(([pattern, value]) => ({ pattern, value })));
}

function joined(members: readonly Member[]): CompiledL4Routes {
  return {
    routes: members.flatMap(({ parts }) => parts.l4.routes),
    entries: members.flatMap(({ parts }) => parts.l4.entries),
  };
}

/** As with denials: what limits one of those that share a port limits all. */
function limitsOf(members: readonly Member[]): Pick<Place, 'rateLimits' | 'shedding'> {
  const configs = [...new Set(members.map(({ config }) => config))];
  const rateLimits = configs.flatMap((config) => config.rateLimits ?? []);
  const shedding = configs.flatMap((config) => config.shedding ?? []);
  return {
    rateLimits: rateLimits.length === 0 ? undefined : rateLimits,
    shedding: shedding.length === 0 ? undefined : shedding,
  };
}

/** As with denials: everything on a shared port is judged by the policies of all that share it. */
function policiesOf(members: readonly Member[]): CompiledHttpPolicies | undefined {
  const all = [...new Set(members.flatMap(({ parts }) => parts.policies ?? []))];
  if (all.length < 2) return all[0];
  return {
    policies: all.flatMap(({ policies }) => policies),
    tokenRules: all.flatMap(({ tokenRules }) => tokenRules),
  };
}

/** The servers of a plaintext port are told apart by host alone: a denial of one is a denial of all that share it. */
function deniedBy(members: readonly Member[]): PolicyDenial | undefined {
  return members.find(({ config }) => config.denied !== undefined)?.config.denied;
}
