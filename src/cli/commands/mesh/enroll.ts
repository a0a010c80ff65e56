/** `tulle enroll|unenroll NAMESPACE`: the label that captures a namespace's pods, without touching them. */
import type { Command } from 'commander';
import { RESOURCES } from '#kube/client/resources.ts';
import { clusterFor } from '../../cluster.ts';

export const DATAPLANE_MODE_LABEL = 'istio.io/dataplane-mode';

async function label(namespace: string, value: string | null, command: Command): Promise<void> {
  const { client } = clusterFor(command);
  const body = { metadata: { labels: { [DATAPLANE_MODE_LABEL]: value } } };
  await client.patch(RESOURCES.namespaces, { name: namespace }, { type: 'merge', body });
}

export async function enroll(namespace: string, command: Command): Promise<void> {
  await label(namespace, 'ambient', command);
  process.stdout.write(
    `namespace ${namespace} is enrolled: its pods are captured as they are, without a restart\n`,
  );
}

export async function unenroll(namespace: string, command: Command): Promise<void> {
  await label(namespace, null, command);
  process.stdout.write(`namespace ${namespace} is no longer enrolled\n`);
}
