/**
 * A pair of captured pods with a node proxy for both and apps in the second, for tests of what peers can do to a pod's
 * ports. `neighbour` is traffic that must not notice. Needs root.
 */
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import { silentLogger } from '#base/log.ts';
import { HBONE_ALPN, HBONE_PORT } from '#hbone/limits.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import type { Connection, ConnectionHandler, TlsIdentity } from '#net/connection.ts';
import { openNamespace } from '#net/netns/namespace.ts';
import type { ConnectHandler, NetworkNamespace, TlsConnectOptions } from '#net/network.ts';
import type { StaticMesh } from '#node/config/static-file.ts';
import { PROXY_MARK } from '#node/marks.ts';
import { type StaticNode, type StaticNodeOptions, startStaticNode } from '#node/static-node.ts';
import type { UsageReport } from '#node/usage/usages.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { createTestCa, type TestCa } from './certificates.ts';
import { type Frame, framesOf } from './h2-script.ts';
import { makePodPair, type PodPair, pairMesh, SERVER_IP } from './pod-pair.ts';

/** Answers with what it gets. */
export const ECHO_PORT = 8080;
/** Writes without end. */
export const SOURCE_PORT = 8081;
/** Never reads. */
export const MUTE_PORT = 8082;
/** A workload of the mesh like any other, but for what it does. */
export const MALLORY = 'spiffe://cluster.local/ns/shop/sa/mallory';
const DIAL_MS = 5000;

type Start = (write: (text: string) => boolean) => StaticNode;

export class HostileRig implements Disposable {
  readonly network = new BunNetwork({ clock: systemClock });
  readonly pair: PodPair;
  readonly mesh: StaticMesh;
  readonly ca: TestCa;
  readonly mallory: TlsIdentity;
  readonly node: StaticNode;
  /** Bytes that the app on SOURCE_PORT got rid of. */
  sourced = 0;
  readonly #client: NetworkNamespace;
  readonly #server: NetworkNamespace;
  #log = '';

  private constructor(made: Pick<HostileRig, 'pair' | 'mesh' | 'ca' | 'mallory'>, start: Start) {
    const { pair } = made;
    this.pair = pair;
    this.mesh = made.mesh;
    this.ca = made.ca;
    this.mallory = made.mallory;
    this.#client = openNamespace(pair.clientPath);
    this.#server = openNamespace(pair.serverPath);
    this.node = start((text) => {
      this.#log += text;
      return true;
    });
    this.#startApps();
  }

  static async open(options: Partial<StaticNodeOptions> = {}): Promise<HostileRig> {
    const ca = await createTestCa();
    const pair = makePodPair('hostile');
    const mesh = await pairMesh(pair, ca);
    for (const path of [pair.clientPath, pair.serverPath]) redirectOnce(path, DEFAULT_RULES);
    const fixed = { log: silentLogger, logFormat: 'text' as const };
    const start: Start = (write) => startStaticNode(mesh, { ...fixed, write, ...options });
    return new HostileRig({ pair, mesh, ca, mallory: await ca.issue(MALLORY) }, start);
  }

  [Symbol.dispose](): void {
    this.node.stop();
    for (const each of [this.#client, this.#server]) each.close();
    this.pair.remove();
  }

  /** HBONE connections that peers hold to the server pod. */
  get peers(): number {
    return this.node.proxies[1].live.peers;
  }

  /** What each pod has of the proxy: the client's, the server's. */
  get usage(): UsageReport[] {
    return this.node.assembly.context.usages.report();
  }

  /** The lines about this end, or all. */
  lines(end?: PeerEnd): string[] {
    this.node.assembly.accessLog.flush();
    const about = end === undefined ? '' : `src.addr=${end.name} `;
    return this.#log.split('\n').filter((line) => line !== '' && line.includes(about));
  }

  /** An mTLS connection to the server pod's 15008, as any workload may open one; preface and frames are the caller's. */
  tls(options: Partial<TlsConnectOptions> = {}): Promise<PeerEnd> {
    const defaults = { identity: this.mallory, alpn: [HBONE_ALPN], mark: PROXY_MARK };
    const place = { address: SERVER_IP, port: HBONE_PORT, namespace: this.#client };
    return this.#opened((handler) =>
      this.network.connectTls(
        { ...defaults, ...place, connectTimeoutMs: DIAL_MS, ...options },
        handler,
      ),
    );
  }

  /** A TCP connection out of the client pod; captured on its way out unless `mark` says that it is the proxy's own. */
  tcp(port: number, options: { mark?: number; address?: string } = {}): Promise<PeerEnd> {
    const place = { address: SERVER_IP, port, namespace: this.#client };
    return this.#opened((handler) =>
      this.network.connect({ ...place, connectTimeoutMs: DIAL_MS, ...options }, handler),
    );
  }

  /** A connection of the client pod's app to the echo, through 15001, HBONE and 15008. */
  async neighbour(): Promise<Neighbour> {
    const neighbour = new Neighbour(await this.tcp(ECHO_PORT));
    await neighbour.echo('before');
    return neighbour;
  }

  #opened(dial: (handler: ConnectHandler<Connection>) => void): Promise<PeerEnd> {
    const opened = Promise.withResolvers<PeerEnd>();
    dial({
      onOpen(connection) {
        const end = new PeerEnd(connection);
        opened.resolve(end);
        return end;
      },
      onFail: opened.reject,
    });
    return opened.promise;
  }

  #startApps(): void {
    const listen = (port: number, handler: (connection: Connection) => ConnectionHandler) =>
      this.network.listen({ address: '0.0.0.0', port, namespace: this.#server }, handler);
    listen(ECHO_PORT, (connection) => ({
      ...IGNORE,
      onData: (bytes) => void connection.write(bytes),
      onEnd: () => connection.end(),
    }));
    const block = Buffer.alloc(64 * 1024, 's');
    listen(SOURCE_PORT, (connection) => {
      const pour = () => {
        let taken = block.length;
        while (taken === block.length) {
          taken = connection.write(block);
          this.sourced += taken;
        }
      };
      queueMicrotask(pour);
      return { ...IGNORE, onDrain: pour };
    });
    listen(MUTE_PORT, (connection) => {
      queueMicrotask(() => connection.pause());
      return IGNORE;
    });
  }
}

const IGNORE: ConnectionHandler = {
  onData: () => undefined,
  onDrain: () => undefined,
  onEnd: () => undefined,
  onClose: () => undefined,
};

/** Our end of a connection to a pod: what came, how it ended; `send` writes all of it as the socket allows. */
export class PeerEnd implements ConnectionHandler, Disposable {
  readonly connection: Connection;
  readonly name: string;
  ended = false;
  /** Set once; undefined inside it is an orderly close. */
  closed: { error: MeshError | undefined } | undefined = undefined;
  received = '';
  sent = 0;
  #waiting: Buffer[] = [];

  constructor(connection: Connection) {
    this.connection = connection;
    this.name = formatHostPort(connection.localAddress, connection.localPort);
  }

  [Symbol.dispose](): void {
    this.connection.reset();
  }

  send(...texts: string[]): void {
    this.#waiting.push(...texts.map((text) => Buffer.from(text, 'latin1')));
    this.onDrain();
  }

  get unsent(): number {
    return this.#waiting.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  /** The pod is done with us. */
  get over(): boolean {
    return this.ended || this.closed !== undefined;
  }

  get frames(): Frame[] {
    return framesOf(this.received);
  }

  onData(bytes: Uint8Array): void {
    this.received += Buffer.from(bytes).toString('latin1');
  }

  onDrain(): void {
    while (this.#waiting.length > 0) {
      const taken = this.connection.write(this.#waiting[0]);
      this.sent += taken;
      this.#waiting[0] = this.#waiting[0].subarray(taken);
      if (this.#waiting[0].length > 0) return;
      this.#waiting.shift();
    }
  }

  onEnd(): void {
    this.ended = true;
  }

  onClose(error: MeshError | undefined): void {
    this.closed = { error };
  }
}

export class Neighbour {
  readonly #end: PeerEnd;

  constructor(end: PeerEnd) {
    this.#end = end;
  }

  /** Fails when the connection is gone. */
  async echo(text: string): Promise<void> {
    const want = this.#end.received.length + text.length;
    this.#end.send(text);
    await until(() => this.#end.received.length >= want || this.#end.over);
    if (!this.#end.received.endsWith(text)) throw new Error(`the neighbour got no ${text}`);
  }
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}
