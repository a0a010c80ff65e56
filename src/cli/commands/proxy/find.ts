/** Which proxy a name means: asked of the API server, so that it works while the control plane is down. */
import type { Command } from 'commander';
import { MeshError } from '#base/errors.ts';
import type { Pod } from '#kube/client/kinds.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { type Cluster, clusterFor } from '../../cluster.ts';
import { CLI_ERRORS } from '../../errors.ts';
import { withProgress } from '../../output/progress.ts';
import { UsageError } from '../../output/report.ts';
import { openPodPort, type PodPort } from '../../pod-port.ts';

export interface FoundProxy {
  readonly kind: 'node' | 'waypoint';
  readonly namespace: string;
  readonly name: string;
  readonly node: string;
  /** Of a waypoint or gateway: its Gateway. */
  readonly gateway: string | undefined;
}

const NODE_SELECTOR = 'app=ztunnel';
const GATEWAY_LABEL = 'gateway.networking.k8s.io/gateway-name';
const ADMIN_PORT = 15000;

export async function listProxies({ client }: Cluster): Promise<FoundProxy[]> {
  const list = async (kind: FoundProxy['kind'], labelSelector: string) => {
    const { items } = await client.list<Pod>(RESOURCES.pods, { labelSelector });
    return items
      .filter(({ status }) => status?.phase === 'Running')
      .map(({ metadata, spec }) => ({
        kind,
        namespace: metadata.namespace ?? '',
        name: metadata.name,
        node: spec.nodeName ?? '',
        gateway: metadata.labels?.[GATEWAY_LABEL],
      }));
  };
  const [nodes, waypoints] = await Promise.all([
    list('node', NODE_SELECTOR),
    list('waypoint', GATEWAY_LABEL),
  ]);
  return [...nodes, ...waypoints];
}

/** A pod, `namespace/pod`, the node that a node proxy serves, or a waypoint's Gateway. */
export function pickProxy(proxies: readonly FoundProxy[], word: string): FoundProxy {
  const [namespace, name] = word.includes('/') ? word.split('/') : [undefined, word];
  const mine = proxies.filter((proxy) => namespace === undefined || proxy.namespace === namespace);
  for (const matches of [
    mine.filter((proxy) => proxy.name === name),
    mine.filter((proxy) => proxy.kind === 'node' && proxy.node === name),
    mine.filter((proxy) => proxy.gateway === name),
  ]) {
    if (matches.length === 1) return matches[0];
    if (matches.length > 1)
      throw new UsageError(
        `${word} is one of ${matches.map((each) => `${each.namespace}/${each.name}`).join(', ')}`,
      );
  }
  throw new MeshError('CLI_NO_PROXY', `there is no proxy ${word} that runs`, {
    side: 'config',
    hint: CLI_ERRORS.CLI_NO_PROXY,
  });
}

/** Names for the shell to complete. */
export function proxyNames(proxies: readonly FoundProxy[]): string[] {
  const names = proxies.flatMap(({ kind, name, node, gateway }) => [
    name,
    kind === 'node' ? node : (gateway ?? ''),
  ]);
  return [...new Set(names.filter((name) => name !== ''))].sort();
}

export interface ProxyDoor extends Disposable {
  readonly proxy: FoundProxy;
  json<T>(path: string): Promise<T>;
  text(path: string, init?: RequestInit): Promise<string>;
}

/** Opens the proxy's own port; each question shows what is waited for when that takes a while. */
export async function openProxy(word: string, command: Command): Promise<ProxyDoor> {
  const cluster = clusterFor(command);
  const proxy = pickProxy(await withProgress('looking for proxies', listProxies(cluster)), word);
  const port: PodPort = openPodPort(cluster, { ...proxy, port: ADMIN_PORT });
  const ask = (path: string, init?: RequestInit) =>
    withProgress(`asking ${proxy.name}`, port.ask(path, init));
  return {
    proxy,
    json: async <T>(path: string) => (await (await ask(path)).json()) as T,
    text: async (path, init) => (await ask(path, init)).text(),
    [Symbol.dispose]: () => port[Symbol.dispose](),
  };
}
