/**
 * A node proxy is replaced while a pod looks names up, some of which take their name server a while: every query is
 * answered, by the old one or by the new. Real processes, namespaces and rules. Needs root.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import type { BoundDatagrams } from '#net/datagram.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { CapturedPair } from '#test/support/captured-pair.ts';
import { missingFor } from '#test/support/lab.ts';
import { TYPE } from '#wire/dns/codes.ts';
import { encodeMessage, queryFor } from '#wire/dns/message.ts';

const skip = missingFor({ programs: ['ip', 'nft', 'nsenter'], root: true }) !== undefined;
const GRACE = { TERMINATION_GRACE_PERIOD_SECONDS: '60' };
const NAME_SERVER = '198.18.250.3';
const WINDOW = 64;
/** No look-up that is not lost takes so long, on a loaded machine either: what a proxy passes on has its own, shorter deadline. */
const ANSWER_MS_MAX = 15_000;

describe.skipIf(skip)('a node proxy that is replaced', () => {
  const datagrams = new BunDatagrams();
  let pair: CapturedPair;
  let server: BoundDatagrams;

  beforeAll(async () => {
    pair = await CapturedPair.make();
    redirectOnce(pair.client.path, { ...DEFAULT_RULES, dns: true });
    server = datagrams.bind(
      { address: NAME_SERVER, port: 53, namespace: pair.server.handle },
      {
        onDatagram(bytes, from) {
          const reply = Uint8Array.from(bytes);
          reply[2] |= 0x80;
          systemClock.after(300, () => server.send(reply, from));
        },
        onError: () => undefined,
      },
    );
  });

  afterAll(async () => {
    server?.close();
    await pair?.[Symbol.asyncDispose]();
  });

  /** Asks without a pause, WINDOW queries at a time, until it is stopped; each from a socket of its own. */
  function load() {
    let running = true;
    let asked = 0;
    let answered = 0;
    const refused: string[] = [];
    const waiting = new Set<number>();
    const over = Promise.withResolvers<void>();
    const next = () => {
      if (!running) {
        if (waiting.size === 0) over.resolve();
        return;
      }
      const id = asked++;
      // Every fourth has to be passed on.
      const name = id % 4 === 0 ? 'www.example.org' : 'product.shop.svc.cluster.local';
      waiting.add(id);
      const socket = datagrams.connect(
        { address: NAME_SERVER, port: 53, namespace: pair.client.handle },
        {
          onDatagram(bytes) {
            if ((bytes[3] & 15) !== 0) refused.push(`${name}: ${bytes[3] & 15}`);
            waiting.delete(id);
            answered++;
            socket.close();
            next();
          },
          onError(error) {
            refused.push(error.message);
            waiting.delete(id);
            socket.close();
            next();
          },
        },
      );
      socket.send(encodeMessage(queryFor(id & 0xffff, name, TYPE.A), 512));
    };
    for (let index = 0; index < WINDOW; index++) next();
    return {
      get answered() {
        return answered;
      },
      waiting,
      refused,
      /** Resolves when all is answered, or when what is not has had its time. */
      async stop(): Promise<void> {
        running = false;
        await Promise.race([over.promise, Bun.sleep(ANSWER_MS_MAX)]);
      },
    };
  }

  test('loses no look-up', async () => {
    let old = await pair.startNode(GRACE);
    const queries = load();
    const atLeast = async (count: number) => {
      while (queries.answered < count) await Bun.sleep(1);
    };
    await atLeast(500);
    for (let round = 0; round < 3; round++) {
      const successor = await pair.startNode(GRACE);
      old.kill('SIGTERM');
      expect(await old.exited).toBe(0);
      await atLeast(queries.answered + 500);
      old = successor;
    }
    await queries.stop();
    expect({ refused: queries.refused, lost: queries.waiting.size }).toEqual({
      refused: [],
      lost: 0,
    });
    old.kill('SIGKILL');
    await old.exited;
  }, 120_000);
});
