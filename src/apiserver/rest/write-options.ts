/** The query parameters and DeleteOptions that shape a write. */
import { isJsonObject, type JsonObject } from '#kube/meta/object.ts';
import { badRequest } from './status-error.ts';

export interface WriteContext {
  dryRun: boolean;
  fieldManager: string;
  /** For server-side apply the manager must have been named. */
  managerGiven: boolean;
  fieldValidation: 'Ignore' | 'Warn' | 'Strict';
  force: boolean;
  /** Collected on the way; each becomes a Warning header. */
  warnings: string[];
}

export interface DeleteContext {
  dryRun: boolean;
  gracePeriodSeconds?: number;
  propagation?: 'Background' | 'Foreground' | 'Orphan';
  uid?: string;
  resourceVersion?: string;
}

const MANAGER_LENGTH_MAX = 128;

export function writeContext(query: URLSearchParams, userAgent: string | null): WriteContext {
  const given = query.get('fieldManager');
  if (given !== null && given.length > MANAGER_LENGTH_MAX)
    throw badRequest(`fieldManager: Too long: may not be more than ${MANAGER_LENGTH_MAX} bytes`);
  const validation = query.get('fieldValidation') ?? 'Warn';
  if (validation !== 'Ignore' && validation !== 'Warn' && validation !== 'Strict')
    throw badRequest(
      `fieldValidation: Unsupported value: "${validation}": supported values: "Ignore", "Strict", "Warn"`,
    );
  return {
    dryRun: parseDryRun(query.getAll('dryRun')),
    // Kubernetes' default manager: the program's name out of its user agent.
    fieldManager: given ?? (userAgent ?? 'unknown').split('/')[0].slice(0, MANAGER_LENGTH_MAX),
    managerGiven: given !== null && given !== '',
    fieldValidation: validation,
    force: query.get('force') === 'true',
    warnings: [],
  };
}

export function deleteContext(query: URLSearchParams, body: JsonObject | undefined): DeleteContext {
  const preconditions = isJsonObject(body?.preconditions) ? body.preconditions : {};
  const grace = body?.gracePeriodSeconds ?? query.get('gracePeriodSeconds') ?? undefined;
  const propagation = body?.propagationPolicy ?? query.get('propagationPolicy') ?? undefined;
  const orphan = body?.orphanDependents ?? query.get('orphanDependents') ?? undefined;
  const seconds = grace === undefined || grace === null ? undefined : Number(grace);
  if (seconds !== undefined && !Number.isInteger(seconds))
    throw badRequest(`gracePeriodSeconds: Invalid value: ${JSON.stringify(grace)}`);
  return {
    dryRun: parseDryRun([
      ...query.getAll('dryRun'),
      ...((body?.dryRun as string[] | undefined) ?? []),
    ]),
    gracePeriodSeconds: seconds,
    propagation: parsePropagation(propagation, orphan),
    uid: preconditions.uid as string | undefined,
    resourceVersion: preconditions.resourceVersion as string | undefined,
  };
}

function parsePropagation(policy: unknown, orphan: unknown): DeleteContext['propagation'] {
  if (policy === undefined || policy === null)
    return String(orphan) === 'true' ? 'Orphan' : undefined;
  if (policy === 'Background' || policy === 'Foreground' || policy === 'Orphan') return policy;
  throw badRequest(
    `propagationPolicy: Unsupported value: ${JSON.stringify(policy)}: supported values: "Background", "Foreground", "Orphan"`,
  );
}

function parseDryRun(values: string[]): boolean {
  for (const value of values)
    if (value !== 'All')
      throw badRequest(`dryRun: Unsupported value: "${value}": supported values: "All"`);
  return values.length > 0;
}
