/**
 * The CNI plugin of this node, as long as the mesh is on it: installed while this agent is the one that serves the socket, left
 * in place for a successor, taken away when there will be none.
 */
import { rmSync } from 'node:fs';
import type { Clock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import { CNI_PLUGIN } from '#cni/config.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { CniInstaller } from '#redirect/install/installer.ts';
import type { NodeOptions } from '../config/options.ts';
import { judgeEnd } from './end-of-mesh.ts';

export interface NodePlugin {
  missing(): string | undefined;
  /** Told to end; resolves when the node is as it is to be left. */
  leave(): Promise<void>;
  stop(): void;
}

export interface NodePluginDeps {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** This agent answers the plugin, no other one. */
  serves(): boolean;
  /** Every pod leaves the mesh. */
  releasePods(): void;
  onRepair(what: string): void;
}

type Options = Pick<
  NodeOptions,
  'cni' | 'cniSocket' | 'excludeNamespaces' | 'podName' | 'podNamespace'
>;

export function startNodePlugin(deps: NodePluginDeps, options: Options): NodePlugin {
  const { log } = deps;
  const { cni, cniSocket, excludeNamespaces, podName, podNamespace } = options;
  const installer = new CniInstaller(
    { clock: deps.clock, log, isOurs: deps.serves, onRepair: deps.onRepair },
    cni,
    { type: CNI_PLUGIN, agentSocket: cniSocket, excludeNamespaces },
  );
  return {
    missing: () => installer.missing,
    async leave() {
      const { forGood, reason } = await judgeEnd(deps, { namespace: podNamespace, podName });
      if (!forGood) {
        log.info('CNI plugin and rules stay on the node', { reason });
        installer.stop();
        return;
      }
      log.info('the mesh leaves this node', { reason });
      try {
        // First: what starts from now on does not ask us.
        await installer.uninstall();
      } catch (error) {
        const hint =
          'take it out by hand, or run `tulle role node --cni uninstall` as this pod ran';
        log.error('cannot remove the CNI plugin', { error: messageOf(error), hint });
      }
      deps.releasePods();
      rmSync(cniSocket, { force: true });
    },
    stop: () => installer.stop(),
  };
}
