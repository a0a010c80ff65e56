/**
 * Two network namespaces joined by a veth pair, as two nodes are. The benchmark has already moved into mount,
 * pid and network namespaces of its own (main.ts), so everything made here ends with it.
 */
import { existsSync, readdirSync } from 'node:fs';
import { MeshError } from '#base/errors.ts';
import { INBOUND_HBONE_PORT } from '#redirect/ports.ts';
import { redirectOnce } from '#redirect/redirection.ts';
import { DEFAULT_RULES, NAT_TABLE } from '#redirect/rules.ts';

export const CLIENT = { name: 'client', address: '198.18.0.1' };
export const SERVER = { name: 'server', address: '198.18.0.2' };

export async function runText(command: readonly string[], input?: string): Promise<string> {
  const child = Bun.spawn([...command], {
    stdin: input === undefined ? 'ignore' : new TextEncoder().encode(input),
    stdout: 'pipe',
    stderr: 'pipe',
  });
  const [text, complaint, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) {
    throw new MeshError(
      'BENCH_COMMAND_FAILED',
      `${command.join(' ')}: ${complaint.trim() || text.trim()}`,
      {
        side: 'self',
        hint: 'apt-get install iproute2 nftables util-linux',
      },
    );
  }
  return text;
}

export const inNamespace = (name: string, command: readonly string[]) => [
  'nsenter',
  `--net=/run/netns/${name}`,
  ...command,
];

/** Both namespaces anew, without further pods; call it when no process is left in the old ones. */
export async function rebuildTopology(): Promise<void> {
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    await runText(['ip', 'netns', 'del', name]);
  }
  await runText(['ip', 'netns', 'add', CLIENT.name]);
  await runText(['ip', 'netns', 'add', SERVER.name]);
  await runText([
    'ip',
    'link',
    'add',
    'veth-client',
    'netns',
    CLIENT.name,
    'type',
    'veth',
    'peer',
    'name',
    'veth-server',
    'netns',
    SERVER.name,
  ]);
  for (const [end, device] of [
    [CLIENT, 'veth-client'],
    [SERVER, 'veth-server'],
  ] as const) {
    await runText(
      ['ip', '-n', end.name, '-b', '-'],
      `addr add ${end.address}/24 dev ${device}\nlink set lo up\nlink set ${device} up\n`,
    );
    // Else a load of new connections runs out of ports after some seconds and then measures the kernel's search for one.
    const reuse = 'echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse';
    await runText(inNamespace(end.name, ['sh', '-c', reuse]));
  }
}

/** Network namespaces of further pods of both nodes: `client-1`, `server-1` and so on, with nothing inside but loopback. */
export async function addPods(count: number): Promise<void> {
  const names = [CLIENT, SERVER].flatMap(({ name }) => podNames(name, count));
  for (const name of names) {
    if (!existsSync(`/run/netns/${name}`)) await runText(['ip', 'netns', 'add', name]);
  }
}

export function podNames(node: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${node}-${index + 1}`);
}

/**
 * The product's own capture rules in both namespaces, for peers that do not put them there themselves: every packet
 * passes the same hooks whoever proxies it. Peers that cannot mark their sockets need the exemption of HBONE's port.
 */
export async function applyCapture(): Promise<void> {
  const exempt = `insert rule inet ${NAT_TABLE} istio-output tcp dport ${INBOUND_HBONE_PORT} accept\n`;
  for (const { name } of [CLIENT, SERVER]) {
    redirectOnce(`/run/netns/${name}`, DEFAULT_RULES);
    await runText(inNamespace(name, ['nft', '-f', '-']), exempt);
  }
}

/** Pods of the `path` case: a client, a server, and one for an L7 proxy between them, and where a service's address leads. */
export interface Star {
  client: string;
  server: string;
  waypoint: string;
  serviceAddress: string;
}

const SERVICE_ADDRESS = '198.19.0.1';

export async function rebuildPath(): Promise<Star> {
  const [client, server, waypoint] = await rebuildStar([CLIENT.name, SERVER.name, 'waypoint']);
  // Captured on the way out, but a route must be there before.
  await runText(['ip', '-n', CLIENT.name, 'route', 'add', SERVICE_ADDRESS, 'dev', 'eth0']);
  return {
    client: client.address,
    server: server.address,
    waypoint: waypoint.address,
    serviceAddress: SERVICE_ADDRESS,
  };
}

/** One that is on the bridge. */
export interface StarPod {
  readonly name: string;
  readonly address: string;
}

/** Namespaces of these names on one bridge, anew; for many pods of one node. */
export async function rebuildStar(names: readonly string[]): Promise<StarPod[]> {
  const fabric = 'fabric';
  for (const name of [fabric, ...names]) {
    if (existsSync(`/run/netns/${name}`)) await runText(['ip', 'netns', 'del', name]);
    await runText(['ip', 'netns', 'add', name]);
  }
  const inFabric = (...words: string[]) => runText(['ip', '-n', fabric, ...words]);
  await inFabric('link', 'add', 'bridge0', 'type', 'bridge');
  await inFabric('link', 'set', 'bridge0', 'up');
  const pods = names.map((name, index) => ({ name, address: `198.18.0.${index + 1}` }));
  for (const [index, { name, address }] of pods.entries()) {
    const peer = ['peer', 'name', 'eth0', 'netns', name];
    await inFabric('link', 'add', `pod${index}`, 'type', 'veth', ...peer);
    await inFabric('link', 'set', `pod${index}`, 'master', 'bridge0', 'up');
    const up = `addr add ${address}/24 dev eth0\nlink set lo up\nlink set eth0 up\n`;
    await runText(['ip', '-n', name, '-b', '-'], up);
  }
  return pods;
}
