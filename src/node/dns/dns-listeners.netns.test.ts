/** What the DNS proxy opens in a pod's network namespace, and what it does where it cannot. Needs root. */
import { describe, expect, test } from 'bun:test';
import { systemClock } from '#base/clock.ts';
import { silentLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import { BunDatagrams } from '#net/bun/bun-datagrams.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { ABANDONED_MAX } from '#net/limits.ts';
import { refuseAbandoned } from '#net/netns/abandoned.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES } from '#redirect/rules.ts';
import { MetricRegistry } from '#telemetry/metrics/registry.ts';
import { missingFor } from '#test/support/lab.ts';
import { join, TestNamespace } from '#test/support/namespaces.ts';
import { MeshState } from '../state/mesh-state.ts';
import { podLimitsFor } from '../usage/pod-limits.ts';
import { Usages } from '../usage/usages.ts';
import { dnsContext } from './dns-context.ts';
import { DnsProxy } from './dns-proxy.ts';

const skip = missingFor({ programs: ['ip', 'ss', 'nsenter'], root: true }) !== undefined;
const PORT = 15053;

function proxyIn(pod: TestNamespace): DnsProxy {
  const registry = new MetricRegistry();
  const shared = { clock: systemClock, log: silentLogger, registry };
  const usages = new Usages(shared, podLimitsFor(1024));
  const identity = { uid: 'u', namespace: 'shop', name: 'web', serviceAccount: 'web' };
  const context = dnsContext({
    ...shared,
    usages,
    random: systemRandom,
    network: new BunNetwork({ clock: systemClock }),
    state: new MeshState(),
  });
  return new DnsProxy(context, { ...identity, netns: pod.handle }, usages.open(identity));
}

/** `udp 127.0.0.1:15053 mark`, sorted. */
function sockets(pod: TestNamespace): string[] {
  const lines = pod.run('ss', '-Hltune', 'sport', '=', `:${PORT}`).trim().split('\n');
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [kind, , , , local] = line.split(/\s+/);
      return `${kind} ${local} ${/fwmark:(\S+)/.exec(line)?.[1]}`;
    })
    .sort();
}

describe.skipIf(skip)('DnsProxy', () => {
  test('listens on UDP and TCP of both loopback addresses and nowhere else, all marked; stopped, on none', async () => {
    using pod = new TestNamespace('dns');
    const proxy = proxyIn(pod);
    proxy.start(PORT);
    expect(sockets(pod)).toEqual([
      `tcp 127.0.0.1:${PORT} 0x539`,
      `tcp [::1]:${PORT} 0x539`,
      `udp 127.0.0.1:${PORT} 0x539`,
      `udp [::1]:${PORT} 0x539`,
    ]);
    await Bun.sleep(0);
    proxy.stop();
    expect(sockets(pod)).toEqual([]);
  });

  test('without ::1 it listens on IPv4 alone', () => {
    using pod = new TestNamespace('dns4');
    pod.ip('-6', 'address', 'del', '::1/128', 'dev', 'lo');
    const proxy = proxyIn(pod);
    proxy.start(PORT);
    expect(sockets(pod)).toEqual([`tcp 127.0.0.1:${PORT} 0x539`, `udp 127.0.0.1:${PORT} 0x539`]);
    proxy.stop();
  });

  for (const [address, loopback, name] of [
    ['198.18.243.2', '127.0.0.1', '198.18.243.53'],
    ['2001:2:243::2', '::1', '2001:2:243::53'],
  ]) {
    test(`a query to ${name} that a killed proxy took along is asked again when the next one starts`, async () => {
      using pod = new TestNamespace('left');
      using other = new TestNamespace('right');
      const prefix = address.includes(':') ? 64 : 24;
      join(
        { namespace: pod, device: 'eth0', addresses: [`${address}/${prefix}`] },
        { namespace: other, device: 'eth0', addresses: [`${name}/${prefix}`] },
      );
      redirectOnce(pod.path, { ...DEFAULT_RULES, dns: true });
      const datagrams = new BunDatagrams();
      const place = { address: loopback, port: PORT, namespace: pod.handle, mark: 0x539 };
      const ignore = { onDatagram: () => undefined, onError: () => undefined };
      const killed = datagrams.bind(place, {
        ...ignore,
        onDatagram: (bytes, from) => {
          if (bytes[0] === 1) killed.send(bytes, from);
        },
      });
      const ask = (first: number) => {
        const answer = Promise.withResolvers<string>();
        const told = Promise.withResolvers<string>();
        const socket = datagrams.connect(
          { address: name, port: 53, namespace: pod.handle },
          {
            onDatagram: () => answer.resolve('answer'),
            onError: (error) => told.resolve(error.code),
          },
        );
        socket.send(Uint8Array.of(first, 0, 0));
        return { answer: answer.promise, told: told.promise, socket };
      };
      const answered = ask(1);
      expect(await answered.answer).toBe('answer');
      const lost = ask(2);
      // One socket for two questions, as the C library has: the second is lost.
      const half = ask(1);
      expect(await half.answer).toBe('answer');
      half.socket.send(Uint8Array.of(2, 0, 0));
      await Bun.sleep(0);
      // A neighbour that lives answers its own: with it nobody is told anything.
      const neighbour = new BunNetwork({ clock: systemClock }).listen(
        { ...place, reusePort: true },
        () => undefined,
      );
      killed.close();
      await Bun.sleep(0);
      const beside = proxyIn(pod);
      beside.start(PORT);
      expect(await Promise.race([lost.told, Bun.sleep(50)])).toBeUndefined();
      beside.stop();
      neighbour.stop();
      await Bun.sleep(0);
      const next = proxyIn(pod);
      next.start(PORT);
      expect(await Promise.all([lost.told, half.told])).toEqual([
        'NET_CONNECT_REFUSED',
        'NET_CONNECT_REFUSED',
      ]);
      next.stop();
      for (const { socket } of [answered, lost, half]) socket.close();
    });
  }

  test('no more than ABANDONED_MAX resolvers are told to ask again', async () => {
    using pod = new TestNamespace('many');
    using other = new TestNamespace('far');
    join(
      { namespace: pod, device: 'eth0', addresses: ['198.18.244.2/24'] },
      { namespace: other, device: 'eth0', addresses: ['198.18.244.53/24'] },
    );
    redirectOnce(pod.path, { ...DEFAULT_RULES, dns: true });
    const place = { address: '198.18.244.53', port: 53, namespace: pod.handle };
    const ignore = { onDatagram: () => undefined, onError: () => undefined };
    for (let index = 0; index < ABANDONED_MAX + 10; index++) {
      const socket = new BunDatagrams().connect(place, ignore);
      socket.send(Uint8Array.of(index & 255));
      socket.close();
    }
    expect(refuseAbandoned(pod.handle, PORT)).toBe(ABANDONED_MAX);
    await Bun.sleep(0);
  });

  for (const address of ['127.0.0.1', '::1']) {
    test(`where somebody has ${address} it does not start, and leaves nothing`, async () => {
      using pod = new TestNamespace('taken');
      const other = new BunDatagrams().bind(
        { address, port: PORT, namespace: pod.handle },
        { onDatagram: () => undefined, onError: () => undefined },
      );
      await Bun.sleep(0);
      const before = sockets(pod);
      expect(() => proxyIn(pod).start(PORT)).toThrow('EADDRINUSE');
      await Bun.sleep(0);
      expect(sockets(pod)).toEqual(before);
      other.close();
    });
  }
});
