/**
 * The waypoint's 15008: accepts HBONE connections whose client proved an identity of our trust domain, and hands each tunnel to
 * the service that its authority names.
 */

import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { parseAuthority } from '#hbone/authority.ts';
import { HBONE_ALPN } from '#hbone/limits.ts';
import { type IncomingTunnel, serveTunnels } from '#hbone/server/tunnel-server.ts';
import type { Revocations } from '#identity/trust/crl-file.ts';
import { verifyPeer } from '#identity/trust/peer.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { TlsConnection, TlsIdentity } from '#net/connection.ts';
import type { Network, TlsListener } from '#net/network.ts';
import type { BufferAccount } from '#net/pipe/outbox.ts';
import { parseTraceparent } from '#telemetry/tracing/trace-context.ts';
import type { Engine } from '../engine.ts';
import { QUEUED_BYTES_MAX } from '../limits.ts';
import type { Source, SourceRegistry } from '../source.ts';
import type { ConnectionServer } from './serve-connection.ts';

export interface HboneListenerDeps {
  clock: Clock;
  log: Logger;
  network: Network;
  engine: Engine;
  sources: SourceRegistry;
  server: ConnectionServer;
  workloadAt: (address: string) => Workload | undefined;
  /** An address and port that no service has: true when they are configured now all the same. */
  learn?: (address: string, port: number) => boolean;
  /** Says of a client's chain whether it is revoked. */
  revocations?: Revocations;
}

export interface HboneListenerOptions {
  address: string;
  port: number;
  identity: TlsIdentity;
  trustDomain: string;
}

interface HboneConnection {
  drain(): void;
  close(): void;
}

export class HboneListener {
  readonly #deps: HboneListenerDeps;
  readonly #trustDomain: string;
  readonly #listener: TlsListener;
  /** What all clients together have sent and nobody took yet. */
  readonly #queued: BufferAccount = { bytes: 0, bytesMax: QUEUED_BYTES_MAX };
  /** With the chain that each client showed, leaf first. */
  readonly #connections = new Map<HboneConnection, readonly Uint8Array[]>();

  constructor(deps: HboneListenerDeps, options: HboneListenerOptions) {
    this.#deps = deps;
    this.#trustDomain = options.trustDomain;
    const { address, port, identity } = options;
    const { revocations } = deps;
    this.#listener = deps.network.listenTls(
      {
        address,
        port,
        identity,
        clientCertificate: 'require',
        alpn: [HBONE_ALPN],
        judgePeer: revocations && ((chain) => revocations.judge(chain, 'downstream')),
        onRefused: (error, peer) =>
          deps.log.warn('connection refused', {
            from: formatHostPort(peer.address, peer.port),
            error: error.message,
            hint: error.hint,
          }),
      },
      (connection) => this.#accept(connection),
    );
  }

  get port(): number {
    return this.#listener.port;
  }

  get queuedBytes(): number {
    return this.#queued.bytes;
  }

  get connections(): number {
    return this.#connections.size;
  }

  replaceIdentity(identity: TlsIdentity): void {
    this.#listener.replaceIdentity(identity);
  }

  /** No new connections, no new tunnels; what runs finishes. */
  drain(): void {
    this.#listener.stop();
    for (const connection of this.#connections.keys()) connection.drain();
  }

  close(): void {
    for (const connection of [...this.#connections.keys()]) connection.close();
  }

  /** The revocation lists changed: breaks off those whose certificate is revoked now. */
  judgeAgain(): void {
    const { revocations, log } = this.#deps;
    for (const [connection, chain] of [...this.#connections]) {
      const revoked = revocations?.judge(chain, 'downstream');
      if (revoked === undefined) continue;
      log.warn('connection closed', { code: revoked.code, error: revoked.message });
      connection.close();
    }
  }

  #accept(connection: TlsConnection) {
    const { clock, log, sources, workloadAt } = this.#deps;
    const principal = verifyPeer(connection.peerUris, this.#trustDomain);
    const from = formatHostPort(connection.remoteAddress, connection.remotePort);
    if (principal instanceof MeshError) {
      log.warn('connection refused', { from, code: principal.code, error: principal.message });
      return undefined;
    }
    const address = connection.remoteAddress;
    const source = sources.resolve({ address, principal, workload: workloadAt(address) });
    const served = serveTunnels(
      connection,
      { clock },
      {
        onTunnel: (tunnel) => this.#tunnel(tunnel, { source, from }),
        onClose: () => void this.#connections.delete(served),
      },
      { account: this.#queued },
    );
    this.#connections.set(served, connection.peerChain);
    return served;
  }

  #tunnel(incoming: IncomingTunnel, peer: { source: Source; from: string }): void {
    const { engine, server, log } = this.#deps;
    const authority = parseAuthority(incoming.head.authority);
    if (authority === undefined) {
      incoming.refuse(400);
      return;
    }
    const host = authority.kind === 'address' ? authority.address : authority.hostname;
    const { port } = authority;
    let service = engine.snapshot?.serviceAt(host);
    if (service?.compiled.ports.get(port) === undefined && this.#deps.learn?.(host, port)) {
      service = engine.snapshot?.serviceAt(host);
    }
    if (service?.compiled.ports.get(port) === undefined) {
      const reason =
        service === undefined
          ? `no service is bound to this waypoint at ${host}`
          : `${service.compiled.table.hostname} has no port ${port}`;
      log.warn('tunnel refused', { from: peer.from, authority: incoming.head.authority, reason });
      incoming.refuse(503);
      return;
    }
    incoming.accept();
    incoming.connection.handler = server.serve(
      {
        source: peer.source,
        host,
        port,
        security: 'mutual_tls',
        remote: peer.from,
        local: formatHostPort(host, port),
        isH2: false,
        trace: parseTraceparent(incoming.head.get('traceparent') ?? ''),
        hadRequest: false,
      },
      incoming.connection,
    );
  }
}
