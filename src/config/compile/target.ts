/** What takes traffic, first by name, then bound to a service that exists. */
import type { RouteDestination } from '#model/route/route-table.ts';
import type { Service } from '#model/service/service.ts';
import { serviceKey } from '#model/service/service.ts';
import type { Findings } from './finding.ts';
import type { DestinationSpec } from './istio-kinds.ts';

export interface PendingTarget {
  readonly host: string;
  readonly subset: string | undefined;
  readonly port: number | undefined;
  /** Of the destination in its object, for findings. */
  readonly path: string;
}

export function targetOf(spec: DestinationSpec | undefined, path: string): PendingTarget {
  return {
    host: spec?.host ?? '',
    subset: spec?.subset || undefined,
    port: spec?.port?.number || undefined,
    path,
  };
}

/** How names are looked up. */
export interface TargetLookup {
  /** The service behind a full host name, as seen from a namespace. */
  readonly resolve: (hostname: string, namespace: string) => Service | undefined;
  /** Names of the subsets that DestinationRules define for it. */
  readonly subsets: (service: Service) => ReadonlySet<string>;
}

export type BoundTarget = Pick<
  RouteDestination,
  'upstream' | 'host' | 'port' | 'subset' | 'broken'
>;

/** A target that does not exist is bound as broken, with a finding: what is sent there is answered 503. */
export function bindTarget(
  pending: PendingTarget,
  context: {
    readonly lookup: TargetLookup;
    /** Of the object that names it. */
    readonly namespace: string;
    /** Of the request; the fallback where neither destination nor service say a port. */
    readonly port: number;
    /** `VirtualService shop/p rule 0`. */
    readonly where: string;
    readonly findings: Findings;
  },
): BoundTarget {
  const { lookup, namespace, where, findings } = context;
  const { host, subset, path } = pending;
  const service = lookup.resolve(host, namespace);
  // Istio: without a port, a service's only port, else the port of the request (GetDestinationCluster).
  const only = service?.ports.length === 1 ? service.ports[0].servicePort : undefined;
  const port = pending.port ?? only ?? context.port;
  const upstream = service === undefined ? `${namespace}/${host}` : serviceKey(service);
  const target: BoundTarget = { upstream, host, port, ...(subset !== undefined && { subset }) };
  const fail = (message: string, hint: string): BoundTarget => {
    findings.missing(path, `${message}: requests get 503`, hint);
    // Istio has no cluster for such a destination: Envoy answers 503 with the flag NC (cluster not found).
    return { ...target, broken: { status: 503, flag: 'NC', reason: `${where}: ${message}` } };
  };
  if (service === undefined)
    return fail(`host ${host} does not exist`, `create the service ${host}`);
  if (!service.ports.some(({ servicePort }) => servicePort === port))
    return fail(`service ${host} has no port ${port}`, 'name one of its ports in destination.port');
  if (subset !== undefined && !lookup.subsets(service).has(subset))
    return fail(
      `no DestinationRule defines subset ${subset} of ${host}`,
      `add the subset to the DestinationRule of ${host}`,
    );
  return target;
}
