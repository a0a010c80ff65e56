import { describe, expect, test } from 'bun:test';
import { Graph } from '#collections/graph.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { PEER_POLL_MS } from '../limits.ts';
import type { ProxySyncState } from '../push/proxy-stream.ts';
import { LEADS_HEADER, Peers, peersOf } from './peers.ts';

const OPTIONS = { namespace: 'istio-system', self: 'istiod-1', port: 15_014 };

function pod(name: string, ip: string | undefined, more: { ready?: boolean; app?: string } = {}) {
  const { ready = true, app = 'istiod' } = more;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'istio-system', labels: { app } },
    spec: { containers: [] },
    status: { podIP: ip, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  } as Pod;
}

const stream = (id: string, connectedAt: number): ProxySyncState =>
  ({ id, type: 'ztunnel', connectedAt, types: [] }) as unknown as ProxySyncState;

describe('peersOf', () => {
  test('finds ready control planes of every revision, and not itself', () => {
    const pods = [
      pod('istiod-1', '10.0.0.1'),
      pod('istiod-2', '10.0.0.2'),
      pod('istiod-canary-1', '10.0.0.3'),
      pod('istiod-3', '10.0.0.4', { ready: false }),
      pod('istiod-4', undefined),
      pod('ztunnel-1', '10.0.0.5', { app: 'ztunnel' }),
    ];
    expect(peersOf(pods, OPTIONS).map(({ name }) => name)).toEqual(['istiod-2', 'istiod-canary-1']);
  });
});

describe('Peers', () => {
  function setup(answers: Record<string, () => Promise<Response>>) {
    const graph = new Graph();
    const pods = graph.source<Pod>('pods');
    for (const each of [pod('istiod-2', '10.0.0.2'), pod('istiod-3', 'fd00::3')])
      pods.set(`istio-system/${each.metadata.name}`, each);
    const clock = new FakeClock();
    const asked: string[] = [];
    const peers = new Peers(
      {
        clock,
        pods,
        own: () => [stream('a', 5)],
        fetch: (url) => {
          asked.push(url);
          return answers[new URL(url).hostname]();
        },
      },
      OPTIONS,
    );
    return { clock, peers, asked };
  }

  test('tells of the proxies of all replicas, of one that moved the younger connection', async () => {
    const { peers, asked, clock } = setup({
      '10.0.0.2': async () => Response.json([stream('a', 4), stream('b', 1)]),
      '[fd00::3]': async () => Response.json([stream('b', 2), stream('c', 1)]),
    });
    expect(peers.streams().map(({ id }) => id)).toEqual(['a']);
    const { streams, silent } = await peers.ask();
    expect(silent).toEqual([]);
    const told = Object.fromEntries(streams.map(({ id, connectedAt }) => [id, connectedAt]));
    expect(told).toEqual({ a: 5, b: 2, c: 1 });
    expect(peers.streams()).toHaveLength(3);
    expect(asked).toEqual(['http://10.0.0.2:15014/streams', 'http://[fd00::3]:15014/streams']);
    peers.start();
    clock.advance(PEER_POLL_MS);
    expect(asked).toHaveLength(4);
    peers.stop();
    expect(clock.pending).toBe(0);
  });

  test('knows of each that answered whether it leads, where it said so', async () => {
    const { peers } = setup({
      '10.0.0.2': async () => Response.json([], { headers: { [LEADS_HEADER]: 'true' } }),
      '[fd00::3]': async () => Response.json([stream('c', 1)]),
    });
    await peers.ask();
    expect(Object.fromEntries(peers.told().words)).toEqual({
      'istiod-2': { streams: [], leads: true },
      'istiod-3': { streams: [stream('c', 1)], leads: undefined },
    });
  });

  test.each([
    ['is away', () => Promise.reject(new Error('connection refused'))],
    ['answers another status', async () => new Response('', { status: 404 })],
    ['answers no JSON', async () => new Response('<html>')],
    ['answers something else', async () => Response.json({})],
  ])('names a replica that %s', async (_title, answer) => {
    const { peers } = setup({ '10.0.0.2': answer, '[fd00::3]': async () => Response.json([]) });
    expect(await peers.ask()).toEqual({ streams: [stream('a', 5)], silent: ['istiod-2'] });
  });
});
