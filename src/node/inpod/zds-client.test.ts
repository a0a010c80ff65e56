import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { closeSync, fstatSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '#base/clock.ts';
import { MeshError } from '#base/errors.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import {
  listenPackets,
  type PacketConnection,
  type PacketListener,
} from '#net/netns/packet-socket.ts';
import type { NetworkNamespace } from '#net/network.ts';
import { ZdsClient } from './zds-client.ts';
import type { PodInfo } from './zds-conversation.ts';

const hex = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const ADD = hex('0a15 0a027531 120f 0a03776562 120473686f70 1a027361');
const KEEP = hex('2a04 0a027532');
const DEL = hex('1204 12027531');
const SNAPSHOT = hex('1a00');
const HELLO = '0801';
const ACK = '0a00';

/** What the client asked of the pods, in words. */
class Pods {
  readonly done: string[] = [];
  readonly namespaces: NetworkNamespace[] = [];
  failure: MeshError | undefined;
  add(pod: PodInfo, netns: NetworkNamespace): MeshError | undefined {
    this.done.push(`add ${pod.namespace}/${pod.name}`);
    this.namespaces.push(netns);
    return this.failure;
  }
  remove(uid: string): void {
    this.done.push(`remove ${uid}`);
  }
  retain(uids: ReadonlySet<string>): void {
    this.done.push(`retain ${[...uids].join()}`);
  }
}

describe('ZdsClient', () => {
  let folder: string;
  let path: string;
  let listener: PacketListener | undefined;
  let pods: Pods;
  let client: ZdsClient;
  let heard: string[];
  let agents: PacketConnection[];
  let netns: number;

  const until = async (done: () => boolean) => {
    while (!done()) await Bun.sleep(1);
  };

  function startAgent(): void {
    listener = listenPackets(path, systemClock, (connection) => {
      agents.push(connection);
      return {
        onPacket: ({ bytes }) => void heard.push(Buffer.from(bytes).toString('hex')),
        onClose: () => void heard.push('closed'),
      };
    });
  }

  /** Sends a message and gives the answer. */
  async function tell(bytes: Uint8Array, descriptor?: number): Promise<string> {
    const before = heard.length;
    agents.at(-1)?.send(bytes, descriptor);
    await until(() => heard.length > before);
    return heard[before];
  }

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tulle-zds-'));
    path = join(folder, 'zds.sock');
    netns = openSync('/proc/self/ns/net', 'r');
    pods = new Pods();
    heard = [];
    agents = [];
    startAgent();
    const deps = { clock: systemClock, random: systemRandom, log: silentLogger, pods };
    client = new ZdsClient(deps, path);
  });

  afterEach(() => {
    client.stop();
    listener?.stop();
    for (const agent of agents) agent.close();
    for (const each of pods.namespaces) each.close();
    closeSync(netns);
    rmSync(folder, { recursive: true, force: true });
  });

  test('says hello first, then does and answers one message after the other', async () => {
    await until(() => heard.length === 1);
    expect(heard[0]).toBe(HELLO);
    expect(await tell(ADD, netns)).toBe(ACK);
    expect(pods.namespaces[0].inode).toBe(fstatSync(netns).ino);
    expect(pods.namespaces[0].fd).not.toBe(netns);
    expect(await tell(KEEP)).toBe(ACK);
    expect(client.synced).toBe(false);
    expect(await tell(SNAPSHOT)).toBe(ACK);
    expect(client.synced).toBe(true);
    expect(await tell(DEL)).toBe(ACK);
    expect(pods.done).toEqual(['add shop/web', 'retain u1,u2', 'remove u1']);
  });

  test('a pod that cannot be served yet is answered with the reason; the conversation goes on', async () => {
    await until(() => heard.length === 1);
    pods.failure = new MeshError('NODE_CAPTURE', 'no', { side: 'self', hint: '' });
    expect(await tell(ADD, netns)).toBe('0a040a026e6f');
    expect(await tell(SNAPSHOT)).toBe(ACK);
  });

  test('an agent that breaks the rules is told why and left; the next conversation starts over', async () => {
    await until(() => heard.length === 1);
    await tell(SNAPSHOT);
    const answer = Buffer.from(await tell(SNAPSHOT), 'hex').toString();
    expect(answer).toContain('a second SnapshotSent');
    await until(() => heard.includes(HELLO, 2));
    expect(heard.slice(3, 5)).toEqual(['closed', HELLO]);
    expect(await tell(SNAPSHOT)).toBe(ACK);
  });

  test('an agent that restarts is found again, and the pods stay until it says who is left', async () => {
    await until(() => heard.length === 1);
    await tell(ADD, netns);
    await tell(SNAPSHOT);
    listener?.stop();
    agents[0].close();
    startAgent();
    await until(() => agents.length === 2 && heard.at(-1) === HELLO);
    expect(pods.done).toEqual(['add shop/web', 'retain u1']);
    expect(client.synced).toBe(true);
    expect(await tell(SNAPSHOT)).toBe(ACK);
    expect(pods.done.at(-1)).toBe('retain ');
  });
});
