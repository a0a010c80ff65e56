/** Two network namespaces joined by a veth pair, with IPv4 and IPv6, as two pods on two nodes. Needs root. */
import { openNamespace } from '#net/netns/namespace.ts';
import type { NetworkNamespace } from '#net/network.ts';

export interface Pod {
  /** Of the namespace, for `ip netns exec`. */
  readonly netns: string;
  readonly path: string;
  readonly namespace: NetworkNamespace;
  readonly ip: string;
  readonly ip6: string;
}

export interface PodPair extends Disposable {
  readonly web: Pod;
  readonly product: Pod;
}

function ip(...args: string[]): void {
  const done = Bun.spawnSync(['ip', ...args], { stderr: 'pipe' });
  if (!done.success) throw new Error(`ip ${args.join(' ')}: ${done.stderr}`);
}

/** `subnet` tells pairs of tests that run at the same time apart: 198.18.SUBNET.0/24, 2001:2:0:SUBNET::/64. */
export function makePodPair(subnet: number): PodPair {
  const describe = (name: string, host: number) => {
    const netns = `tulle-compat-${process.pid}-${subnet}-${name}`;
    const path = `/run/netns/${netns}`;
    return { netns, path, ip: `198.18.${subnet}.${host}`, ip6: `2001:2:0:${subnet}::${host}` };
  };
  const ends = [describe('web', 2), describe('product', 3)];
  const [web, product] = ends;
  const remove = () => {
    for (const { netns } of ends) Bun.spawnSync(['ip', 'netns', 'del', netns], { stderr: 'pipe' });
  };
  try {
    for (const { netns } of ends) {
      ip('netns', 'add', netns);
      ip('-n', netns, 'link', 'set', 'lo', 'up');
    }
    const peer = ['peer', 'name', 'eth0', 'netns', product.netns];
    ip('-n', web.netns, 'link', 'add', 'eth0', 'type', 'veth', ...peer);
    ends.forEach((end, index) => {
      const other = ends[1 - index];
      const on = (...args: string[]) => ip('-n', end.netns, ...args);
      on('address', 'add', `${end.ip}/24`, 'dev', 'eth0');
      on('address', 'add', `${end.ip6}/64`, 'dev', 'eth0', 'nodad');
      on('link', 'set', 'eth0', 'up');
      on('route', 'add', 'default', 'via', other.ip);
      on('-6', 'route', 'add', 'default', 'via', other.ip6);
    });
    const opened = ends.map((end) => ({ ...end, namespace: openNamespace(end.path) }));
    return {
      web: opened[0],
      product: opened[1],
      [Symbol.dispose]() {
        for (const { namespace } of opened) namespace.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}
