/**
 * The ports of a gateway: bound and given back as the snapshot says, one socket for as long as its port is wanted. What happens to a
 * connection is decided when it comes, on the snapshot of that moment: new servers, routes and certificates need no new socket.
 */
import type { Clock, Timer } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Logger } from '#base/log.ts';
import { verifyPeer } from '#identity/trust/peer.ts';
import type { Workload } from '#model/workload/workload.ts';
import type {
  Connection,
  ConnectionHandler,
  SocketAddress,
  TlsConnection,
  TlsIdentity,
} from '#net/connection.ts';
import type { AcceptGate, FirstLook, Listener, Network } from '#net/network.ts';
import type { CompiledListener, CompiledServer, Place } from '../config/gateway.ts';
import type { Materials } from '../config/materials.ts';
import type { Engine } from '../engine.ts';
import { WAYPOINT_ERRORS } from '../errors.ts';
import {
  GATEWAY_CONNECTIONS_MAX,
  GATEWAY_HANDSHAKE_TIMEOUT_MS,
  REBIND_MS,
  REFUSALS_LOGGED_PER_SECOND,
} from '../limits.ts';
import type { SourceRegistry } from '../source.ts';
import type { GatewayPart, Tunnel } from '../tunnel.ts';
import { forwardedClientCertificate } from './client-certificate.ts';
import { chooseByHello, introduce } from './gateway-choice.ts';
import type { ConnectionServer } from './serve-connection.ts';

export interface GatewayListenersDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly network: Network;
  readonly engine: Engine;
  readonly sources: SourceRegistry;
  readonly server: ConnectionServer;
  readonly materials: Materials;
  /** The mesh's certificate of this process, as long as there is one. */
  readonly identity: () => TlsIdentity | undefined;
  /** This gateway, as telemetry calls it. */
  readonly self: () => { workload: Workload | undefined; principal: string };
}

export interface GatewayListenersOptions {
  readonly trustDomain: string;
  /** Where listeners without an address of their own bind. */
  readonly address: string;
}

interface Bound {
  readonly listener: Listener;
  readonly looks: boolean;
}

/** Who serves bytes for a place: HTTP by virtual host, or a connection by L4 routes. */
type Kind = 'http' | 'bytes';

export class GatewayListeners {
  readonly #deps: GatewayListenersDeps;
  readonly #options: GatewayListenersOptions;
  readonly #bound = new Map<string, Bound>();
  readonly #failed = new Map<string, string>();
  readonly #gate: AcceptGate;
  #retry: Timer | undefined = undefined;
  #connections = 0;
  #draining = false;
  #logged = { second: 0, lines: 0, swallowed: 0 };

  constructor(deps: GatewayListenersDeps, options: GatewayListenersOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#gate = {
      enter: () => {
        if (this.#connections >= GATEWAY_CONNECTIONS_MAX) {
          this.#refused(`${GATEWAY_CONNECTIONS_MAX} connections are open`, undefined);
          return false;
        }
        this.#connections += 1;
        return true;
      },
      leave: () => {
        this.#connections -= 1;
      },
    };
  }

  get connections(): number {
    return this.#connections;
  }

  /** What is bound, for status. */
  get ports(): readonly SocketAddress[] {
    return [...this.#bound.values()].map(({ listener: { address, port } }) => ({ address, port }));
  }

  /** Ports that could not be bound, each with its reason. */
  get problems(): readonly string[] {
    return [...this.#failed.values()];
  }

  /** The snapshot changed: binds, gives back, and ends connections that were made under terms that no longer hold. */
  apply(): void {
    if (this.#draining) return;
    const wanted = this.#wanted();
    for (const [key, { listener, looks }] of this.#bound) {
      const found = wanted.get(key);
      if (found !== undefined && looksFirst(found) === looks && listener.alive) continue;
      listener.stop();
      this.#bound.delete(key);
    }
    for (const key of this.#failed.keys()) if (!wanted.has(key)) this.#failed.delete(key);
    for (const [key, listener] of wanted) if (!this.#bound.has(key)) this.#bind(key, listener);
    const terms = new Map([...wanted.values()].flatMap((each) => [...each.terms]));
    this.#deps.server.retireWhere(
      ({ gateway }) => gateway !== undefined && terms.get(gateway.place) !== gateway.terms,
      'the server of this connection is configured no more, or under other terms',
    );
    this.#retry?.cancel();
    this.#retry =
      this.#failed.size === 0 ? undefined : this.#deps.clock.after(REBIND_MS, () => this.apply());
  }

  /** No new connections. */
  drain(): void {
    this.#draining = true;
    this.#retry?.cancel();
    for (const { listener } of this.#bound.values()) listener.stop();
    this.#bound.clear();
  }

  /** Connections are closed by who serves them. */
  close(): void {
    this.drain();
  }

  #wanted(): Map<string, CompiledListener> {
    const listeners = this.#deps.engine.snapshot?.gateways.listeners ?? [];
    return new Map(listeners.map((listener) => [listener.key, listener]));
  }

  #bind(key: string, wanted: CompiledListener): void {
    const { log, network } = this.#deps;
    const address = wanted.bind ?? this.#options.address;
    const { port } = wanted;
    const looks = looksFirst(wanted);
    const options = { address, port, gate: this.#gate, reusePort: true };
    try {
      const listener = looks
        ? network.listenLooking(
            {
              ...options,
              handshakeTimeoutMs: GATEWAY_HANDSHAKE_TIMEOUT_MS,
              onRefused: (error, peer) => this.#refused(error.message, peer),
            },
            (bytes) => this.#look(key, bytes),
          )
        : network.listen(options, (connection) => this.#acceptPlain(key, connection));
      this.#bound.set(key, { listener, looks });
      this.#failed.delete(key);
      log.info('listening', { address, port, key });
    } catch (error) {
      if (!(error instanceof MeshError)) throw error;
      const reason = `cannot listen on ${formatHostPort(address, port)}: ${error.message}`;
      if (this.#failed.get(key) !== reason) {
        log.warn('port not bound, trying again', { reason, hint: error.hint });
      }
      this.#failed.set(key, reason);
    }
  }

  /** Of the snapshot in force: a connection may come while its port is being given back. */
  #listenerOf(key: string): CompiledListener | undefined {
    return this.#deps.engine.snapshot?.gateways.listeners.find((each) => each.key === key);
  }

  #look(key: string, bytes: Uint8Array): FirstLook {
    const listener = this.#listenerOf(key);
    if (listener === undefined) return refuse('no server is configured on this port any more');
    const front = introduce(listener, bytes);
    if (front === 'more') return { kind: 'more' };
    if ('refused' in front) return refuse(front.refused);
    const { skip, remote } = front;
    const { plain } = listener;
    if (plain !== undefined) {
      return {
        kind: 'plain',
        skip,
        remote,
        accept: (connection) => this.#servePlain(listener, plain, connection),
      };
    }
    const { materials, identity } = this.#deps;
    const rest = skip === 0 ? bytes : bytes.subarray(skip);
    const choice = chooseByHello(listener, rest, { materials, identity: identity() });
    if (choice.kind === 'more') return { kind: 'more' };
    if (choice.kind === 'refused') return refuse(choice.reason);
    const { server, sni } = choice;
    if (choice.kind === 'passed') {
      const accept = (connection: Connection) =>
        this.#serve(connection, { server, sni, secure: undefined }, 'bytes');
      return { kind: 'plain', skip, remote, accept };
    }
    const { setup } = choice;
    const accept = (connection: TlsConnection) => {
      const { protocol } = server.server;
      const isHttp = protocol === 'http' || protocol === 'https';
      return this.#serve(
        connection,
        { server, sni, secure: connection },
        isHttp ? 'http' : 'bytes',
      );
    };
    // The chain is read for its own sake, too: the application is told of it. Not of one that nobody has verified.
    const isVerified =
      setup.clientCertificate === 'require' || setup.clientCertificate === 'optional';
    const judgePeer = isVerified ? (setup.judgePeer ?? (() => undefined)) : undefined;
    return { kind: 'tls', skip, remote, setup: { ...setup, judgePeer }, accept };
  }

  #acceptPlain(key: string, connection: Connection): ConnectionHandler | undefined {
    const listener = this.#listenerOf(key);
    if (listener?.plain === undefined) return undefined;
    return this.#servePlain(listener, listener.plain, connection);
  }

  #servePlain(
    listener: CompiledListener,
    { place, protocol }: { place: Place; protocol: 'http' | 'tcp' },
    connection: Connection,
  ): ConnectionHandler {
    const terms = listener.terms.get(place.key) ?? '';
    const part: GatewayPart = {
      place: place.key,
      terms,
      scheme: 'http',
      sni: undefined,
      clientCertificate: undefined,
    };
    const tunnel = this.#tunnel(connection, part, undefined);
    return this.#deps.server.serveGateway(tunnel, connection, {
      kind: protocol === 'tcp' ? 'bytes' : 'http',
      alpn: undefined,
    });
  }

  #serve(
    connection: Connection,
    {
      server,
      sni,
      secure,
    }: { server: CompiledServer; sni: string | undefined; secure: TlsConnection | undefined },
    kind: Kind,
  ): ConnectionHandler | undefined {
    let principal: string | undefined;
    if (secure !== undefined && server.tls?.mode === 'istio-mutual') {
      const peer = verifyPeer(secure.peerUris, this.#options.trustDomain);
      if (peer instanceof MeshError) {
        this.#refused(peer.message, {
          address: connection.remoteAddress,
          port: connection.remotePort,
        });
        return undefined;
      }
      principal = peer;
    }
    const leaf = secure?.peerChain[0];
    const part: GatewayPart = {
      place: server.place.key,
      terms: server.terms,
      scheme: 'https',
      sni,
      clientCertificate: leaf && forwardedClientCertificate(leaf),
    };
    const tunnel = this.#tunnel(connection, part, principal);
    return this.#deps.server.serveGateway(tunnel, connection, { kind, alpn: secure?.alpn });
  }

  #tunnel(connection: Connection, gateway: GatewayPart, principal: string | undefined): Tunnel {
    const { remoteAddress: address, remotePort, localAddress, localPort } = connection;
    const { sources, self } = this.#deps;
    return {
      source: sources.resolve({ address, principal, gateway: self }),
      host: localAddress,
      port: localPort,
      security: principal === undefined ? 'none' : 'mutual_tls',
      remote: formatHostPort(address, remotePort),
      remotePort,
      local: formatHostPort(localAddress, localPort),
      gateway,
      isH2: false,
    };
  }

  /** Anybody can connect to a gateway and be refused: what is logged of it is bounded. */
  #refused(reason: string, peer: SocketAddress | undefined): void {
    const { clock, log } = this.#deps;
    const logged = this.#logged;
    const second = Math.floor(clock.now() / 1000);
    if (logged.second !== second) {
      if (logged.swallowed > 0) {
        log.warn('more connections refused', { count: logged.swallowed });
      }
      this.#logged = { second, lines: 0, swallowed: 0 };
    }
    if (this.#logged.lines >= REFUSALS_LOGGED_PER_SECOND) {
      this.#logged.swallowed += 1;
      return;
    }
    this.#logged.lines += 1;
    const from = peer && formatHostPort(peer.address, peer.port);
    log.warn('connection refused', { from, reason });
  }
}

/** Plaintext without a PROXY header needs no look: its handler sees the first bytes soon enough. */
function looksFirst({ bySni, proxyProtocol }: CompiledListener): boolean {
  return bySni !== undefined || proxyProtocol;
}

function refuse(reason: string): FirstLook {
  const hint = WAYPOINT_ERRORS.WAYPOINT_GATEWAY_REFUSED;
  return {
    kind: 'refuse',
    error: new MeshError('WAYPOINT_GATEWAY_REFUSED', reason, { side: 'downstream', hint }),
  };
}
