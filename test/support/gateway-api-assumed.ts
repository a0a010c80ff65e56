/**
 * What the files of routing cases leave out: Gateways that are asked for, and services that routes send to in namespaces of which no
 * file holds a service. Each is made up in the plainest form that lets the case be judged.
 */
import type {
  BackendRef,
  HttpRule,
  ParentRef,
  RouteFilter,
  RouteSpec,
} from '#config/compile/gateway-api/kinds.ts';
import { GATEWAY, referentOf, SERVICE } from '#config/compile/gateway-api/references.ts';

/** An object as a file holds it. */
export interface FileObject {
  readonly apiVersion?: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly spec?: unknown;
}

export interface AssumedObject extends FileObject {
  readonly apiVersion: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}

const ROUTE_KINDS = ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute'];
const GATEWAY_API = 'gateway.networking.k8s.io/v1';

/** `gateways`: `namespace/name` of those that the question names. */
export function assumeMissing(
  objects: readonly FileObject[],
  { gateways = [] }: { gateways?: readonly string[] } = {},
): AssumedObject[] {
  const present = new Set(objects.map(keyOf));
  const routes = objects.filter(({ kind }) => ROUTE_KINDS.includes(kind));
  const assumedGateways = gateways
    .map((key) => assumedGateway(key, routes))
    .filter((gateway) => !present.has(keyOf(gateway)));
  const described = new Set(objects.filter(({ kind }) => kind === 'Service').map(namespaceOf));
  const services = assumedServices(routes).filter((each) => !described.has(namespaceOf(each)));
  const assumed = [...assumedGateways, ...services];
  const missing = new Map<string, AssumedObject>();
  for (const object of assumed) if (!present.has(keyOf(object))) missing.set(keyOf(object), object);
  return [...missing.values()];
}

function keyOf({ kind, metadata }: FileObject): string {
  return `${kind}/${metadata.namespace ?? 'default'}/${metadata.name}`;
}

/** With a listener for each section and port that routes name; else one for HTTP and one for HTTPS. */
function assumedGateway(key: string, routes: readonly FileObject[]): AssumedObject {
  const [namespace, name] = key.split('/');
  const refs = routes.flatMap((route) =>
    ((route.spec as RouteSpec<unknown> | undefined)?.parentRefs ?? []).filter((ref: ParentRef) => {
      const to = referentOf(ref, { ...GATEWAY, namespace: namespaceOf(route) });
      return to.kind === 'Gateway' && to.namespace === namespace && to.name === name;
    }),
  );
  const certificateRefs = [{ name: `${name}-certificate` }];
  const allowedRoutes = { namespaces: { from: 'All' } };
  const listeners = [
    { name: 'http', port: 80, protocol: 'HTTP', allowedRoutes },
    { name: 'https', port: 443, protocol: 'HTTPS', allowedRoutes, tls: { certificateRefs } },
  ];
  for (const { sectionName, port } of refs) {
    const known = listeners.some(
      (each) => (!sectionName || each.name === sectionName) && (!port || each.port === port),
    );
    if (known) continue;
    const free = Math.max(...listeners.map((each) => each.port), 8000) + 1;
    listeners.push({
      name: sectionName ?? `port-${port}`,
      port: port ?? free,
      protocol: 'HTTP',
      allowedRoutes,
    });
  }
  return {
    apiVersion: GATEWAY_API,
    kind: 'Gateway',
    metadata: { namespace, name },
    spec: { gatewayClassName: 'istio', listeners },
  };
}

function assumedServices(routes: readonly FileObject[]): AssumedObject[] {
  const ports = new Map<string, Set<number>>();
  for (const route of routes)
    for (const ref of backendsOf(route)) {
      const to = referentOf(ref, { ...SERVICE, namespace: namespaceOf(route) });
      if (to.kind !== 'Service' || to.group !== '' || ref.port === undefined) continue;
      const key = `${to.namespace}/${to.name}`;
      ports.set(key, (ports.get(key) ?? new Set()).add(ref.port));
    }
  return [...ports].map(([key, numbers]) => {
    const [namespace, name] = key.split('/');
    const spec = { ports: [...numbers].map((port) => ({ name: `http-${port}`, port })) };
    return { apiVersion: 'v1', kind: 'Service', metadata: { namespace, name }, spec };
  });
}

function backendsOf(route: FileObject): BackendRef[] {
  const { rules = [] } = (route.spec ?? {}) as RouteSpec<HttpRule>;
  const mirrors = (filters: readonly RouteFilter[] | undefined) =>
    (filters ?? []).flatMap(({ requestMirror }) => requestMirror?.backendRef ?? []);
  return rules.flatMap(({ backendRefs = [], filters }) => [
    ...mirrors(filters),
    ...backendRefs.flatMap((ref) => [ref, ...mirrors(ref.filters)]),
  ]);
}

function namespaceOf({ metadata }: FileObject): string {
  return metadata.namespace ?? 'default';
}
