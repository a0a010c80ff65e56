/**
 * What a Gateway's proxies serve: its programmed listeners with the routes attached to them, as one `GatewayConfig`, and
 * how many routes each listener has. Pure.
 */
import type {
  GatewayConfig,
  GatewayListener,
  GatewayServer,
  VirtualHost,
} from '#model/route/gateway-config.ts';
import type { PolicyDenial } from '#model/route/route-table.ts';
import type { Finding } from '../finding.ts';
import { Findings } from '../finding.ts';
import type { Attachment } from './attach.ts';
import { isolatedHostnames } from './attach.ts';
import type { BoundRoute } from './bind.ts';
import type { StatusCondition } from './conditions.ts';
import { GATEWAY_GROUP } from './kinds.ts';
import type { CompiledListener, ListenerOwner } from './listeners.ts';
import { orderBytes, orderRoutes } from './order.ts';

export interface AttachedRoute {
  readonly bound: BoundRoute;
  /** To listeners of this Gateway. */
  readonly attachments: readonly Attachment[];
  /** False: no rule of it can be honoured. Its requests are answered as errors, and it does not count. */
  readonly accepted?: boolean;
}

export interface GatewayInput {
  readonly owner: ListenerOwner;
  /** Of the Gateway and its ListenerSets, as `compileListeners` gives them. */
  readonly listeners: readonly CompiledListener[];
  readonly routes: readonly AttachedRoute[];
  readonly denied?: PolicyDenial;
}

export interface ListenerStatus {
  readonly owner: ListenerOwner;
  readonly name: string;
  readonly attachedRoutes: number;
  readonly supportedKinds: readonly { readonly group: string; readonly kind: string }[];
  readonly conditions: readonly StatusCondition[];
}

/** Virtual hosts of the last time, by listener and domain: those whose routes are the same are taken as they are. */
export type HostMemo = ReadonlyMap<
  string,
  { readonly routes: readonly BoundRoute[]; readonly host: VirtualHost }
>;

export interface GatewayResult {
  readonly config: GatewayConfig;
  readonly listenerStatuses: readonly ListenerStatus[];
  readonly findings: readonly Finding[];
}

const PROTOCOL: Readonly<Record<string, GatewayServer['protocol']>> = {
  HTTP: 'http',
  HTTPS: 'https',
  TLS: 'tls',
  TCP: 'tcp',
};

interface Claim {
  readonly accepted: boolean;
  readonly bound: BoundRoute;
  readonly attachment: Attachment;
}

export function compileGateway(
  input: GatewayInput,
  previous: HostMemo = new Map(),
): GatewayResult & { readonly memo: HostMemo } {
  const { owner, listeners, routes, denied } = input;
  const hosts: HostSource = { previous, memo: new Map() };
  const claims = new Map<string, Claim[]>(listeners.map(({ key }) => [key, []]));
  for (const { bound, attachments, accepted = true } of routes)
    for (const attachment of attachments)
      claims.get(attachment.listener)?.push({ bound, attachment, accepted });
  const ports = new Map<number, GatewayServer[]>();
  for (const listener of listeners) {
    if (!listener.programmed) continue;
    const servers = ports.get(listener.port) ?? [];
    servers.push(compileServer(listener, claims.get(listener.key) ?? [], { listeners, hosts }));
    ports.set(listener.port, servers);
  }
  const served = [...ports].sort(([left], [right]) => left - right);
  const config: GatewayConfig = {
    namespace: owner.namespace,
    name: owner.name,
    listeners: served.map(([port, servers]): GatewayListener => ({ port, servers })),
    ...(denied && { denied }),
  };
  const listenerStatuses = listeners.map((listener): ListenerStatus => {
    const { owner, name, supportedKinds, conditions } = listener;
    const kinds = supportedKinds.map((kind) => ({ group: GATEWAY_GROUP, kind }));
    return {
      owner,
      name,
      attachedRoutes: (claims.get(listener.key) ?? []).filter(({ accepted }) => accepted).length,
      supportedKinds: kinds,
      conditions,
    };
  });
  const findings = listeners.flatMap(findingsOf);
  return { config, listenerStatuses, findings, memo: hosts.memo };
}

/** Listeners that are not served, or not as they are written. */
function findingsOf({ owner, name, conditions }: CompiledListener): Finding[] {
  const findings = new Findings(owner.kind, owner);
  const bad = conditions.find(
    ({ type, status }) => status === (type === 'Conflicted' ? 'True' : 'False'),
  );
  if (bad !== undefined)
    findings.missing(
      `spec.listeners[${name}]`,
      `${bad.reason}: ${bad.message}`,
      `correct the listener; its status says more (kubectl get ${owner.kind.toLowerCase()} ${owner.name} -n ${owner.namespace} -o yaml)`,
    );
  return findings.list;
}

function compileServer(
  listener: CompiledListener,
  claims: readonly Claim[],
  { listeners, hosts }: { listeners: readonly CompiledListener[]; hosts: HostSource },
): GatewayServer {
  const { owner, name, hostname, tls, protocol } = listener;
  const isHttp = protocol === 'HTTP' || protocol === 'HTTPS';
  const hosted = claims.map(({ bound, attachment }) => ({
    bound,
    hostnames: isolatedHostnames(listener, attachment.hostnames, listeners),
  }));
  return {
    name: owner.kind === 'Gateway' ? name : `${owner.namespace}/${owner.name}/${name}`,
    provenance: { kind: owner.kind, namespace: owner.namespace, name: owner.name, rule: name },
    protocol: PROTOCOL[protocol],
    hosts: [hostname],
    ...(tls && { tls }),
    virtualHosts: isHttp ? virtualHosts(listener, hosted, hosts) : [],
    l4Routes: isHttp ? [] : orderBytes(hosted, protocol === 'TLS'),
  };
}

interface HostSource {
  readonly previous: HostMemo;
  readonly memo: Map<string, { routes: readonly BoundRoute[]; host: VirtualHost }>;
}

/** The listener's own hostname is always there: what no route of it takes is not another listener's (404). */
function virtualHosts(
  { key, hostname, port }: CompiledListener,
  hosted: readonly { readonly bound: BoundRoute; readonly hostnames: readonly string[] }[],
  { previous, memo }: HostSource,
): VirtualHost[] {
  const byDomain = new Map<string, BoundRoute[]>([[hostname, []]]);
  for (const { bound, hostnames } of hosted)
    for (const domain of hostnames) {
      const routes = byDomain.get(domain) ?? [];
      routes.push(bound);
      byDomain.set(domain, routes);
    }
  return [...byDomain]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([domain, routes]) => {
      const place = `${key} ${port} ${domain}`;
      const known = previous.get(place);
      const isSame =
        known?.routes.length === routes.length &&
        known.routes.every((each, at) => each === routes[at]);
      const host = isSame ? known.host : { domains: [domain], routes: orderRoutes(routes, port) };
      memo.set(place, { routes, host });
      return host;
    });
}
