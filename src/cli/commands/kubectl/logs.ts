/** `tulle logs`. */
import type { Command } from 'commander';
import { clusterFor } from '../../cluster.ts';
import { findPod } from './pods.ts';

export interface LogsOptions {
  namespace?: string;
  container?: string;
  follow?: boolean;
  tail?: number;
  previous?: boolean;
  timestamps?: boolean;
}

export async function logs(word: string, options: LogsOptions, command: Command): Promise<void> {
  const cluster = clusterFor(command);
  const namespace = options.namespace ?? cluster.namespace;
  const pod = await findPod(cluster.client, namespace, word);
  const query = new URLSearchParams();
  if (options.container !== undefined) query.set('container', options.container);
  if (options.follow) query.set('follow', 'true');
  if (options.previous) query.set('previous', 'true');
  if (options.timestamps) query.set('timestamps', 'true');
  if (options.tail !== undefined) query.set('tailLines', String(options.tail));
  const path = `/api/v1/namespaces/${namespace}/pods/${pod.metadata.name}/log?${query}`;
  const response = await cluster.client.open('GET', path, { timeout: false });
  if (response.body === null) return;
  for await (const chunk of response.body) process.stdout.write(chunk);
}
