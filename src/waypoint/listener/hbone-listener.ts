/**
 * The waypoint's 15008: accepts HBONE connections whose client proved an identity of our trust domain, and hands each tunnel to
 * the service that its authority names.
 */

import type { Clock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { parseAuthority } from '#hbone/authority.ts';
import { DescribedPeers } from '#hbone/described-peers.ts';
import { HBONE_ALPN } from '#hbone/limits.ts';
import { type IncomingTunnel, serveTunnels } from '#hbone/server/tunnel-server.ts';
import type { Revocations } from '#identity/trust/crl-file.ts';
import { verifyPeer } from '#identity/trust/peer.ts';
import type { Principal } from '#model/identity/spiffe.ts';
import type { TlsConnection, TlsIdentity } from '#net/connection.ts';
import type { Network, TlsListener } from '#net/network.ts';
import type { BufferAccount } from '#net/pipe/outbox.ts';
import { parseTraceparent } from '#telemetry/tracing/trace-context.ts';
import type { Engine } from '../engine.ts';
import { QUEUED_BYTES_MAX } from '../limits.ts';
import type { SourceRegistry } from '../source.ts';
import type { ConnectionServer } from './serve-connection.ts';

export interface HboneListenerDeps {
  clock: Clock;
  log: Logger;
  network: Network;
  engine: Engine;
  sources: SourceRegistry;
  server: ConnectionServer;
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

interface Peer {
  readonly address: string;
  readonly principal: Principal;
  /** `ip:port`, for log lines. */
  readonly from: string;
}

interface HboneConnection {
  drain(): void;
  close(): void;
  banish(error: MeshError): void;
}

export class HboneListener {
  readonly #deps: HboneListenerDeps;
  readonly #trustDomain: string;
  readonly #listener: TlsListener;
  /** What all clients together have sent and nobody took yet. */
  readonly #queued: BufferAccount = { bytes: 0, bytesMax: QUEUED_BYTES_MAX };
  readonly #described = new DescribedPeers();
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
      connection.banish(revoked);
    }
  }

  #accept(connection: TlsConnection) {
    const { clock, log } = this.#deps;
    const principal = verifyPeer(connection.peerUris, this.#trustDomain);
    const from = formatHostPort(connection.remoteAddress, connection.remotePort);
    if (principal instanceof MeshError) {
      log.warn('connection refused', { from, code: principal.code, error: principal.message });
      return undefined;
    }
    const address = connection.remoteAddress;
    const served = serveTunnels(
      connection,
      { clock },
      {
        onTunnel: (tunnel) => this.#tunnel(tunnel, { address, principal, from }),
        onClose: () => void this.#connections.delete(served),
      },
      { account: this.#queued },
    );
    this.#connections.set(served, connection.peerChain);
    return served;
  }

  #tunnel(incoming: IncomingTunnel, peer: Peer): void {
    const { engine, server, sources, log } = this.#deps;
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
    const { address, principal } = peer;
    const described = this.#described.find(principal, incoming.head.get('baggage'));
    incoming.connection.handler = server.serve(
      {
        source: sources.resolve({ address, principal, described }),
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
