/** Routing cases of other projects as requests of `tulle why`, and what their answers must be. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WhyAnswer, WhyOperations, WhyRequest } from '#cli/why/contract.ts';
import { why } from '#cli/why/why.ts';
import { worldOf } from '#cli/why/world.ts';
import { parseManifests } from '#kube/manifests.ts';
import { casesFolder } from './foreign-cases.ts';

export interface WhyCase {
  readonly id: string;
  readonly manifests: readonly string[];
  /** Any of them must do: a case may name several gateways. */
  readonly requests: readonly WhyRequest[];
  /** What is wrong with an answer; nothing: it is right. */
  readonly check: (answer: WhyAnswer) => string[];
}

export function answer(manifests: readonly string[], request: WhyRequest): WhyAnswer {
  const objects = manifests.flatMap((text) =>
    parseManifests(text, 'case').map(({ object }) => object),
  );
  return why(worldOf(objects), request);
}

/** Of the requests' answers the first without a problem, else the problems of the last. */
export function problemsOf({ manifests, requests, check }: WhyCase): string[] {
  let problems: string[] = ['no request'];
  for (const request of requests) {
    const given = answer(manifests, request);
    problems = check(given);
    if (problems.length === 0) return [];
    problems.push(`${given.verdict} ${given.status ?? ''}: ${given.reason}`);
  }
  return problems;
}

type Headers = Readonly<Record<string, string>>;

export interface SimulationRow {
  id: string;
  name: string;
  config: string | null;
  kubeConfig: string | null;
  proxy: string;
  request: {
    hostHeader?: string;
    address?: string;
    port: number;
    protocol: string;
    path?: string;
    tLS?: string;
    args?: string;
  };
  expect: {
    error?: number | string;
    destination?: string | { direction: string; port: number; subset: string | null; host: string };
  };
}

export function simulationCase(row: SimulationRow): WhyCase {
  const { id, config, kubeConfig } = row;
  const manifests = [config, kubeConfig].filter((text) => text !== null);
  return { id, manifests, requests: [simulationRequest(row)], check: checkSimulation(row.expect) };
}

function simulationRequest({ proxy, request }: SimulationRow): WhyRequest {
  const { hostHeader, address, port, protocol, path, tLS, args } = request;
  // `$[8000, {"$id": "simulation.MTLS"}]`: the port and how the client comes to the workload's sidecar.
  const inbound = /\[(\d+).*simulation\.(\w+)/.exec(args ?? '');
  if (inbound !== null) {
    const source =
      inbound[2] === 'MTLS'
        ? { namespace: 'default', serviceAccount: 'client', mtls: true }
        : { namespace: 'default', mtls: false };
    const destination = { host: '1.1.1.1', port: Number(inbound[1]), workload: 'default/foo' };
    return { mode: 'sidecar', source, destination, protocol: 'tcp' };
  }
  const isGateway = proxy.startsWith('ingress gateway');
  return {
    mode: 'sidecar',
    ...(isGateway && { gateway: 'istio-system/istio-ingressgateway' }),
    destination: { host: hostHeader ?? address ?? '1.2.3.4', port },
    protocol: tLS === 'TLS' ? 'https' : protocol === 'TCP' ? 'tcp' : 'http',
    path: path ?? '/',
    ...(hostHeader !== undefined && { headers: { host: hostHeader } }),
  };
}

function checkSimulation({ error, destination }: SimulationRow['expect']) {
  return (given: WhyAnswer): string[] => {
    const expectVerdict = (...verdicts: WhyAnswer['verdict'][]) =>
      verdicts.includes(given.verdict) ? [] : [`verdict ${verdicts}`];
    if (error === 404) return expectVerdict('no-route');
    if (error === 301) return expectVerdict('redirect');
    if (error !== undefined) return expectVerdict('reset');
    if (destination === undefined || typeof destination === 'string')
      return expectVerdict(destination === 'BlackHoleCluster' ? 'reset' : 'forward');
    if (destination.direction === 'inbound') return expectVerdict('forward');
    const { host, port, subset } = destination;
    const isThere = given.destinations.some(
      (each) =>
        each.host.startsWith(host) && each.port === port && (each.subset ?? null) === subset,
    );
    return isThere ? [] : [`destination ${host}:${port}`];
  };
}

export interface IstioRow {
  id: string;
  name: string;
  config: string;
  viaIngress: boolean;
  request: {
    method: string;
    host: string;
    path: string;
    headers: Headers;
    port: number;
    followRedirects: boolean;
    scheme?: string;
  };
  expect: {
    status?: number;
    grpcStatus?: string;
    location?: string;
    upstreamPath?: string;
    upstreamHeaders?: Headers;
    responseHeaders?: Headers;
    destination?: string;
  };
}

const GRPC_STATUS: Readonly<Record<string, string>> = { Unavailable: '14' };

export function istioCase({ id, config, ...row }: IstioRow, mode: 'ambient' | 'sidecar'): WhyCase {
  const { request, expect, viaIngress } = row;
  const asked: WhyRequest = {
    mode,
    ...(viaIngress
      ? { gateway: 'istio-system/istio-ingressgateway' }
      : { source: { namespace: 'default', serviceAccount: 'a' } }),
    destination: { host: request.host.replace(/:.*/, ''), port: request.port },
    method: request.method,
    path: request.path,
    headers: { ...request.headers, host: request.host },
    ...(request.scheme === 'grpc' && { protocol: 'grpc' as const }),
  };
  return { id: `${id} ${mode}`, manifests: [config], requests: [asked], check };

  function check(given: WhyAnswer): string[] {
    const problems: string[] = [];
    const { status, grpcStatus, location, destination } = expect;
    // The case follows the redirect; the answer says where it leads.
    if (request.followRedirects && given.verdict === 'redirect') {
      const { pathname, search } = new URL(given.redirect?.location ?? 'x:');
      return pathname + search === expect.upstreamPath ? [] : [`path ${expect.upstreamPath}`];
    }
    if (status === 200 && given.verdict !== 'forward') problems.push('verdict forward');
    if (status !== undefined && status !== 200 && given.status !== status)
      problems.push(`status ${status}`);
    if (
      grpcStatus !== undefined &&
      given.response?.set?.['grpc-status'] !== GRPC_STATUS[grpcStatus]
    )
      problems.push(`grpc-status ${grpcStatus}`);
    if (location !== undefined && given.redirect?.location !== location)
      problems.push(`location ${location}`);
    problems.push(...missing('request', expect.upstreamHeaders, given.request));
    problems.push(...missing('response', expect.responseHeaders, given.response));
    if (destination !== undefined && !given.destinations[0]?.host.startsWith(`${destination}.`))
      problems.push(`destination ${destination}`);
    return problems;
  }
}

function missing(what: string, wanted: Headers = {}, given: WhyOperations = {}): string[] {
  const values = lowerCased({ ...given.add, ...given.set });
  return Object.entries(lowerCased(wanted)).flatMap(([name, value]) =>
    values[name] === value ? [] : [`${what} field ${name}: ${value}, not ${values[name]}`],
  );
}

/** The application's own fields are in what is expected, and it adds to values: only the mesh's part is in the answer. */
function wrongResponse(wanted: Headers = {}, given: WhyOperations = {}): string[] {
  const values = lowerCased({ ...given.add, ...given.set });
  return Object.entries(lowerCased(wanted)).flatMap(([name, value]) => {
    const isOurs = values[name] !== undefined || name.startsWith('access-control-');
    return !isOurs || value.endsWith(values[name] ?? '?')
      ? []
      : [`response field ${name}: ${value}`];
  });
}

function lowerCased(headers: Headers): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

export interface GatewayRow {
  id: string;
  kind: string;
  configFiles: string[];
  gateways: string[];
  request: {
    host?: string;
    path?: string;
    method: string;
    headers?: Headers;
    sNI?: string;
  };
  expect: {
    status?: number | number[];
    destination?: string;
    redirect?: { host?: string; path?: string; scheme?: string; port?: string };
    upstreamRequest?: { path?: string; headers?: Headers | null };
    response?: { headers?: Headers; absentHeaders?: string[] };
  };
}

/** Ports that a case can mean: it does not say which listener of which Gateway it dials. */
const PORTS: readonly [number, WhyRequest['protocol']][] = [
  [80, 'http'],
  [443, 'https'],
  [8080, 'http'],
  [8443, 'https'],
  [443, 'tls'],
];

export function gatewayCase(row: GatewayRow): WhyCase {
  const { id, kind, configFiles, gateways, request, expect } = row;
  const folder = join(casesFolder(), 'routing');
  const manifests = configFiles.map((file) => readFileSync(join(folder, file), 'utf8'));
  const [host, port] = (request.host ?? '').split(':');
  const { method, path = '/', headers = {} } = request;
  const common = {
    method,
    path,
    headers: { ...(host !== '' && { host: request.host ?? host }), ...lowerCased(headers) },
    ...(request.sNI !== undefined && { sni: request.sNI }),
  };
  const isMesh = kind.startsWith('mesh');
  const requests = isMesh
    ? [
        {
          ...common,
          source: { namespace: 'gateway-conformance-mesh', serviceAccount: 'echo-v1' },
          destination: { host: host === '' ? 'echo' : host, port: port ? Number(port) : 80 },
        },
      ]
    : [...new Set(gateways)].flatMap((gateway) =>
        PORTS.map(([dialled, protocol]) => ({
          ...common,
          gateway,
          protocol,
          destination: { host: host === '' ? 'gateway.example' : host, port: dialled },
        })),
      );
  return { id, manifests, requests, check: checkGateway(request, expect) };
}

function checkGateway(request: GatewayRow['request'], expect: GatewayRow['expect']) {
  return (given: WhyAnswer): string[] => {
    const problems: string[] = [];
    const status = given.verdict === 'forward' ? 200 : given.status;
    const wanted = [expect.status ?? []].flat();
    if (wanted.length > 0 && !wanted.includes(status ?? 0)) problems.push(`status ${wanted}`);
    const destination = expect.destination?.replace('(any)', '');
    if (
      destination !== undefined &&
      !given.destinations.some(({ host }) => host.startsWith(destination))
    )
      problems.push(`destination ${destination}`);
    problems.push(...checkRedirect(given, expect.redirect));
    const { path, headers } = expect.upstreamRequest ?? {};
    if (path && (given.request?.path ?? request.path ?? '/') !== path)
      problems.push(`path ${path}`);
    const sent = given.request ?? {};
    const changed = {
      ...lowerCased(request.headers ?? {}),
      ...lowerCased({ ...sent.add, ...sent.set }),
    };
    for (const [name, value] of Object.entries(lowerCased(headers ?? {})))
      if (!value.endsWith(changed[name] ?? '')) problems.push(`request field ${name}: ${value}`);
    problems.push(...wrongResponse(expect.response?.headers, given.response));
    const set = lowerCased({ ...given.response?.set, ...given.response?.add });
    for (const name of expect.response?.absentHeaders ?? [])
      if (set[name.toLowerCase()] !== undefined) problems.push(`no response field ${name}`);
    return problems;
  };
}

function checkRedirect(given: WhyAnswer, wanted: GatewayRow['expect']['redirect'] = {}): string[] {
  const { redirect } = given;
  if (redirect === undefined) return Object.keys(wanted).length > 0 ? ['a redirect'] : [];
  const { hostname, pathname, protocol, port } = new URL(redirect.location);
  const { host, path, scheme } = wanted;
  return [
    ...(path !== undefined && pathname !== path ? [`redirect to path ${path}`] : []),
    ...(host !== undefined && hostname !== host ? [`redirect to host ${host}`] : []),
    ...(scheme !== undefined && protocol !== `${scheme}:` ? [`redirect to scheme ${scheme}`] : []),
    ...(wanted.port !== undefined && port !== wanted.port
      ? [`redirect to port ${wanted.port}`]
      : []),
  ];
}

export interface PolicyRow {
  id: string;
  name: string;
  policies: string;
  otherConfig?: string;
  enforcedAt: string;
  destination: { name: string; namespace: string; ip?: string; labels: Record<string, string> };
  request: {
    protocol: string;
    destPort: number;
    servicePort?: number;
    destIP?: string;
    sourceIP?: string;
    sourcePrincipal: string | null;
    sourceNamespace?: string | null;
    method?: string;
    path?: string;
    host?: string;
    headers?: Headers;
    sni?: string;
  };
  expect: 'allow' | 'deny';
  expectStatus?: number;
}

/** Policies at a workload's own sidecar, or at the gateway that is named. */
export function policyCase(row: PolicyRow): WhyCase {
  const { id, policies, otherConfig, enforcedAt, destination, request, expect, expectStatus } = row;
  const { name, namespace, labels } = destination;
  const ip = destination.ip ?? request.destIP ?? '10.0.9.9';
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace, labels }, spec: {} };
  const manifests = [policies, otherConfig, JSON.stringify({ ...pod, status: { podIP: ip } })];
  const proven = /^spiffe:\/\/([^/]+)\/ns\/([^/]+)\/sa\/(.+)$/.exec(request.sourcePrincipal ?? '');
  const source =
    proven === null
      ? { namespace: request.sourceNamespace ?? 'default', mtls: false }
      : { trustDomain: proven[1], namespace: proven[2], serviceAccount: proven[3], mtls: true };
  const { host, method, path, protocol, sni, headers } = request;
  const isGateway = enforcedAt === 'gateway';
  const asked: WhyRequest = {
    mode: 'sidecar',
    source: { ...source, ...(request.sourceIP && { ip: request.sourceIP }) },
    ...(isGateway
      ? {
          gateway: `${namespace}/${name}`,
          destination: { host: host ?? ip, port: request.servicePort ?? 80 },
        }
      : { destination: { host: ip, port: request.destPort, workload: `${namespace}/${name}` } }),
    protocol: protocol as WhyRequest['protocol'],
    headers: { ...(host !== undefined && { host }), ...headers },
    ...(method !== undefined && { method }),
    ...(path !== undefined && { path }),
    ...(sni !== undefined && { sni }),
  };
  const check = (given: WhyAnswer) => {
    const isDenied = given.verdict === 'deny' || given.verdict === 'reset';
    if (isDenied !== (expect === 'deny')) return [expect];
    const status = isDenied ? given.status : 200;
    return expectStatus === undefined || status === expectStatus ? [] : [`status ${expectStatus}`];
  };
  return {
    id,
    manifests: manifests.filter((each) => each !== undefined),
    requests: [asked],
    check,
  };
}
