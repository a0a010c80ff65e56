/** A CNI agent that is not ours: ZDS messages by hand, over the kernel's packet sockets. */
import { closeSync, openSync } from 'node:fs';
import { systemClock } from '#base/clock.ts';
import {
  listenPackets,
  type PacketConnection,
  type PacketListener,
} from '#net/netns/packet-socket.ts';
import { until } from '#test/support/apiserver.ts';
import { fieldsOf, messages, nested, type Part, text, textOf } from './wire.ts';

export interface ForeignPod {
  uid: string;
  namespace: string;
  name: string;
  serviceAccount: string;
  /** Path of its network namespace. */
  netns: string;
}

export class ForeignAgent {
  /** The proxies that said hello, newest last. */
  readonly connections: PacketConnection[] = [];
  readonly #path: string;
  readonly #answers: string[] = [];
  #listener: PacketListener | undefined;

  constructor(path: string) {
    this.#path = path;
    this.start();
  }

  start(): void {
    this.#listener = listenPackets(this.#path, systemClock, (connection) => ({
      onPacket: ({ bytes }) => {
        // ZdsHello{version 1: V1}, then answers.
        if (Buffer.from(bytes).toString('hex') === '0801') this.connections.push(connection);
        else this.#answers.push(textOf(messages(fieldsOf(bytes), 1)[0], 1));
      },
      onClose: () => {
        const index = this.connections.indexOf(connection);
        if (index >= 0) this.connections.splice(index, 1);
      },
    }));
  }

  stop(): void {
    this.#listener?.stop();
    for (const connection of this.connections.splice(0)) connection.close();
  }

  connected(): Promise<PacketConnection> {
    return until(() => this.connections.at(-1));
  }

  /** '' when the proxy did it. */
  async add(pod: ForeignPod): Promise<string> {
    const { uid, namespace, name, serviceAccount } = pod;
    const netns = openSync(pod.netns, 'r');
    try {
      const info = nested(2, text(1, name), text(2, namespace), text(3, serviceAccount));
      return await this.#tell(nested(1, text(1, uid), info), netns);
    } finally {
      closeSync(netns);
    }
  }

  keep(uid: string): Promise<string> {
    return this.#tell(nested(5, text(1, uid)));
  }

  delete(uid: string): Promise<string> {
    return this.#tell(nested(2, text(2, uid)));
  }

  snapshotSent(): Promise<string> {
    return this.#tell(nested(3));
  }

  async #tell(message: Part, descriptor?: number): Promise<string> {
    const connection = await this.connected();
    const before = this.#answers.length;
    connection.send(message, descriptor);
    return until(() => this.#answers[before]);
  }
}
