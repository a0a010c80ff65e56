/**
 * Which cluster a command talks to: --kubeconfig, $KUBECONFIG, a lab that is running here, ~/.kube/config, the
 * pod we are in. The first that exists wins; none is an error with the commands that help.
 */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { MeshError } from '#base/errors.ts';
import { inClusterConnection } from '#kube/client/in-cluster.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import { type Fetch, type KubeConnection, RestClient } from '#kube/client/rest-client.ts';
import { CLI_ERRORS } from './errors.ts';
import { readRunningLab } from './running-lab.ts';

export interface Cluster {
  client: RestClient;
  connection: KubeConnection;
  /** The namespace to use when the command names none. */
  namespace: string;
}

export function connectionFor(kubeconfig: string | undefined): KubeConnection {
  const named = kubeconfig ?? (process.env.KUBECONFIG || undefined);
  if (named !== undefined) return loadKubeconfig(named);
  const lab = readRunningLab();
  if (lab !== undefined) return loadKubeconfig(lab.kubeconfig);
  const home = join(homedir(), '.kube', 'config');
  if (existsSync(home)) return loadKubeconfig(home);
  const inside = inClusterConnection(process.env);
  if (inside !== undefined) return inside;
  throw new MeshError(
    'CLI_NO_CLUSTER',
    'no cluster to talk to: no kubeconfig, and no lab is running',
    {
      side: 'config',
      hint: CLI_ERRORS.CLI_NO_CLUSTER,
    },
  );
}

export function clusterFor(command: Command): Cluster {
  const { kubeconfig } = command.optsWithGlobals<{ kubeconfig?: string }>();
  const connection = connectionFor(kubeconfig);
  return {
    client: new RestClient({ fetch: fetch as Fetch }, connection),
    connection,
    namespace: connection.namespace ?? 'default',
  };
}
