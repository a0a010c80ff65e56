/**
 * The node proxy's end of ZDS: dials an outside CNI agent (istio-cni), says hello, does what each message asks and answers
 * it. When the agent goes, the pods stay served; it says everything again when it is back.
 */
import { Backoff } from '#base/backoff.ts';
import type { Clock, Timer } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Random } from '#base/random.ts';
import { adoptNamespace } from '#net/netns/namespace.ts';
import { connectPackets, type Packet, type PacketConnection } from '#net/netns/packet-socket.ts';
import { closeDescriptor } from '#net/netns/raw-socket.ts';
import { WorkloadResponse, ZdsHello } from '#wire/protobuf/zds.ts';
import { ZDS_RETRY_CAP_MS, ZDS_RETRY_INITIAL_MS } from '../limits.ts';
import type { InpodPods } from './inpod-pods.ts';
import { ZdsConversation, type ZdsStep } from './zds-conversation.ts';

export interface ZdsClientDeps {
  clock: Clock;
  random: Random;
  log: Logger;
  pods: Pick<InpodPods, 'add' | 'remove' | 'retain'>;
}

export class ZdsClient {
  readonly #deps: ZdsClientDeps;
  readonly #path: string;
  readonly #backoff: Backoff;
  #connection: PacketConnection | undefined;
  #conversation = new ZdsConversation();
  #retry: Timer | undefined;
  #synced = false;
  #stopped = false;

  constructor(deps: ZdsClientDeps, path: string) {
    this.#deps = deps;
    this.#path = path;
    this.#backoff = new Backoff(deps.random, {
      initialMs: ZDS_RETRY_INITIAL_MS,
      capMs: ZDS_RETRY_CAP_MS,
    });
    this.#connect();
  }

  /** The pods of the node were told once. */
  get synced(): boolean {
    return this.#synced;
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
    this.#connection?.close();
  }

  #connect(): void {
    this.#conversation = new ZdsConversation();
    try {
      this.#connection = connectPackets(this.#path, this.#deps.clock, {
        onPacket: (packet) => this.#onPacket(packet),
        onClose: (error) => this.#lost(error === undefined ? 'it closed' : error.message),
      });
      this.#connection.send(ZdsHello.encode({ version: 'V1' }));
    } catch (error) {
      this.#lost(messageOf(error));
    }
  }

  #lost(reason: string): void {
    this.#connection = undefined;
    if (this.#stopped) return;
    const delayMs = this.#backoff.nextDelayMs();
    const retryMs = Math.round(delayMs);
    this.#deps.log.info('no CNI agent, its pods stay served', { error: reason, retryMs });
    this.#retry = this.#deps.clock.after(delayMs, () => this.#connect());
  }

  #onPacket({ bytes, descriptors }: Packet): void {
    this.#backoff.reset();
    const step = this.#conversation.next(bytes, descriptors.length);
    if (step.kind !== 'add') for (const descriptor of descriptors) closeDescriptor(descriptor);
    const error = this.#apply(step, descriptors[0]);
    if (error !== undefined) this.#deps.log.warn('CNI agent is told of a failure', { error });
    this.#connection?.send(WorkloadResponse.encode({ ack: { error: error ?? '' } }));
    if (step.kind !== 'violation') return;
    this.#connection?.close();
    this.#lost(step.reason);
  }

  /** What the answer says went wrong. */
  #apply(step: ZdsStep, descriptor: number): string | undefined {
    const { pods } = this.#deps;
    switch (step.kind) {
      case 'add':
        return pods.add(step.pod, adoptNamespace(descriptor))?.message;
      case 'keep':
        // One that we do not know either comes with its namespace once the agent has that.
        return undefined;
      case 'del':
        pods.remove(step.uid);
        return undefined;
      case 'snapshot':
        pods.retain(step.uids);
        this.#synced = true;
        return undefined;
      case 'violation':
        return step.reason;
    }
  }
}
