/**
 * One object, applied on the server's side as field manager `tulle-install`: fields that others manage are a conflict, never
 * overwritten unasked. What changed is what the server's answer shows against what was there.
 */
import { isDeepStrictEqual } from 'node:util';
import { isMeshError } from '#base/errors.ts';
import type { KubeClient, KubeObject } from '#kube/client/kube-client.ts';
import { LABEL, PART_OF } from '../manifests/object.ts';
import { refOf } from './refs.ts';

export const FIELD_MANAGER = 'tulle-install';

export type Outcome = 'created' | 'changed' | 'unchanged';

export interface Applied {
  readonly object: KubeObject;
  readonly outcome: Outcome;
  /** Paths of what differs, of an object that was there. */
  readonly changes: readonly string[];
}

export interface ApplyOptions {
  readonly dryRun: boolean;
  /** Take over fields that others manage. */
  readonly force: boolean;
}

export async function find<T extends KubeObject>(
  client: KubeClient,
  object: KubeObject,
): Promise<T | undefined> {
  try {
    return await client.get<T>(refOf(object), object.metadata);
  } catch (error) {
    if (isMeshError(error, 'KUBE_NOT_FOUND')) return undefined;
    throw error;
  }
}

export async function applyObject(
  client: KubeClient,
  object: KubeObject,
  { dryRun, force }: ApplyOptions,
): Promise<Applied> {
  const before = await find(client, object);
  const after = await client.patch(
    refOf(object),
    object.metadata,
    { type: 'apply', body: object },
    { fieldManager: FIELD_MANAGER, dryRun, force },
  );
  if (before === undefined) return { object: after, outcome: 'created', changes: [] };
  const changes = changedPaths(withoutServerFields(before), withoutServerFields(after));
  return { object: after, outcome: changes.length > 0 ? 'changed' : 'unchanged', changes };
}

/** Of another installer, or made by hand. */
export function isForeign({ metadata }: KubeObject): boolean {
  return metadata.labels?.[LABEL.partOf] !== PART_OF;
}

/** The server and its controllers write these themselves. */
function withoutServerFields(object: KubeObject): Record<string, unknown> {
  const { metadata, status: _, ...rest } = object as KubeObject & { status?: unknown };
  const { [TEMPLATE_GENERATION]: _counted, ...annotations } = metadata.annotations ?? {};
  return { ...rest, metadata: { labels: metadata.labels, annotations } };
}

/** Of a DaemonSet: counts with `metadata.generation`. */
const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation';

/** A list that differs is one change: its elements have no lasting names. */
export function changedPaths(before: unknown, after: unknown, at = ''): string[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isRecord(before) || !isRecord(after)) return [at];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) =>
    changedPaths(before[name], after[name], at === '' ? name : `${at}.${name}`),
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
