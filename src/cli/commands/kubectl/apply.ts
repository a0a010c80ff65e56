/** `tulle apply` (server-side, field manager `tulle`) and `tulle delete`. */
import type { Command } from 'commander';
import { isMeshError } from '#base/errors.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { type Manifest, readManifests } from '#kube/manifests.ts';
import { type Cluster, clusterFor } from '../../cluster.ts';
import { AnswerIsNo, UsageError } from '../../output/report.ts';
import { discover, kindOf, type ServedKind } from './discovery.ts';
import { targetsOf } from './get.ts';

export const FIELD_MANAGER = 'tulle';

export interface ApplyOptions {
  filename: string[];
  namespace?: string;
  output?: string;
}

export async function apply(options: ApplyOptions, command: Command): Promise<void> {
  if (options.filename.length === 0) throw new UsageError('which files? tulle apply -f PATH');
  const cluster = clusterFor(command);
  const manifests = readManifests(options.filename);
  const served = await discover(cluster.client);
  const failures: string[] = [];
  const applied: KubeObject[] = [];
  for (const manifest of manifests) {
    const result = await applyOne(cluster, served, manifest, options.namespace);
    if (typeof result === 'string') failures.push(result);
    else applied.push(result);
  }
  if (options.output === 'json') process.stdout.write(`${JSON.stringify(applied, null, 2)}\n`);
  else
    for (const object of applied)
      process.stdout.write(`${object.kind.toLowerCase()}/${object.metadata.name} applied\n`);
  if (failures.length > 0) throw new AnswerIsNo(failures.join('\n'));
}

/** The object as stored, or why it was refused: the others are still applied, and all refusals shown at once. */
async function applyOne(
  cluster: Cluster,
  served: readonly ServedKind[],
  { object, reference }: Manifest,
  namespace: string | undefined,
): Promise<KubeObject | string> {
  const kind = kindOf(served, object);
  const place = kind.namespaced
    ? (object.metadata.namespace ?? namespace ?? cluster.namespace)
    : undefined;
  const body =
    place === undefined
      ? object
      : { ...object, metadata: { ...object.metadata, namespace: place } };
  try {
    return await cluster.client.patch(
      kind,
      { namespace: place, name: object.metadata.name },
      { type: 'apply', body },
      { fieldManager: FIELD_MANAGER, force: true },
    );
  } catch (error) {
    if (
      isMeshError(error) &&
      error.code !== 'KUBE_UNAVAILABLE' &&
      error.code !== 'KUBE_UNAUTHORIZED'
    ) {
      return `${reference}: ${error.message}`;
    }
    throw error;
  }
}

export interface DeleteOptions {
  filename: string[];
  namespace?: string;
  gracePeriod?: number;
  ignoreNotFound?: boolean;
}

export async function remove(
  words: string[],
  options: DeleteOptions,
  command: Command,
): Promise<void> {
  const cluster = clusterFor(command);
  const served = await discover(cluster.client);
  const targets =
    options.filename.length > 0
      ? readManifests(options.filename).map(({ object }) => ({
          kind: kindOf(served, object),
          name: object.metadata.name,
          namespace: object.metadata.namespace,
        }))
      : targetsOf(words, served).map((target) => ({ ...target, namespace: undefined }));
  for (const { kind, name, namespace } of targets) {
    if (name === undefined)
      throw new UsageError(`which ${kind.resource}? tulle delete ${kind.resource} NAME`);
    const place = kind.namespaced
      ? (namespace ?? options.namespace ?? cluster.namespace)
      : undefined;
    try {
      await cluster.client.delete(
        kind,
        { namespace: place, name },
        { gracePeriodSeconds: options.gracePeriod },
      );
      process.stdout.write(`${kind.kind.toLowerCase()}/${name} deleted\n`);
    } catch (error) {
      if (!(options.ignoreNotFound && isMeshError(error, 'KUBE_NOT_FOUND'))) throw error;
    }
  }
}
