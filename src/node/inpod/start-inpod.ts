/** Pods from an outside CNI agent instead of our own: it captures them, we serve them. */
import { MeshError } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { CniAdd } from '#redirect/cni-server.ts';
import type { Assembly } from '../assemble.ts';
import type { NodePods } from '../node-pods.ts';
import { InpodPods } from './inpod-pods.ts';
import { ZdsClient } from './zds-client.ts';

const hint = 'ask that agent, or start the node proxy without INPOD_UDS';

export function startInpod(path: string, { context }: Assembly, log: Logger): NodePods {
  const { clock, random } = context;
  const pods = new InpodPods(context);
  const client = new ZdsClient({ clock, random, log: log.child('zds'), pods }, path);
  const refuse = async ({ podNamespace, podName }: CniAdd) => {
    const message = `${podNamespace}/${podName}: the CNI agent on ${path} captures the pods of this node`;
    throw new MeshError('NODE_CAPTURE', message, { side: 'config', hint });
  };
  return {
    get proxies() {
      return pods.proxies;
    },
    missing() {
      if (!client.synced) return `no CNI agent has told of its pods on ${path} yet`;
      return pods.incomplete && `${pods.incomplete} is not served yet`;
    },
    add: refuse,
    check: refuse,
    releaseAll: () => undefined,
    leave: () => undefined,
    stop() {
      client.stop();
      pods.stop('the proxy is shutting down');
    },
  };
}
