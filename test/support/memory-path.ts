/**
 * Both ends of the L4 path in this process, joined in memory: no socket, no TLS and no other process.
 *
 *   client app ─► acceptOutbound ─► tunnel pool ─(HTTP/2 in memory)─► acceptHbone ─► server app
 */
import { silentLogger } from '#base/log.ts';
import { TunnelPool } from '#hbone/pool/tunnel-pool.ts';
import { formatPrincipal } from '#model/identity/spiffe.ts';
import type { Connection, ConnectionHandler } from '#net/connection.ts';
import type { Network } from '#net/network.ts';
import { assembleNode } from '#node/assemble.ts';
import { completeWorkload } from '#node/config/static-file.ts';
import { staticIdentities } from '#node/config/static-identities.ts';
import { acceptHbone } from '#node/inbound/inbound.ts';
import { acceptOutbound } from '#node/outbound/outbound.ts';
import { MeshSnapshot } from '#node/state/mesh-snapshot.ts';
import type { NodeContext, PodIdentity } from '#node/workload/context.ts';
import { LiveTraffic } from '#node/workload/live-traffic.ts';
import { memoryPair } from './memory-connection.ts';

const CLIENT = '198.18.0.1';
const SERVER = '198.18.0.2';
const APP = { address: SERVER, port: 8000 };
const REQUEST = Buffer.alloc(64, 'r');
const ANSWER = Buffer.alloc(240, 'a');

const trustDomain = 'cluster.local';
const pod = (name: string): PodIdentity => ({
  uid: `bench/${name}`,
  namespace: 'bench',
  name,
  serviceAccount: name,
  netns: undefined,
});
const client = pod('client');
const server = pod('server');
const uriOf = (each: PodIdentity) => formatPrincipal({ ...each, trustDomain });

const known = new Map(
  [client, server].map((each) => [
    uriOf(each),
    { certificateChain: '', privateKey: '', trustBundle: '' },
  ]),
);
const assembly = assembleNode({
  log: silentLogger,
  identities: staticIdentities(known),
  trustDomain,
  logFormat: 'text',
  write: () => true,
});
const { clock, identities, usages, state } = assembly.context;

/** The server's app: reads a request, answers, ends. */
const app = (connection: Connection): ConnectionHandler => ({
  onData() {
    connection.write(ANSWER);
    connection.end();
  },
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
});

const network: Pick<Network, 'connect' | 'connectTls' | 'originalDestination'> = {
  connect(_options, handler) {
    const [near, far] = memoryPair({ client: { address: CLIENT, port: 1 }, server: APP });
    far.handler = app(far);
    queueMicrotask(() => {
      near.handler = handler.onOpen(near);
    });
  },
  connectTls(_options, handler) {
    const [near, far] = memoryPair({
      capacityBytes: 1 << 20,
      client: { address: CLIENT, port: 2 },
      server: { address: SERVER, port: 15008 },
      clientUris: [uriOf(client)],
      serverUris: [uriOf(server)],
    });
    queueMicrotask(() => {
      near.handler = handler.onOpen(near);
      const accepted = acceptHbone(inbound, far);
      if (accepted !== undefined) far.handler = accepted;
    });
  },
  originalDestination: () => APP,
};
const context: NodeContext = {
  ...assembly.context,
  network: network as Network,
  pool: new TunnelPool({ network: network as Network, clock, identities }),
};
const inbound = { context, pod: server, usage: usages.open(server), live: new LiveTraffic() };
const outbound = { context, pod: client, usage: usages.open(client), live: new LiveTraffic() };
state.replace(
  new MeshSnapshot({
    version: 1,
    authorizations: [],
    addresses: [client, server].map((each, index) => ({
      kind: 'workload' as const,
      workload: completeWorkload(
        {
          namespace: each.namespace,
          name: each.name,
          serviceAccount: each.serviceAccount,
          addresses: [[CLIENT, SERVER][index]],
          protocol: 'hbone',
        },
        trustDomain,
      ),
    })),
  }),
);

/** One connection of the client's app, from accept to close. */
function connect(done: () => void): void {
  const [near, far] = memoryPair({ client: { address: CLIENT, port: 40_000 }, server: APP });
  near.handler = {
    onData: () => undefined,
    onDrain: () => undefined,
    onEnd: () => near.end(),
    onClose: done,
  };
  outbound.usage.outbound.enter();
  const handler = acceptOutbound(outbound, far);
  if (handler === undefined) throw new Error('refused');
  near.write(REQUEST);
}

/** So many connections, some at a time; resolves when the last one is over. */
export async function connections(count: number, parallel: number): Promise<void> {
  const finished = Promise.withResolvers<void>();
  let started = 0;
  let ended = 0;
  const next = () => {
    if (started >= count) return;
    started++;
    connect(() => {
      outbound.usage.outbound.leave();
      ended++;
      if (ended === count) finished.resolve();
      else queueMicrotask(next);
    });
  };
  for (let index = 0; index < parallel; index++) next();
  await finished.promise;
}
