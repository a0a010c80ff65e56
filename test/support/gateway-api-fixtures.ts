/** Builders for the tests of the Gateway API's compilers, and the whole way from objects to a gateway's configuration. */
import type { Attachment } from '#config/compile/gateway-api/attach.ts';
import { attachToListeners, parentOf } from '#config/compile/gateway-api/attach.ts';
import type { BackendLookups } from '#config/compile/gateway-api/bind.ts';
import { bindRoute } from '#config/compile/gateway-api/bind.ts';
import type { GatewayResult } from '#config/compile/gateway-api/gateway.ts';
import { compileGateway } from '#config/compile/gateway-api/gateway.ts';
import type {
  GatewaySpec,
  HttpRule,
  ListenerSpec,
  ReferenceGrantObject,
  RouteObject,
  RouteSpec,
} from '#config/compile/gateway-api/kinds.ts';
import type { ListenerOwner } from '#config/compile/gateway-api/listeners.ts';
import { compileListeners } from '#config/compile/gateway-api/listeners.ts';
import { isGranted } from '#config/compile/gateway-api/references.ts';
import type { CompiledRoute } from '#config/compile/gateway-api/route.ts';
import type { DataObject } from '#config/compile/gateway-api/tls-material.ts';
import type { Service } from '#model/service/service.ts';

export interface Meta {
  name?: string;
  namespace?: string;
  created?: string;
}

export function routeObject<R>(spec: RouteSpec<R>, meta: Meta = {}): RouteObject<R> {
  const { name = 'route', namespace = 'shop', created = '2026-01-01T00:00:00Z' } = meta;
  return {
    metadata: { name, namespace, creationTimestamp: created, generation: 1 },
    spec: { parentRefs: [{ name: 'web' }], ...spec },
  };
}

/** A rule that forwards to one service of the route's namespace. */
export function ruleTo(name: string, rest: Partial<HttpRule> = {}): HttpRule {
  return { backendRefs: [{ name, port: 80 }], ...rest };
}

export const HTTP: ListenerSpec = { name: 'http', port: 80, protocol: 'HTTP' };
export const OWNER: ListenerOwner = {
  kind: 'Gateway',
  namespace: 'shop',
  name: 'web',
  createdAt: '',
};

export interface World {
  listeners?: readonly ListenerSpec[];
  spec?: Partial<GatewaySpec>;
  listenerSets?: readonly {
    name: string;
    namespace?: string;
    created?: string;
    listeners: readonly ListenerSpec[];
  }[];
  routes?: readonly CompiledRoute[];
  services?: readonly Service[];
  grants?: readonly ReferenceGrantObject[];
  secrets?: Readonly<Record<string, DataObject>>;
  configMaps?: Readonly<Record<string, DataObject>>;
  namespaces?: Readonly<Record<string, Record<string, string>>>;
}

export function lookupsOf(world: World): BackendLookups {
  const find = (test: (service: Service) => boolean) => world.services?.find(test);
  return {
    service: (namespace, name) =>
      find((each) => each.namespace === namespace && each.name === name),
    host: (hostname) => find((each) => each.hostname === hostname),
    granted: (from, to) => isGranted(world.grants ?? [], from, to),
  };
}

/** Reasons by route: why it is attached nowhere, why a reference of it cannot be used. */
export interface Reasons {
  faults: Record<string, string>;
  refs: Record<string, string>;
}

/** Gateway `shop/web` with everything that is attached to it. */
export function compileWorld(world: World): GatewayResult & Reasons {
  const listeners = compileListeners({
    owner: OWNER,
    spec: { gatewayClassName: 'tulle', listeners: [...(world.listeners ?? [HTTP])], ...world.spec },
    listenerSets: (world.listenerSets ?? []).map(
      ({ name, namespace = 'shop', created = '', listeners }) => ({
        owner: { kind: 'ListenerSet', name, namespace, createdAt: created },
        listeners,
      }),
    ),
    lookups: {
      secret: (key) => world.secrets?.[key],
      configMap: (key) => world.configMaps?.[key],
      granted: (from, to) => isGranted(world.grants ?? [], from, to),
    },
  });
  const faults: Reasons['faults'] = {};
  const refs: Reasons['refs'] = {};
  const labelsOf = (namespace: string) => world.namespaces?.[namespace];
  const routes = (world.routes ?? []).map((route) => {
    const attachments = route.parentRefs.flatMap((ref): readonly Attachment[] => {
      const parent = parentOf(ref, route.namespace);
      if (parent === undefined) return [];
      const attached = attachToListeners(route, ref, parent, { listeners, labelsOf });
      if (attached.fault) faults[route.name] = attached.fault.reason;
      return attached.attachments;
    });
    const bound = bindRoute(route, lookupsOf(world));
    if (bound.refs) refs[route.name] = bound.refs.reason;
    return { bound, attachments };
  });
  return { ...compileGateway({ owner: OWNER, listeners, routes }), faults, refs };
}
