/**
 * Puts the API server together and keeps its life: storage, kinds, controllers, listeners. Everything it needs is handed
 * in; main.ts reads the flags, tests start it on port 0 and a temporary directory.
 */
import { existsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Server } from 'bun';
import type { Clock } from '#base/clock.ts';
import { Scope } from '#base/disposer.ts';
import { MeshError, messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import type { JsonObject } from '#kube/meta/object.ts';
import { Authenticator } from './auth/authenticator.ts';
import { loadOrCreateKeys, type ServerKeys } from './auth/certificates.ts';
import { ServiceAccountTokens } from './auth/service-account-tokens.ts';
import { bootstrap } from './controllers/bootstrap.ts';
import { CrdController } from './controllers/crd-controller.ts';
import { GarbageCollector } from './controllers/garbage-collector.ts';
import { NamespaceController } from './controllers/namespace-controller.ts';
import { APISERVER_ERRORS } from './errors.ts';
import { KindRegistry } from './kinds/registry.ts';
import { AddressAllocator } from './kinds/service-addresses.ts';
import { BODY_BYTES_MAX } from './limits.ts';
import { type ExecSession, execWebSocket } from './proxy/exec-proxy.ts';
import { type HandlerDeps, handleRequest } from './rest/handler.ts';
import { ObjectStore } from './rest/object-store.ts';
import type { SchemaProvider } from './schema-provider.ts';
import { SqliteStorage } from './storage/sqlite-storage.ts';
import { WatchHub } from './watch/watch-hub.ts';

/** The version number on the wire (RFC 5246 §6.2.1), which is what Bun wants here. */
const TLS_1_2 = 0x0303;

export interface ApiserverOptions {
  /** Must exist. */
  dataDir: string;
  listen: readonly { address: string; port: number }[];
  /** TLS on this unix socket too. */
  unix?: string;
  serviceCidr: string;
  /** Where the `kubernetes` Service leads; undefined makes none of its endpoints. */
  advertise?: { address: string; port: number };
  /** More names for the serving certificate. */
  names: readonly string[];
  kubeletUrlTemplate: string;
  /** Window of the event log, for tests that run out of it. */
  eventLog?: { eventLogMax: number; trimEvery: number };
}

export interface ApiserverDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  schemas: SchemaProvider;
}

export interface Apiserver {
  /** What it listens on, in the order asked. */
  addresses: { address: string; port: number }[];
  keys: ServerKeys;
  stop(): Promise<void>;
}

export async function startApiserver(
  options: ApiserverOptions,
  deps: ApiserverDeps,
): Promise<Apiserver> {
  const { clock, random, log, schemas } = deps;
  const keys = await loadKeys(options, deps);
  const scope = new Scope();
  const storage = new SqliteStorage({
    path: join(options.dataDir, 'state.sqlite'),
    ...options.eventLog,
  });
  scope.add(() => storage.close());
  const registry = new KindRegistry();
  const hub = new WatchHub({ storage, clock });
  scope.add(() => hub.stop());
  const addresses = new AddressAllocator(storage, options.serviceCidr);
  scope.add(() => addresses.dispose());
  const store = new ObjectStore({
    storage,
    registry,
    schemas,
    clock,
    random,
    strategyContext: { clock, addresses },
  });
  const crds = new CrdController({ storage, registry, store, schemas, log });
  scope.add(() => crds.stop());
  const tokens = await ServiceAccountTokens.load({ storage, clock, random }, keys.tokenKey);
  const controllerDeps = { storage, registry, store, clock, log, clusterRoot: keys.caCertificate };
  const namespaces = new NamespaceController(controllerDeps);
  scope.add(() => namespaces.stop());
  bootstrap(store, { serviceCidr: options.serviceCidr, advertise: options.advertise });
  const collector = new GarbageCollector(controllerDeps);
  scope.add(() => collector.stop());
  const handler: HandlerDeps = {
    storage,
    registry,
    store,
    hub,
    clock,
    random,
    log,
    tokens,
    authenticator: new Authenticator(keys.adminToken, tokens),
    kubelet: { urlTemplate: options.kubeletUrlTemplate },
  };
  const servers = listenAll(options, { handler, keys });
  return {
    addresses: servers
      .filter((server) => server.port !== undefined)
      .map((server) => ({ address: server.hostname ?? '', port: server.port ?? 0 })),
    keys,
    async stop() {
      await Promise.all(servers.map((server) => server.stop(true)));
      scope.dispose();
    },
  };
}

async function loadKeys(options: ApiserverOptions, deps: ApiserverDeps): Promise<ServerKeys> {
  try {
    return await loadOrCreateKeys(options, deps);
  } catch (error) {
    throw new MeshError('APISERVER_DATA', `cannot load or make the keys: ${messageOf(error)}`, {
      side: 'self',
      hint: APISERVER_ERRORS.APISERVER_DATA,
      cause: error,
    });
  }
}

function listenAll(
  { listen, unix }: ApiserverOptions,
  { handler, keys }: { handler: HandlerDeps; keys: ServerKeys },
): Server<ExecSession>[] {
  const shared = {
    tls: {
      cert: keys.servingCertificate + keys.caCertificate,
      key: keys.servingKey,
      minVersion: TLS_1_2,
    },
    maxRequestBodySize: 2 * BODY_BYTES_MAX,
    fetch(http: Request, server: Server<ExecSession>) {
      // Watches and log streams are quiet for as long as nothing happens.
      server.timeout(http, 0);
      return handleRequest(http, server, handler);
    },
    websocket: execWebSocket,
  };
  const servers: Server<ExecSession>[] = [];
  const start = (where: string, open: () => Server<ExecSession>) => {
    try {
      servers.push(open());
    } catch (error) {
      for (const server of servers) void server.stop(true);
      throw new MeshError('APISERVER_LISTEN', `cannot listen on ${where}: ${messageOf(error)}`, {
        side: 'self',
        hint: APISERVER_ERRORS.APISERVER_LISTEN,
        cause: error,
      });
    }
  };
  for (const { address, port } of listen)
    start(`${address}:${port}`, () => Bun.serve({ ...shared, hostname: address, port }));
  if (unix !== undefined)
    start(unix, () => {
      if (existsSync(unix)) unlinkSync(unix);
      return Bun.serve({ ...shared, unix });
    });
  return servers;
}

/** kubectl's configuration for the admin. */
export function adminKubeconfig(keys: ServerKeys, server: string): JsonObject {
  const authority = Buffer.from(keys.caCertificate).toString('base64');
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'tulle', cluster: { server, 'certificate-authority-data': authority } }],
    users: [{ name: 'admin', user: { token: keys.adminToken } }],
    contexts: [
      { name: 'tulle', context: { cluster: 'tulle', user: 'admin', namespace: 'default' } },
    ],
    'current-context': 'tulle',
  };
}
