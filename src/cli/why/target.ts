/**
 * What the client dials: a service by one of its names or addresses, a workload by its address, or something outside of the mesh. Names are
 * read as the DNS proxy reads them.
 */
import { parseIp } from '#base/ip.ts';
import type { Service as KubeService } from '#kube/client/kinds.ts';
import type { Service } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { aliasesOf, wildcardsOf } from '#node/dns/names.ts';
import type { World } from './world.ts';

export type Target =
  | {
      readonly kind: 'service';
      readonly service: Service;
      /** The name of an ExternalName service that led here. */
      readonly alias: string | undefined;
      /** Where the connection goes: a virtual address, or an endpoint of a headless service. */
      readonly address: string;
    }
  | { readonly kind: 'workload'; readonly workload: Workload; readonly address: string }
  | { readonly kind: 'outside'; readonly host: string };

export function findTarget(
  world: World,
  dialled: { host: string; namespace: string },
): Target | undefined {
  const { settings } = world;
  const host = dialled.host.toLowerCase();
  const snapshot = world.snapshot();
  if (parseIp(host) !== undefined) {
    const service = snapshot.serviceAt(settings.network, host, dialled.namespace);
    if (service !== undefined) return { kind: 'service', service, alias: undefined, address: host };
    const workload = snapshot.workloadAt(settings.network, host);
    return workload === undefined
      ? { kind: 'outside', host }
      : { kind: 'workload', workload, address: host };
  }
  const service = serviceNamed(world, host, dialled.namespace);
  if (service !== undefined) return toService(world, service, undefined);
  const alias = aliasNamed(world, host, dialled.namespace);
  if (alias === undefined) return undefined;
  const concrete = serviceNamed(world, alias.target, alias.namespace);
  return concrete === undefined
    ? { kind: 'outside', host: alias.target }
    : toService(world, concrete, alias.hostname);
}

export function serviceNamed(world: World, host: string, namespace: string): Service | undefined {
  const { domain } = world.settings;
  const snapshot = world.snapshot();
  for (const { name } of aliasesOf(host, { clientNamespace: namespace, domain })) {
    for (const hostname of wildcardsOf(name)) {
      const service = snapshot.serviceNamed(hostname, namespace);
      if (service !== undefined) return service;
    }
  }
  return undefined;
}

function toService(world: World, service: Service, alias: string | undefined): Target {
  const [virtual] = service.addresses;
  const [endpoint] = world.snapshot().endpointsOf(`${service.namespace}/${service.hostname}`);
  const address = virtual?.address ?? endpoint?.addresses[0] ?? '';
  return { kind: 'service', service, alias, address };
}

/** An ExternalName service: its clients' resolvers lead them to another name. */
function aliasNamed(
  world: World,
  host: string,
  clientNamespace: string,
): { hostname: string; target: string; namespace: string } | undefined {
  const { domain } = world.settings;
  for (const { name } of aliasesOf(host, { clientNamespace, domain })) {
    const place = kubernetesName(name, domain);
    const object: KubeService | undefined =
      place && world.mesh.sources.services.get(`${place.namespace}/${place.name}`);
    const target = object?.spec.type === 'ExternalName' ? object.spec.externalName : undefined;
    if (place !== undefined && target !== undefined)
      return { hostname: name, target, namespace: place.namespace };
  }
  return undefined;
}

/** `name.namespace.svc.domain`. */
export function kubernetesName(
  hostname: string,
  domain: string,
): { name: string; namespace: string } | undefined {
  const suffix = `.svc.${domain}`;
  if (!hostname.endsWith(suffix)) return undefined;
  const [name, namespace, ...more] = hostname.slice(0, -suffix.length).split('.');
  return namespace === undefined || more.length > 0 ? undefined : { name, namespace };
}
