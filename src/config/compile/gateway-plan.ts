/**
 * Which servers of the Istio Gateways one proxy serves, and on which ports (Istio: pilot/pkg/model/gateway.go mergeGateways).
 * What differs from Istio: of servers that exclude each other the older one is served, and the other one is told why it
 * is not.
 */
import type { Finding } from './finding.ts';
import { Findings } from './finding.ts';
import type { CompiledIstioGateway } from './istio-gateway.ts';
import { byAge } from './istio-kinds.ts';
import type { CompiledServer } from './istio-server.ts';

/** The gateway proxy: its namespace, the name that its configuration goes by, the labels of its pod. */
export interface GatewayProxyIdentity {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** A server, and the port that it is bound to. */
export interface PlacedServer {
  /** Unique in its plan. */
  readonly id: string;
  readonly gateway: CompiledIstioGateway;
  readonly server: CompiledServer;
  readonly port: number;
}

export interface GatewayPlan {
  readonly proxy: GatewayProxyIdentity;
  /** The servers of each port and address, all of one kind, the older first. */
  readonly ports: readonly (readonly PlacedServer[])[];
  readonly findings: readonly Finding[];
}

export interface GatewayPlanInput {
  readonly proxy: GatewayProxyIdentity;
  /** All there are; those that the proxy serves are chosen here. */
  readonly gateways: Iterable<CompiledIstioGateway>;
  /**
   * Target ports of a Service port, on the Services that have the proxy behind them, or on the one with this host name. Services
   * labelled experimental.istio.io/disable-gateway-port-translation count only when they are named. Undefined: ports
   * are bound as the Gateways name them.
   */
  readonly targetPorts?: (port: number, hostname: string | undefined) => readonly number[];
}

export function planGateways(input: GatewayPlanInput): GatewayPlan {
  const findings: Finding[] = [];
  const ports = new Map<string, PlacedServer[]>();
  const chosen = [...input.gateways].filter((each) => serves(each, input.proxy.labels)).sort(byAge);
  for (const gateway of chosen) {
    const own = new Findings('Gateway', gateway);
    for (const server of gateway.servers)
      for (const port of boundPorts(gateway, server, input)) {
        const key = `${port} ${server.bind ?? ''}`;
        const placed = ports.get(key) ?? [];
        ports.set(key, placed);
        const id = `${gateway.namespace}/${gateway.name} ${server.path} ${key}`;
        if (!isInTheWay(server, placed, own)) placed.push({ id, gateway, server, port });
      }
    findings.push(...own.list);
  }
  const sorted = [...ports.values()].sort(([left], [right]) => left.port - right.port);
  return { proxy: input.proxy, ports: sorted, findings };
}

function serves(gateway: CompiledIstioGateway, labels: Readonly<Record<string, string>>): boolean {
  return (
    gateway.services.length > 0 ||
    Object.entries(gateway.selector).every(([key, value]) => labels[key] === value)
  );
}

/** A named Service's port leads to each of its target ports; a selector to the first, or to the port as it is. */
function boundPorts(
  gateway: CompiledIstioGateway,
  { port }: CompiledServer,
  { targetPorts }: GatewayPlanInput,
): readonly number[] {
  if (gateway.services.length > 0) {
    const ports = gateway.services.flatMap((hostname) => targetPorts?.(port, hostname) ?? []);
    return [...new Set(ports)];
  }
  const [first = port] = targetPorts?.(port, undefined) ?? [];
  return [first];
}

/** Servers share a port when all are plain HTTP, or all are told apart by SNI. */
function isInTheWay(
  server: CompiledServer,
  placed: readonly PlacedServer[],
  findings: Findings,
): boolean {
  const [first] = placed;
  if (first === undefined) return false;
  const at = `${first.gateway.namespace}/${first.gateway.name}`;
  const refuse = (message: string, hint: string): true => {
    findings.conflict(server.path, `${message}: the server is not served`, hint);
    return true;
  };
  if (kindOf(server) !== kindOf(first.server))
    return refuse(
      `port ${server.port} speaks ${first.server.protocol} for the older Gateway ${at}`,
      'use another port, or another address in bind',
    );
  if (kindOf(server) === 'bytes')
    return refuse(`port ${server.port} belongs to the older Gateway ${at}`, 'use another port');
  if (kindOf(server) === 'plain') return false;
  const taken = new Set(placed.flatMap((each) => each.server.hosts.map(({ host }) => host)));
  const twice = server.hosts.find(({ host }) => taken.has(host));
  if (twice === undefined) return false;
  return refuse(
    `${twice.host} on port ${server.port} belongs to an older server`,
    'name each host in one server only',
  );
}

function kindOf({ protocol }: CompiledServer): 'plain' | 'sni' | 'bytes' {
  if (protocol === 'http') return 'plain';
  return protocol === 'tcp' ? 'bytes' : 'sni';
}
