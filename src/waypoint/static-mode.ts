/** `--static FILE`: a waypoint or gateway from one file, without a control plane. Benchmarks and tests use it. */
import { systemRandom } from '#base/random.ts';
import { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { parseIdentity } from '#model/identity/spiffe.ts';
import { startAdmin } from './admin/servers.ts';
import { statusOf } from './admin/status.ts';
import { MaterialStore, type Materials } from './config/materials.ts';
import { readStaticConfig, type StaticConfig } from './config/static-file.ts';
import { GatewayListeners } from './listener/gateway-listeners.ts';
import { HboneListener } from './listener/hbone-listener.ts';
import { listenPlain } from './listener/plain-listener.ts';
import {
  type Base,
  createRuntime,
  type Door,
  drainOnTermination,
  type Runtime,
} from './runtime.ts';
import { selfNamed } from './tracing/proxy-self.ts';
import {
  meshTransport,
  originatingTransport,
  plainTransport,
  type Transport,
} from './transport/transport.ts';

export function runStatic(base: Base, path: string): void {
  const config = readStaticConfig(path);
  const { mesh } = config;
  const store = new MaterialStore();
  store.update((config.materials ?? []).map((each) => [each.name, each] as const));
  const runtime = createRuntime(base, {
    transport: originatingTransport(staticTransport(base, config), {
      network: base.network,
      materials: store,
    }),
    accessLog: config.accessLog,
    cluster: 'static',
    self: () => STATIC_SELF,
  });
  runtime.engine.configure(config.input);
  if (config.metricsPort !== undefined) {
    const status = statusOf(runtime, 'static', { xds: () => undefined, certificates: () => [] });
    startAdmin(status, { metrics: config.metricsPort, readiness: undefined });
  }
  const { materials } = config;
  const door =
    materials !== undefined
      ? staticGateway(runtime, config, store)
      : mesh === undefined
        ? plainDoor(runtime, config)
        : hboneDoor(runtime, config, mesh);
  base.log.info('serving', { ...config.listen });
  drainOnTermination(runtime, door, { isDiscovered: false });
}

const STATIC_SELF = selfNamed('static/waypoint', {
  name: 'waypoint',
  namespace: 'static',
  cluster: 'static',
});

function staticGateway(runtime: Runtime, config: StaticConfig, materials: Materials): Door {
  const { mesh, listen } = config;
  const listeners = new GatewayListeners(
    {
      ...runtime,
      materials,
      identity: () => mesh?.identity,
      self: () => ({ workload: undefined, principal: mesh?.principal ?? '' }),
    },
    {
      address: listen.address,
      trustDomain: parseIdentity(mesh?.principal ?? '')?.trustDomain ?? '',
    },
  );
  listeners.apply();
  return listeners;
}

function plainDoor(runtime: Runtime, config: StaticConfig): Door {
  const listener = listenPlain(runtime, config);
  return {
    get connections() {
      return runtime.server.connections;
    },
    drain: () => listener.stop(),
    close: () => undefined,
  };
}

function hboneDoor(
  runtime: Runtime,
  { listen }: StaticConfig,
  { identity, principal }: NonNullable<StaticConfig['mesh']>,
): Door {
  const trustDomain = parseIdentity(principal)?.trustDomain ?? '';
  const options = { ...listen, identity, trustDomain };
  return new HboneListener(runtime, options);
}

function staticTransport({ network, clock }: Base, { listen, mesh }: StaticConfig): Transport {
  if (mesh === undefined) return plainTransport(network);
  const tunnels = new TunnelPool({ network, clock, identities: { get: () => mesh.identity } });
  return meshTransport(
    { network, tunnels, random: systemRandom, clock },
    { principal: mesh.principal, address: listen.address, baggage: () => '' },
  );
}
