/**
 * The DNS listeners of one captured pod: UDP and TCP on 15053 of both loopback addresses inside its network namespace,
 * where the capture rules send what the pod asks of port 53. Answers leave the socket that was asked, so connection
 * tracking turns their source back into the name server's.
 */
import { messageOf } from '#base/errors.ts';
import { isIpv6 } from '#base/ip.ts';
import type { Connection, SocketAddress } from '#net/connection.ts';
import type { BoundDatagrams } from '#net/datagram.ts';
import { refuseAbandoned } from '#net/netns/abandoned.ts';
import { type ConntrackReader, openConntrack } from '#net/netns/conntrack.ts';
import { listenersOn } from '#net/netns/listeners.ts';
import type { Listener } from '#net/network.ts';
import { PROXY_MARK } from '../marks.ts';
import type { PodUsage } from '../usage/pod-usage.ts';
import type { PodIdentity } from '../workload/context.ts';
import type { DnsContext } from './dns-context.ts';
import { DATAGRAMS_PER_TURN_MAX } from './limits.ts';
import { PodLookups, type Waiting } from './pod-lookups.ts';
import { TcpClient } from './tcp-client.ts';

const LOOPBACK = ['127.0.0.1', '::1'];

export class DnsProxy {
  readonly #context: DnsContext;
  readonly #pod: PodIdentity;
  readonly #usage: PodUsage;
  readonly #lookups: PodLookups;
  readonly #sockets: BoundDatagrams[] = [];
  readonly #listeners: Listener[] = [];
  readonly #clients = new Set<TcpClient>();
  readonly #waiting = new Set<Waiting>();
  #conntrack: ConntrackReader | undefined = undefined;
  #detached = false;
  /** Datagrams that this turn of the event loop has looked at, and those that wait for the next. */
  #thisTurn = 0;
  #backlog: (() => void)[] = [];

  constructor(context: DnsContext, pod: PodIdentity, usage: PodUsage) {
    this.#context = context;
    this.#pod = pod;
    this.#usage = usage;
    this.#lookups = new PodLookups(context, pod, usage.dnsQueries);
  }

  /** The one that was opened, where any was asked for. */
  get port(): number {
    return this.#sockets[0]?.port ?? 0;
  }

  /** Listens before it returns; throws when it cannot. A pod without IPv6 has no `::1`: then IPv4 is all there is. */
  start(port: number): void {
    const alone = port !== 0 && listenersOn(this.#pod.netns, port) === 0;
    try {
      this.#conntrack = this.#openConntrack();
      for (const address of LOOPBACK) {
        try {
          this.#listen({ address, port: port || this.port });
        } catch (error) {
          if (!isIpv6(address) || !isMissing(error)) throw error;
          this.#context.log.debug('no DNS on IPv6', { pod: this.#name, error: messageOf(error) });
        }
      }
    } catch (error) {
      this.stop();
      throw error;
    }
    if (alone) this.#refuseAbandoned();
  }

  /** A predecessor that was killed left queries behind; a live one answers its own. */
  #refuseAbandoned(): void {
    const { log } = this.#context;
    const pod = this.#name;
    try {
      const queries = refuseAbandoned(this.#pod.netns, this.port);
      if (queries > 0) log.debug('told resolvers to ask again', { pod, queries });
    } catch (error) {
      log.warn('cannot tell resolvers to ask again', { pod, error: messageOf(error) });
    }
  }

  /** False once somebody has taken a listener from us (ss -K). A UDP socket outlives that: it stays bound. */
  get alive(): boolean {
    return this.#listeners.every(({ alive }) => alive);
  }

  /** Queries that nobody else will answer. */
  get remaining(): number {
    return this.#detached ? this.#usage.dnsQueries.current + this.#backlog.length : 0;
  }

  /**
   * No new connections. Datagrams that come are a successor's where there is one, those that wait are still ours; without
   * a successor all are answered to the end.
   */
  leave(): void {
    const others = listenersOn(this.#pod.netns, this.port) > this.#listeners.length;
    for (const listener of this.#listeners.splice(0)) listener.stop();
    if (!others) return;
    this.#detached = true;
    for (const socket of this.#sockets) socket.detach();
  }

  stop(): void {
    for (const listener of this.#listeners.splice(0)) listener.stop();
    for (const socket of this.#sockets.splice(0)) socket.close();
    for (const client of this.#clients) client.stop();
    for (const waiting of this.#waiting) waiting.cancel();
    this.#waiting.clear();
    for (const _ of this.#backlog.splice(0)) this.#usage.dnsDatagrams.leave();
    this.#conntrack?.close();
    this.#conntrack = undefined;
  }

  get #name(): string {
    return `${this.#pod.namespace}/${this.#pod.name}`;
  }

  #openConntrack(): ConntrackReader | undefined {
    try {
      return openConntrack(this.#pod.netns);
    } catch (error) {
      const consequence = 'queries go to the name servers of this proxy';
      this.#context.log.warn('cannot see which name server a pod asks', {
        pod: this.#name,
        consequence,
        error: messageOf(error),
      });
      return undefined;
    }
  }

  #listen(place: SocketAddress): void {
    const { network, datagrams } = this.#context;
    const shared = { namespace: this.#pod.netns, mark: PROXY_MARK, reusePort: true };
    const socket: BoundDatagrams = datagrams.bind(
      { ...place, ...shared },
      {
        onDatagram: (bytes, from) => this.#arrived(socket, bytes, from),
        onError: (error) => {
          this.#context.log.warn('DNS socket', { pod: this.#name, error: error.message });
        },
      },
    );
    this.#sockets.push(socket);
    const { port } = socket;
    const gate = this.#usage.dnsConnections;
    this.#listeners.push(
      network.listen({ ...place, ...shared, port, gate }, (connection) => this.#accept(connection)),
    );
  }

  /** At once, or in a later turn of the event loop when this one has had its share. */
  #arrived(socket: BoundDatagrams, bytes: Uint8Array, from: SocketAddress): void {
    if (this.#thisTurn < DATAGRAMS_PER_TURN_MAX && this.#backlog.length === 0) {
      this.#asked(socket, bytes, from);
    } else if (this.#usage.dnsDatagrams.enter()) {
      const copy = new Uint8Array(bytes);
      this.#backlog.push(() => this.#asked(socket, copy, from));
    }
  }

  #nextTurn(): void {
    this.#thisTurn = 0;
    for (const ask of this.#backlog.splice(0, DATAGRAMS_PER_TURN_MAX)) {
      this.#usage.dnsDatagrams.leave();
      ask();
    }
  }

  #asked(socket: BoundDatagrams, bytes: Uint8Array, from: SocketAddress): void {
    if (this.#thisTurn === 0) this.#context.clock.after(0, () => this.#nextTurn());
    this.#thisTurn++;
    const receiver = { address: socket.address, port: socket.port };
    const waiting = this.#lookups.handle(
      {
        query: bytes,
        protocol: 'udp',
        server: () => this.#conntrack?.originalDestination({ sender: from, receiver }),
      },
      {
        onReply: (reply) => void socket.send(reply, from),
        onDone: () => {
          if (waiting !== undefined) this.#waiting.delete(waiting);
        },
      },
    );
    if (waiting !== undefined) this.#waiting.add(waiting);
  }

  #accept(connection: Connection): TcpClient {
    const { network, clock } = this.#context;
    const original = network.originalDestination(connection);
    const client = new TcpClient(connection, original, {
      clock,
      lookups: this.#lookups,
      onGone: () => this.#clients.delete(client),
    });
    this.#clients.add(client);
    return client;
  }
}

/** The address is not there, as opposed to taken. */
function isMissing(error: unknown): boolean {
  return /EADDRNOTAVAIL|EAFNOSUPPORT/.test(messageOf(error));
}
