import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { silentLogger } from '#base/log.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import {
  FEDERATE_AHEAD,
  FEDERATE_LINE_CHARS_MAX,
  FEDERATE_PROXY_TIMEOUT_MS,
  FEDERATIONS_MAX,
} from '../limits.ts';
import { readExposition } from '../observe/exposition.ts';
import { type FederateDeps, type FederatedProxy, Federation } from './federate.ts';
import { Relabel } from './relabel.ts';

const proxy = (at: number): FederatedProxy => ({
  key: `shop/p-${at}`,
  kind: 'waypoint',
  node: 'n1',
  ip: `198.18.1.${at}`,
});
const REQUEST = new Request('http://control:15014/federate');

function rig(
  answers: Record<string, (signal: AbortSignal) => Promise<Response>>,
  count = 3,
  proxies = Array.from({ length: count }, (_, at) => proxy(at + 1)),
) {
  const clock = new FakeClock();
  const own = new MetricRegistry();
  own.gauge({ name: 'mine', help: 'M.', labels: [] }).with([]).set(1);
  const asked: string[] = [];
  const fetch: FederateDeps['fetch'] = (url, { signal }) => {
    const { hostname } = new URL(url);
    asked.push(hostname);
    return (
      answers[hostname] ??
      (async () =>
        new Response(`# HELP a_total A.\n# TYPE a_total counter\na_total{l="${hostname}"} 2\n`))
    )(signal);
  };
  const federation = new Federation({
    clock,
    log: silentLogger,
    fetch,
    proxies: () => proxies,
    self: 'istio-system/c',
  });
  return {
    clock,
    own,
    asked,
    federation,
    scrape: async () => (await federation.answer(REQUEST, own)).text(),
  };
}

describe('Federation', () => {
  test('answers with our own metrics and those of every proxy, each told by labels, help and type once', async () => {
    const text = await rig({}).scrape();
    expect(text.split('\n').filter((line) => !line.startsWith('#'))).toEqual([
      'mine{namespace="istio-system",pod="c",proxy="control"} 1',
      ...[1, 2, 3].map(
        (at) =>
          `a_total{namespace="shop",pod="p-${at}",proxy="waypoint",node="n1",instance="198.18.1.${at}:15020",l="198.18.1.${at}"} 2`,
      ),
      ...[1, 2, 3].map(
        (at) =>
          `tulle_federated_proxy_up{namespace="shop",pod="p-${at}",proxy="waypoint",node="n1",instance="198.18.1.${at}:15020"} 1`,
      ),
      'tulle_federated_lines_dropped 0',
      '',
    ]);
    expect(text.match(/# TYPE a_total/g)).toHaveLength(1);
  });

  test('names a proxy with an IPv6 address as Prometheus would', async () => {
    const { scrape, asked } = rig({}, 1, [{ ...proxy(1), ip: 'fd00::5' }]);
    expect(await scrape()).toContain(',instance="[fd00::5]:15020"} 1');
    expect(asked).toEqual(['[fd00::5]']);
  });

  test('says who is silent, refuses, or breaks off, and passes on the others', async () => {
    const { scrape } = rig(
      {
        '198.18.1.1': () => Promise.reject(new Error('no route')),
        '198.18.1.2': async () => new Response('busy', { status: 503 }),
        '198.18.1.3': async () =>
          new Response(
            new ReadableStream({
              start(controller) {
                controller.enqueue(new TextEncoder().encode('b 1\nc'));
                controller.error(new Error('gone'));
              },
            }),
          ),
      },
      4,
    );
    const text = await scrape();
    const up = [...text.matchAll(/proxy_up\{[^}]*p-(\d)[^}]*\} (\d)/g)].map(([, at, value]) => [
      at,
      value,
    ]);
    expect(up).toEqual([
      ['1', '0'],
      ['2', '0'],
      ['3', '0'],
      ['4', '1'],
    ]);
    expect(text).toContain('l="198.18.1.4"');
  });

  test('waits for no proxy longer than its time', async () => {
    const hang = (signal: AbortSignal) =>
      new Promise<Response>((_resolve, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason)),
      );
    const { clock, scrape } = rig({ '198.18.1.1': hang });
    const answer = scrape();
    await Bun.sleep(1);
    await clock.advance(FEDERATE_PROXY_TIMEOUT_MS + 1);
    expect(await answer).toMatch(/proxy_up\{[^}]*p-1[^}]*\} 0/);
  });

  test('asks a few ahead and no more, and stops when the reader goes', async () => {
    const { federation, own, asked } = rig({}, 100);
    const reader = federation.answer(REQUEST, own).body!.getReader();
    await reader.read();
    await reader.read();
    expect(asked.length).toBeLessThanOrEqual(FEDERATE_AHEAD + 3);
    await reader.cancel();
    const count = asked.length;
    await Bun.sleep(5);
    expect(asked.length).toBeLessThanOrEqual(count + 1);
  });

  test('runs a bounded number of scrapes; one that is over makes room', async () => {
    const { federation, own } = rig({});
    const open = Array.from({ length: FEDERATIONS_MAX }, () => federation.answer(REQUEST, own));
    expect(federation.answer(REQUEST, own).status).toBe(503);
    for (const response of open) await response.text();
    expect(federation.answer(REQUEST, own).status).toBe(200);
  });

  test('a proxy whose lines have no end is cut', async () => {
    const { scrape } = rig({
      '198.18.1.1': async () => new Response('x'.repeat(FEDERATE_LINE_CHARS_MAX + 1)),
    });
    expect(await scrape()).toMatch(/proxy_up\{[^}]*p-1[^}]*\} 0/);
  });
});

describe('Relabel', () => {
  const labels = { pod: 'p"\\\n', proxy: 'node' };
  const HEAD = 'pod="p\\"\\\\\\n",proxy="node"';
  test.each([
    ['a 1', `a{${HEAD}} 1\n`],
    ['a{} 1', `a{${HEAD}} 1\n`],
    ['a{x="y"} 1.5e+06 1700000000000', `a{${HEAD},x="y"} 1.5e+06\n`],
    ['a{x="}\\"{,",} NaN', `a{${HEAD},x="}\\"{,"} NaN\n`],
    ['a{pod="own"} 1', 'a{proxy="node",pod="own"} 1\n'],
    ['a{pod="own",proxy="x"} 1', 'a{federated="true",pod="own",proxy="x"} 1\n'],
    ['# EOF', ''],
    ['# TYPE a tape', ''],
    ['a{x="y} 1', ''],
    ['a{x="y"} 1 } 2', ''],
    ['a{x="y"}', ''],
    ['<script>', ''],
  ])('%s', (line, want) => {
    expect(new Relabel(labels, new Set()).line(line)).toBe(want);
  });

  test('whatever comes, what leaves is a sample of the proxy’s own labels, or nothing', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.stringMatching(/^[a-z]{1,3}\{[a-z]="[^"\n]{0,5}",?\} [0-9]{1,3}$/),
        ),
        (line) => {
          fc.pre(!line.includes('\n'));
          const text = new Relabel({ pod: 'p' }, new Set()).line(line);
          if (text === '' || text.startsWith('#')) return;
          let seen = 0;
          readExposition(
            text,
            () => true,
            ({ labels: found }) => {
              seen += 1;
              expect(found.pod).toBe('p');
            },
          );
          expect(seen).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
