/** Two generations on one node: the ports and the CNI socket belong to the newest that lives. */
import { afterEach, beforeEach, expect, test } from 'bun:test';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LogLevels, silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { PRESENCE_RETRY_MS } from './limits.ts';
import { Presence } from './presence.ts';
import type { StatusPorts } from './status/servers.ts';

let directory: string;
let ports: StatusPorts;
let generations: Presence[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'tulle-presence-'));
  ports = { admin: freePort(), metrics: freePort(), readiness: freePort() };
});

afterEach(() => {
  for (const each of generations) each.stop();
  generations = [];
  rmSync(directory, { recursive: true, force: true });
});

function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() });
  const { port } = server;
  server.stop(true);
  return port as number;
}

function generation(name: string) {
  const clock = new FakeClock();
  const presence = new Presence(
    {
      clock,
      random: systemRandom,
      log: silentLogger,
      source: {
        podName: 'tulle-node1',
        registry: new MetricRegistry(),
        notReady: () => name,
        status: () => ({}),
        levels: new LogLevels('info'),
        connections: () => ({}),
        reports: async () => [],
        config: () => ({}),
        certificates: () => ({}),
        limits: () => ({}),
      },
      cni: {
        onAdd: async () => ({ captured: true, reason: name }),
        onCheck: async () => ({ captured: true, reason: name }),
      },
    },
    { ports, cniSocket: join(directory, 'cni.sock') },
  );
  generations.push(presence);
  return { presence, clock };
}

const pod = { podNamespace: 'shop', podName: 'web', podUid: 'u', netns: '/run/netns/u' };
const close = { connection: 'close' };

async function answering(): Promise<string[]> {
  const unix = join(directory, 'cni.sock');
  const options = { method: 'POST', unix, body: JSON.stringify(pod), headers: close };
  const cni = await fetch('http://agent/cmdadd', options);
  const { reason } = (await cni.json()) as { reason: string };
  const url = `http://127.0.0.1:${ports.readiness}/healthz/ready`;
  const readiness = await (await fetch(url, { headers: close })).text();
  return [reason, readiness.trim()];
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('a new generation takes ports and socket from a running one, which may end without touching them', async () => {
  const old = generation('old');
  expect(await answering()).toEqual(['old', 'not ready: old']);
  const next = generation('next');
  await until(() => next.presence.present);
  expect(old.presence.present).toBe(false);
  expect(await answering()).toEqual(['next', 'not ready: next']);
  old.presence.stop();
  expect(existsSync(join(directory, 'cni.sock'))).toBe(true);
  expect(await answering()).toEqual(['next', 'not ready: next']);
});

test('the former generation takes both back when the new one is gone', async () => {
  const old = generation('old');
  const next = generation('next');
  await until(() => next.presence.present);
  old.clock.advance(PRESENCE_RETRY_MS);
  expect(old.presence.present).toBe(false);
  next.presence.stop();
  old.clock.advance(PRESENCE_RETRY_MS);
  expect(old.presence.present).toBe(true);
  expect(await answering()).toEqual(['old', 'not ready: old']);
});

test('one that leaves takes nothing back', async () => {
  const old = generation('old');
  const next = generation('next');
  await until(() => next.presence.present);
  old.presence.leave();
  next.presence.stop();
  old.clock.advance(10 * PRESENCE_RETRY_MS);
  expect(old.presence.present).toBe(false);
});

test('ports that a stranger has are asked for again and again', async () => {
  const stranger = Bun.serve({
    hostname: '0.0.0.0',
    port: ports.metrics,
    fetch: () => new Response(),
  });
  const { presence, clock } = generation('first');
  clock.advance(PRESENCE_RETRY_MS);
  expect(presence.present).toBe(false);
  await stranger.stop(true);
  await until(() => {
    clock.advance(PRESENCE_RETRY_MS);
    return presence.present;
  });
  expect(await answering()).toEqual(['first', 'not ready: first']);
});

test('one that is slow to yield is asked once: who has the socket meanwhile would ask itself', async () => {
  const yielded = Promise.withResolvers<Response>();
  let asked = 0;
  const taken = Bun.serve({ port: ports.metrics, fetch: () => new Response() });
  const old = Bun.serve({
    unix: join(directory, 'cni.sock'),
    fetch() {
      asked += 1;
      return yielded.promise;
    },
  });
  const { presence, clock } = generation('next');
  await until(() => asked === 1);
  for (let period = 0; period < 3; period++) {
    clock.advance(PRESENCE_RETRY_MS);
    // Each ask would come by a connection of its own.
    for (let turn = 0; turn < 20; turn++) await Bun.sleep(1);
  }
  expect(asked).toBe(1);
  await taken.stop(true);
  yielded.resolve(new Response());
  await until(() => presence.present);
  await old.stop(true);
});
