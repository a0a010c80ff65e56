/**
 * The routing cases of the Gateway API's conformance tests: the files of a case as a mesh graph, with what they leave out
 * (gateway-api-assumed.ts) and a waypoint for the mesh's services, and what becomes of a request at each place where it may enter.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { missingMaterials } from '#cli/why/assumed-material.ts';
import { MessageHead } from '#http/dispatch/message-head.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import type { CompiledRoutes, RouteEntry } from '#model/route/compile.ts';
import { compileRoutes } from '#model/route/compile.ts';
import type { GatewayServer } from '#model/route/gateway-config.ts';
import { compileHosts } from '#model/route/host-table.ts';
import { compileL4Routes, matchL4 } from '#model/route/l4-routes.ts';
import { matchRoutes } from '#model/route/match.ts';
import type { Redirect, Route, RouteDestination } from '#model/route/route-table.ts';
import { applyHeaderOperations, redirectLocation, rewritePath } from '#model/route/transform.ts';
import { corsDecision, decorateAnswer } from '#waypoint/phases/cors.ts';
import { assumeMissing, type FileObject } from './gateway-api-assumed.ts';
import { meshOf } from './gateway-mesh.ts';
import { ROOT } from './lab.ts';

export interface RoutingCase {
  id: string;
  kind: string;
  configFiles: string[];
  gateways: string[];
  request: {
    host?: string;
    path: string;
    method: string;
    headers?: Record<string, string>;
    sNI?: string;
  };
  expect: {
    status: number | number[];
    destination?: string;
    redirect?: { scheme?: string; host?: string; port?: string; path?: string };
    upstreamRequest?: {
      host?: string;
      path?: string;
      headers?: Record<string, string> | null;
      absentHeaders?: string[];
    };
    response?: {
      headers?: Record<string, string>;
      absentHeaders?: string[];
      validHeaderValues?: Record<string, string[]>;
    };
    mirroredTo?: { backendRef: { Name: string; Namespace: string } }[];
  };
  backendSetsResponseHeaders?: Record<string, string>;
}

/** What a client sees, and what the application that serves it does. */
export interface Outcome {
  status: number;
  /** Upstreams that may serve it. */
  upstreams: readonly string[];
  location?: URL;
  upstreamHead?: MessageHead;
  responseHead?: MessageHead;
  mirrors: readonly string[];
}

const CLASS = 'tulle';
const MESH_NAMESPACE = 'gateway-conformance-mesh';

/** Where a request may enter: a listener of a gateway, or the port of a service. */
export interface Entrance {
  readonly port: number;
  readonly scheme: 'http' | 'https';
  readonly decide: (
    authority: string,
    request: RoutingCase['request'],
    origin: Record<string, string>,
  ) => Outcome;
}

function load(files: readonly string[]): FileObject[] {
  const folder = join(process.env.TULLE_CASES ?? join(ROOT, '../shared/cases'), 'routing');
  return files.flatMap((file) => {
    const text = readFileSync(join(folder, file), 'utf8').replaceAll('{GATEWAY_CLASS_NAME}', CLASS);
    return parseAllDocuments(text).flatMap(
      (document) => (document.toJS() as FileObject | null) ?? [],
    );
  });
}

/** Kinds that say nothing about routing. */
const IGNORED = ['Deployment', 'Job', 'Pod'];

export function meshOfCase({ configFiles, gateways }: RoutingCase) {
  const files = load(configFiles).filter(({ kind }) => !IGNORED.includes(kind));
  // The list of gateways holds names of routes as well.
  const keysOf = (...kinds: string[]) =>
    files
      .filter(({ kind }) => kinds.includes(kind))
      .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
  const routes = keysOf('HTTPRoute', 'TLSRoute').filter((key) => !keysOf('Gateway').includes(key));
  const asked = gateways.filter((key) => !routes.includes(key));
  const waypoint = [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: MESH_NAMESPACE, labels: { 'istio.io/use-waypoint': 'waypoint' } },
    },
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'Gateway',
      metadata: { namespace: MESH_NAMESPACE, name: 'waypoint' },
      spec: { gatewayClassName: 'istio-waypoint', listeners: [] },
      status: { addresses: [{ type: 'Hostname', value: 'w' }] },
    },
  ];
  const given = [
    ...files.filter(
      ({ kind, metadata }) => kind !== 'Namespace' || metadata.name !== MESH_NAMESPACE,
    ),
    ...assumeMissing(files, { gateways: asked }),
    ...waypoint,
  ];
  const objects = given.map((object) => ({
    ...object,
    metadata: { uid: `${object.kind}/${object.metadata.name}`, ...object.metadata },
  })) as unknown as KubeObject[];
  return { ...meshOf([...objects, ...missingMaterials(objects)]), asked };
}

export function entrancesOf(row: RoutingCase): Entrance[] {
  const { mesh, asked } = meshOfCase(row);
  if (asked.length === 0) {
    const host = (row.request.host ?? 'echo').split(':')[0];
    const table = mesh.routeTables.get(
      `${MESH_NAMESPACE}/${host}.${MESH_NAMESPACE}.svc.cluster.local`,
    )?.table;
    return (table?.ports ?? []).map(({ port, routes }) => {
      const compiled = compileRoutes(routes, failOnProblem);
      return {
        port,
        scheme: 'http',
        decide: (authority, request, origin) =>
          outcomeOf(compiled, { scheme: 'http', authority, request, origin }),
      };
    });
  }
  return asked.flatMap((key) => {
    const { config } = mesh.gatewayConfigs.get(key) ?? {};
    return (config?.listeners ?? []).flatMap(({ port, servers }) => {
      const plain = servers.filter(({ tls, protocol }) => tls === undefined && protocol !== 'tls');
      return [
        ...(plain.length > 0 ? [entranceOf(port, 'http', plain)] : []),
        ...(plain.length < servers.length ? [secureEntrance(port, servers)] : []),
      ];
    });
  });
}

function entranceOf(
  port: number,
  scheme: 'http' | 'https',
  servers: readonly GatewayServer[],
): Entrance {
  const hosts = compileHosts(
    servers.flatMap(({ virtualHosts }) =>
      virtualHosts.map(({ domains, routes }) => ({
        domains,
        routes: compileRoutes(routes, failOnProblem),
      })),
    ),
  );
  return {
    port,
    scheme,
    decide: (authority, request, origin) => {
      const host = hosts.find(authority);
      return host === undefined
        ? failed(404)
        : outcomeOf(host.routes, { scheme, authority, request, origin });
    },
  };
}

/** The client names the host in its SNI as well. */
function secureEntrance(port: number, servers: readonly GatewayServer[]): Entrance {
  const bySni = compileHosts(servers.map((server) => ({ domains: server.hosts, server })));
  return {
    port,
    scheme: 'https',
    decide: (authority, request, origin) => {
      const sni = authority.split(':')[0];
      const server = bySni.find(sni)?.server;
      if (server === undefined) return failed(0);
      if (server.protocol === 'https')
        return entranceOf(port, 'https', [server]).decide(authority, request, origin);
      const entry = matchL4(compileL4Routes(server.l4Routes, failOnProblem), { sni });
      const destinations = entry?.route.route.destinations ?? [];
      return {
        ...failed(destinations.length === 0 ? 0 : 200),
        upstreams: destinations.map(({ upstream }) => upstream),
      };
    },
  };
}

const failed = (status: number): Outcome => ({ status, upstreams: [], mirrors: [] });

interface Asked {
  scheme: string;
  authority: string;
  request: RoutingCase['request'];
  /** What the application answers with. */
  origin: Record<string, string>;
}

function outcomeOf(routes: CompiledRoutes, { scheme, authority, request, origin }: Asked): Outcome {
  const head = MessageHead.request(request.method, authority, request.path, scheme);
  for (const [name, value] of Object.entries(request.headers ?? {}))
    head.add(name.toLowerCase(), value);
  const entry = matchRoutes(routes, head);
  if (entry === undefined) return failed(404);
  const { route } = entry.route;
  const { action, cors } = route;
  const decision = cors && corsDecision(cors, head);
  if (decision?.kind === 'preflight') return { ...failed(200), responseHead: decision.head };
  if (action.kind === 'respond') return failed(action.status);
  if (action.kind === 'redirect') return redirected(action, head, entry);
  const destinations = entry.route.destinations.map(({ destination }) => destination);
  const [first] = destinations;
  if (first.redirect !== undefined) return redirected(first.redirect, head, entry);
  const status = first.broken?.status ?? timedOut(route, request) ?? 200;
  const response = MessageHead.response(status);
  for (const [name, value] of Object.entries(origin)) response.add(name.toLowerCase(), value);
  for (const operations of [route.headers?.response, first.headers?.response])
    if (operations) applyHeaderOperations(response, operations);
  if (decision?.kind === 'actual' && cors) decorateAnswer(response, cors, decision.origin);
  return {
    status,
    upstreams: destinations.flatMap(({ upstream, broken }) =>
      broken === undefined ? [upstream] : [],
    ),
    upstreamHead: upstreamHead(head, entry, route, first),
    responseHead: response,
    mirrors: [...(route.mirrors ?? []), ...(first.mirrors ?? [])].map(({ upstream }) => upstream),
  };
}

function redirected(redirect: Redirect, head: MessageHead, entry: RouteEntry): Outcome {
  return {
    ...failed(redirect.status),
    location: new URL(redirectLocation(redirect, head, entry.pathMatch)),
  };
}

function upstreamHead(
  request: MessageHead,
  entry: RouteEntry,
  route: Route,
  destination: RouteDestination,
): MessageHead {
  const head = request.clone();
  const compiled = entry.route.destinations.find((each) => each.destination === destination);
  head.path = rewritePath(entry, head.path, compiled);
  const authority = destination.rewrite?.authority ?? route.rewrite?.authority;
  if (authority !== undefined) head.authority = authority;
  for (const operations of [route.headers?.request, destination.headers?.request])
    if (operations) applyHeaderOperations(head, operations);
  return head;
}

/** The conformance tests' application waits for as long as the request says. */
function timedOut(
  { timeoutMs, retries }: Route,
  { path }: RoutingCase['request'],
): number | undefined {
  const delay = /[?&]delay=(\d+)(ms|s)/.exec(path);
  if (delay === null) return undefined;
  const delayMs = Number(delay[1]) * (delay[2] === 's' ? 1000 : 1);
  const limitMs = Math.min(timeoutMs ?? Infinity, retries.perTryTimeoutMs ?? Infinity);
  return delayMs > limitMs ? 504 : undefined;
}

function failOnProblem(problem: string): never {
  throw new Error(problem);
}
