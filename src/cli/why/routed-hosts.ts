/** Hosts that the rules of either API send to, by their full names. */
import { resolveHost } from '#config/compile/hosts.ts';
import { namespaceOf } from '#control/derive/mesh.ts';
import type { World } from './world.ts';

export interface RoutedHost {
  readonly host: string;
  readonly namespace: string;
  readonly port: number | undefined;
  /** `VirtualService shop/p`. */
  readonly by: string;
}

export function routedHosts(world: World): RoutedHost[] {
  return [...virtualServiceHosts(world), ...backendHosts(world)];
}

function virtualServiceHosts({ mesh, settings }: World): RoutedHost[] {
  const found: RoutedHost[] = [];
  for (const [, object] of mesh.sources.virtualServices.entries()) {
    const namespace = namespaceOf(object);
    const { http = [], tcp = [], tls = [] } = object.spec ?? {};
    const destinations = [
      ...[...http, ...tcp, ...tls]
        .flatMap((rule) => rule?.route ?? [])
        .map((each) => each?.destination),
      ...http.flatMap((rule) => [
        rule?.mirror,
        ...(rule?.mirrors ?? []).map((each) => each?.destination),
      ]),
    ];
    for (const each of destinations) {
      if (each?.host === undefined) continue;
      found.push({
        host: resolveHost(each.host, { namespace, domain: settings.domain }),
        namespace,
        port: each.port?.number,
        by: `VirtualService ${namespace}/${object.metadata.name}`,
      });
    }
  }
  return found;
}

interface Backend {
  readonly group?: string;
  readonly kind?: string;
  readonly name: string;
  readonly namespace?: string;
  readonly port?: number;
}
interface Rule {
  readonly backendRefs?: readonly (Backend & { readonly filters?: readonly Filter[] })[];
  readonly filters?: readonly Filter[];
}
interface Filter {
  readonly requestMirror?: { readonly backendRef?: Backend };
}

function backendHosts({ mesh, settings }: World): RoutedHost[] {
  const { httpRoutes, grpcRoutes, tcpRoutes, tlsRoutes } = mesh.sources;
  const found: RoutedHost[] = [];
  for (const routes of [httpRoutes, grpcRoutes, tcpRoutes, tlsRoutes]) {
    for (const [, object] of routes.entries()) {
      const namespace = namespaceOf(object);
      for (const rule of (object.spec?.rules ?? []) as readonly Rule[]) {
        const backends = rule.backendRefs ?? [];
        const filters = [
          ...(rule.filters ?? []),
          ...backends.flatMap((each) => each.filters ?? []),
        ];
        const mirrors = filters.flatMap(({ requestMirror }) => requestMirror?.backendRef ?? []);
        for (const { group = '', kind = 'Service', name, namespace: own, port } of [
          ...backends,
          ...mirrors,
        ]) {
          if (group !== '' || kind !== 'Service') continue;
          const host = `${name}.${own ?? namespace}.svc.${settings.domain}`;
          const by = `${object.kind} ${namespace}/${object.metadata.name}`;
          found.push({ host, namespace, port, by });
        }
      }
    }
  }
  return found;
}
