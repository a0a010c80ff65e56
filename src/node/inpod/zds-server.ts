/**
 * The CNI agent's end of ZDS: outside ztunnels dial it, and are told the pods of the node, each with its network namespace.
 * The newest is told of new pods, all of them (an old one may drain) of those that go.
 *
 *   dialled ── hello ──▶ add … snapshot sent ──▶ add | del …      one message at a time, each waits for its answer
 */
import type { Clock, Timer } from '#base/clock.ts';
import type { Logger } from '#base/log.ts';
import {
  listenPackets,
  type PacketConnection,
  type PacketHandler,
  type PacketListener,
} from '#net/netns/packet-socket.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { WorkloadRequest, WorkloadResponse, ZdsHello } from '#wire/protobuf/zds.ts';
import { INPOD_RETRY_MS, ZDS_ANSWER_TIMEOUT_MS, ZDS_PROXIES_MAX } from '../limits.ts';
import type { PodInfo } from './zds-conversation.ts';

export interface ZdsServerDeps {
  clock: Clock;
  log: Logger;
}

interface Wanted {
  readonly pod: PodInfo;
  readonly netns: NetworkNamespace;
  /** The newest proxy serves it. */
  onServed(): void;
}

interface Message {
  readonly request: Partial<WorkloadRequest>;
  readonly netns?: NetworkNamespace;
  /** '' when it was done. */
  onAnswer(error: string): void;
}

export class ZdsServer {
  readonly #deps: ZdsServerDeps;
  readonly #listener: PacketListener;
  readonly #wanted = new Map<string, Wanted>();
  /** Newest last. */
  readonly #proxies: Conversation[] = [];
  readonly #retries = new Set<Timer>();

  constructor(deps: ZdsServerDeps, path: string) {
    this.#deps = deps;
    this.#listener = listenPackets(path, deps.clock, (connection) => this.#accept(connection));
  }

  /** Proxies that said hello. */
  get proxies(): number {
    return this.#proxies.length;
  }

  /** The namespace stays the caller's, and open while the pod is wanted. */
  add(pod: PodInfo, netns: NetworkNamespace, onServed: () => void): void {
    const wanted = { pod, netns, onServed };
    this.#wanted.set(pod.uid, wanted);
    const newest = this.#proxies.at(-1);
    if (newest !== undefined) this.#tell(newest, wanted);
  }

  delete(uid: string): void {
    if (!this.#wanted.delete(uid)) return;
    for (const proxy of this.#proxies) {
      proxy.send({ request: { del: { uid } }, onAnswer: (error) => this.#note(uid, error) });
    }
  }

  /** The proxies go on with what they know. */
  stop(): void {
    this.#listener.stop();
    for (const timer of this.#retries) timer.cancel();
    for (const proxy of this.#proxies.splice(0)) proxy.close();
    this.#wanted.clear();
  }

  #accept(connection: PacketConnection): PacketHandler {
    const proxy = new Conversation(this.#deps, connection, {
      onHello: () => this.#greet(proxy),
      onGone: (reason) => this.#gone(proxy, reason),
    });
    return proxy;
  }

  #greet(proxy: Conversation): void {
    if (this.#proxies.length >= ZDS_PROXIES_MAX) {
      this.#deps.log.warn('too many proxies on the CNI socket', { proxies: this.#proxies.length });
      proxy.close();
      return;
    }
    this.#proxies.push(proxy);
    this.#deps.log.info('an outside proxy asks for the pods of the node', {
      pods: this.#wanted.size,
    });
    for (const wanted of this.#wanted.values()) this.#tell(proxy, wanted);
    proxy.send({
      request: { snapshot_sent: {} },
      onAnswer: (error) => this.#note('the snapshot', error),
    });
  }

  #tell(proxy: Conversation, wanted: Wanted): void {
    const { pod, netns } = wanted;
    const { uid, name, namespace, serviceAccount: service_account } = pod;
    const request = { add: { uid, workload_info: { name, namespace, service_account } } };
    proxy.send({
      request,
      netns,
      onAnswer: (error) => {
        if (this.#wanted.get(uid) !== wanted) return;
        if (error === '') wanted.onServed();
        else this.#later(wanted, error);
      },
    });
  }

  /** The proxy tries again by itself and does not say so: asking again tells. */
  #later(wanted: Wanted, error: string): void {
    this.#note(`${wanted.pod.namespace}/${wanted.pod.name}`, error);
    const timer = this.#deps.clock.after(INPOD_RETRY_MS, () => {
      this.#retries.delete(timer);
      const newest = this.#proxies.at(-1);
      const current = this.#wanted.get(wanted.pod.uid) === wanted;
      if (newest !== undefined && current) this.#tell(newest, wanted);
    });
    this.#retries.add(timer);
  }

  #gone(proxy: Conversation, reason: string): void {
    const index = this.#proxies.indexOf(proxy);
    if (index >= 0) this.#proxies.splice(index, 1);
    this.#deps.log.info('an outside proxy left the CNI socket', { reason });
  }

  #note(what: string, error: string): void {
    if (error !== '') this.#deps.log.warn('an outside proxy refused', { what, error });
  }
}

/** One proxy: what it is to be told, one after the other. */
class Conversation implements PacketHandler {
  readonly #deps: ZdsServerDeps;
  readonly #connection: PacketConnection;
  readonly #hooks: { onHello(): void; onGone(reason: string): void };
  readonly #queue: Message[] = [];
  #asked: Message | undefined;
  #timer: Timer | undefined;
  #greeted = false;
  #closed = false;

  constructor(
    deps: ZdsServerDeps,
    connection: PacketConnection,
    hooks: { onHello(): void; onGone(reason: string): void },
  ) {
    this.#deps = deps;
    this.#connection = connection;
    this.#hooks = hooks;
    this.#expectAnswer();
  }

  send(message: Message): void {
    this.#queue.push(message);
    this.#next();
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#connection.close();
  }

  onPacket({ bytes }: { bytes: Uint8Array }): void {
    this.#timer?.cancel();
    if (!this.#greeted) {
      const hello = ZdsHello.decode(bytes);
      if (typeof hello === 'string' || hello.version !== 'V1') {
        this.#leave('it speaks another version of ZDS');
        return;
      }
      this.#greeted = true;
      this.#hooks.onHello();
      return;
    }
    const response = WorkloadResponse.decode(bytes);
    const asked = this.#asked;
    if (typeof response === 'string' || response.ack === undefined || asked === undefined) {
      this.#leave('it answers what nobody asked');
      return;
    }
    this.#asked = undefined;
    asked.onAnswer(response.ack.error);
    this.#next();
  }

  onClose(error: Error | undefined): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#hooks.onGone(error === undefined ? 'it closed' : error.message);
  }

  #next(): void {
    if (this.#closed || this.#asked !== undefined) return;
    this.#asked = this.#queue.shift();
    if (this.#asked === undefined) return;
    const { request, netns } = this.#asked;
    this.#expectAnswer();
    this.#connection.send(WorkloadRequest.encode(WorkloadRequest.create(request)), netns?.fd);
  }

  #expectAnswer(): void {
    this.#timer = this.#deps.clock.after(ZDS_ANSWER_TIMEOUT_MS, () =>
      this.#leave(`it said nothing for ${ZDS_ANSWER_TIMEOUT_MS} ms`),
    );
  }

  #leave(reason: string): void {
    this.close();
    this.#hooks.onGone(reason);
  }
}
