/** Selection of a list, watch or deletecollection: selectors, limit, continue token and revision. */
import {
  type FieldRequirement,
  matchFields,
  parseFieldSelector,
} from '#kube/meta/field-selector.ts';
import { matchLabels, parseLabelSelector, SelectorSyntaxError } from '#kube/meta/label-selector.ts';
import type { ApiObject } from '#kube/meta/object.ts';
import type { ServedKind } from '../kinds/served-kind.ts';
import { badRequest, expired, StatusError } from './status-error.ts';

/** Fields beyond metadata.name and metadata.namespace, by table: Kubernetes' lists. */
const FIELDS: Record<string, readonly string[]> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/nodes': ['spec.unschedulable'],
  '/namespaces': ['status.phase'],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
  'apps/replicasets': ['status.replicas'],
  '/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'reason',
    'reportingComponent',
    'reportingController',
    'source',
    'type',
  ],
};

export interface ContinueToken {
  revision: number;
  namespace: string;
  name: string;
}

export function parseAccept(
  kind: ServedKind,
  query: URLSearchParams,
): (object: ApiObject) => boolean {
  try {
    const labels = parseLabelSelector(query.get('labelSelector') ?? '');
    const fields = parseFieldSelector(query.get('fieldSelector') ?? '').map(storedField);
    for (const { path } of fields) checkField(kind, path);
    return (object) => matchLabels(labels, object.metadata.labels) && matchFields(fields, object);
  } catch (error) {
    if (error instanceof SelectorSyntaxError) throw badRequest(error.message);
    throw error;
  }
}

/** Events are stored in their core form. */
function storedField(requirement: FieldRequirement): FieldRequirement {
  const path = requirement.path.replace(/^regarding\./, 'involvedObject.');
  return { ...requirement, path: path === 'reportingController' ? 'reportingComponent' : path };
}

function checkField(kind: ServedKind, path: string): void {
  if (path === 'metadata.name' || path === 'metadata.namespace') return;
  if (FIELDS[kind.table]?.includes(path)) return;
  throw badRequest(`field label not supported: ${path}`);
}

export function encodeContinue(token: ContinueToken): string {
  return Buffer.from(JSON.stringify({ v: 'tulle/v1', ...token })).toString('base64url');
}

export function decodeContinue(text: string): ContinueToken {
  const refusal = badRequest('continue key is not valid: encoded continue key is not readable');
  let token: ContinueToken;
  try {
    token = JSON.parse(Buffer.from(text, 'base64url').toString()) as ContinueToken;
  } catch {
    throw refusal;
  }
  const { revision, namespace, name } = token;
  if (!Number.isInteger(revision) || typeof namespace !== 'string' || typeof name !== 'string')
    throw refusal;
  return token;
}

export function parseLimit(query: URLSearchParams): number | undefined {
  const text = query.get('limit');
  if (text === null || text === '' || text === '0') return undefined;
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`limit: Invalid value: "${text}"`);
  return limit;
}

export function parseRevision(text: string | null): number | undefined {
  if (text === null || text === '') return undefined;
  if (!/^\d+$/.test(text))
    throw badRequest(
      `Invalid value: "${text}": strconv.ParseUint: parsing "${text}": invalid syntax`,
    );
  return Number(text);
}

/** Asking for the future: Kubernetes waits, then says 504; with one process the revision never comes by itself. */
export function refuseFuture(asked: number | undefined, current: number): void {
  if (asked === undefined || asked <= current) return;
  const message = `Timeout: Too large resource version: ${asked}, current: ${current}`;
  throw new StatusError(504, 'Timeout', message, {
    causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
    retryAfterSeconds: 1,
  });
}

export function expiredRevision(asked: number, oldest: number): StatusError {
  return expired(`too old resource version: ${asked} (${oldest})`);
}

export const EXPIRED_CONTINUE =
  'The provided continue parameter is too old to display a consistent list result. You must start a new list without the continue parameter.';
