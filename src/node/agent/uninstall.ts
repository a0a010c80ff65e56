/** `tulle role node --cni uninstall`: what an agent that could not clean up after itself left on the node. */
import { systemClock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Pod } from '#kube/client/kinds.ts';
import type { KubeClient } from '#kube/client/kube-client.ts';
import { RESOURCES } from '#kube/client/resources.ts';
import { removeInstallation } from '#redirect/install/installer.ts';
import { REDIRECTION_ANNOTATION } from '#redirect/plan.ts';
import { ProbeExemptions } from '#redirect/probes.ts';
import type { NodeOptions } from '../config/options.ts';
import { podClient } from './api-client.ts';
import { removeRedirection } from './capture-agent.ts';
import { NamespaceFinder } from './namespace-finder.ts';
import { STATIC_UID } from './pod-watch.ts';

/** The plugin first, then every pod that is reported captured. Throws when the plugin cannot be removed. */
export async function uninstallNode(
  options: NodeOptions,
  log: Logger,
  client: KubeClient = podClient(process.env),
): Promise<void> {
  removeInstallation(options.cni);
  log.info('CNI plugin removed', { ...options.cni });
  const finder = new NamespaceFinder(systemClock, options);
  const fieldSelector = `spec.nodeName=${options.nodeName}`;
  const { items } = await client.list<Pod>(RESOURCES.pods, { fieldSelector });
  for (const pod of items) {
    if (pod.metadata.annotations?.[REDIRECTION_ANNOTATION] === undefined) continue;
    await release(pod, { client, finder, log });
  }
  const probes = new ProbeExemptions();
  probes.remove();
  probes.close();
}

async function release(
  { metadata }: Pod,
  { client, finder, log }: { client: KubeClient; finder: NamespaceFinder; log: Logger },
): Promise<void> {
  const { namespace, name, uid = '', annotations = {} } = metadata;
  const pod = `${namespace}/${name}`;
  try {
    const path = finder.find(annotations[STATIC_UID] ?? uid);
    if (path !== undefined) removeRedirection(path);
    const body = { metadata: { uid, annotations: { [REDIRECTION_ANNOTATION]: null } } };
    const patch = { type: 'merge' as const, body };
    await client.patch(RESOURCES.pods, { namespace, name }, patch, { subresource: 'status' });
    log.info('pod has left the mesh', { pod });
  } catch (error) {
    log.error('cannot take the pod out of the mesh', { pod, error: messageOf(error) });
  }
}
