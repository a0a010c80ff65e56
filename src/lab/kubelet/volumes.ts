/**
 * Writes a pod's volumes below its directory: tokens, ConfigMaps, Secrets, downward API, empty directories. Files
 * are replaced by rename, so a reader in the pod sees the old or the new text whole; tokens are renewed before
 * they end.
 */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Pod } from '#kube/client/kinds.ts';
import { ROOT_CA_CONFIG_MAP } from '../controllers/namespace-defaults.ts';
import { type EnvironmentContext, fieldValue } from './environment.ts';

export const TOKEN_VOLUME = 'kube-api-access';
export const TOKEN_MOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

type Items = { key: string; path: string; mode?: number }[];
interface ProjectedSource {
  serviceAccountToken?: { path: string; audience?: string; expirationSeconds?: number };
  configMap?: { name: string; optional?: boolean; items?: Items };
  secret?: { name: string; optional?: boolean; items?: Items };
  downwardAPI?: { items?: { path: string; fieldRef?: { fieldPath: string } }[] };
}
interface Volume {
  name: string;
  emptyDir?: object;
  hostPath?: { path: string };
  configMap?: { name: string; optional?: boolean; items?: Items };
  secret?: { secretName: string; optional?: boolean; items?: Items };
  downwardAPI?: ProjectedSource['downwardAPI'];
  projected?: { sources?: ProjectedSource[] };
  [source: string]: unknown;
}

export interface TokenRequest {
  audience: string | undefined;
  expirationSeconds: number;
}

export interface VolumeContext
  extends Pick<EnvironmentContext, 'pod' | 'podAddress' | 'nodeAddress' | 'configMap' | 'secret'> {
  /** A token of the pod's service account, from the API. */
  token(request: TokenRequest): Promise<string>;
}

/** Path → content. */
type Files = Map<string, string | Uint8Array>;

/** The pod's volumes, with the service account's token that every pod gets unless it says no. */
export function volumesOf(pod: Pod): Volume[] {
  const volumes = (pod.spec.volumes ?? []) as Volume[];
  if (pod.spec.automountServiceAccountToken === false) return volumes;
  const sources: ProjectedSource[] = [
    { serviceAccountToken: { path: 'token', expirationSeconds: 3607 } },
    { configMap: { name: ROOT_CA_CONFIG_MAP, items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    {
      downwardAPI: {
        items: [{ path: 'namespace', fieldRef: { fieldPath: 'metadata.namespace' } }],
      },
    },
  ];
  return [...volumes, { name: TOKEN_VOLUME, projected: { sources } }];
}

/** Where a volume's files are; hostPath is the machine's own. */
export function volumeDirectory(podDirectory: string, volume: Volume): string {
  return volume.hostPath?.path ?? join(podDirectory, 'volumes', volume.name);
}

/** Throws a sentence when an object it needs is missing: the pod waits for it. */
export async function writeVolumes(podDirectory: string, context: VolumeContext): Promise<void> {
  for (const volume of volumesOf(context.pod)) {
    if (volume.hostPath !== undefined) continue;
    const directory = volumeDirectory(podDirectory, volume);
    mkdirSync(directory, { recursive: true, mode: 0o755 });
    if (volume.emptyDir !== undefined) {
      chmodSync(directory, 0o777);
      continue;
    }
    const files = await contentOf(volume, context);
    if (files === undefined)
      throw new Error(`volume "${volume.name}" is of a kind that the lab does not have`);
    writeFiles(directory, files);
  }
}

async function contentOf(volume: Volume, context: VolumeContext): Promise<Files | undefined> {
  if (volume.configMap !== undefined) return project([{ configMap: volume.configMap }], context);
  if (volume.secret !== undefined) {
    const { secretName: name, optional, items } = volume.secret;
    return project([{ secret: { name, optional, items } }], context);
  }
  if (volume.downwardAPI !== undefined)
    return project([{ downwardAPI: volume.downwardAPI }], context);
  return volume.projected === undefined
    ? undefined
    : project(volume.projected.sources ?? [], context);
}

async function project(
  sources: readonly ProjectedSource[],
  context: VolumeContext,
): Promise<Files> {
  const files: Files = new Map();
  for (const source of sources) {
    if (source.serviceAccountToken !== undefined) {
      const { path, audience, expirationSeconds = 3600 } = source.serviceAccountToken;
      files.set(path, await context.token({ audience, expirationSeconds }));
    }
    if (source.configMap !== undefined) addConfigMap(files, source.configMap, context);
    if (source.secret !== undefined) addSecret(files, source.secret, context);
    for (const item of source.downwardAPI?.items ?? [])
      files.set(item.path, fieldValue(item.fieldRef?.fieldPath ?? '', context) ?? '');
  }
  return files;
}

function addConfigMap(
  files: Files,
  { name, optional, items }: NonNullable<ProjectedSource['configMap']>,
  context: VolumeContext,
): void {
  const map = context.configMap(name);
  if (map === undefined && optional !== true) throw new Error(`configmap "${name}" not found`);
  const content = new Map<string, string | Uint8Array>(Object.entries(map?.data ?? {}));
  for (const [key, value] of Object.entries(map?.binaryData ?? {}))
    content.set(key, Buffer.from(value, 'base64'));
  addItems(files, content, { items, optional, what: `configmap "${name}"` });
}

function addSecret(
  files: Files,
  { name, optional, items }: NonNullable<ProjectedSource['secret']>,
  context: VolumeContext,
): void {
  const secret = context.secret(name);
  if (secret === undefined && optional !== true) throw new Error(`secret "${name}" not found`);
  const entries = Object.entries(secret?.data ?? {});
  const content = new Map(entries.map(([key, value]) => [key, Buffer.from(value, 'base64')]));
  addItems(files, content, { items, optional, what: `secret "${name}"` });
}

function addItems(
  files: Files,
  content: ReadonlyMap<string, string | Uint8Array>,
  {
    items,
    optional,
    what,
  }: { items: Items | undefined; optional: boolean | undefined; what: string },
): void {
  if (items === undefined) {
    for (const [key, value] of content) files.set(key, value);
    return;
  }
  for (const { key, path } of items) {
    const value = content.get(key);
    if (value !== undefined) files.set(path, value);
    else if (optional !== true) throw new Error(`${what} has no key "${key}"`);
  }
}

function writeFiles(directory: string, files: Files): void {
  for (const [path, content] of files) {
    const target = join(directory, path);
    // A projected path may not climb out of its volume.
    if (!target.startsWith(`${directory}/`)) throw new Error(`path "${path}" leaves its volume`);
    if (isCurrent(target, content)) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(`${target}.next`, content, { mode: 0o644 });
    renameSync(`${target}.next`, target);
  }
  const top = new Set([...files.keys()].map((path) => path.split('/')[0]));
  for (const name of readdirSync(directory))
    if (!top.has(name)) rmSync(join(directory, name), { recursive: true });
}

function isCurrent(path: string, content: string | Uint8Array): boolean {
  try {
    return readFileSync(path).equals(Buffer.from(content as string));
  } catch {
    // Not there yet.
    return false;
  }
}
