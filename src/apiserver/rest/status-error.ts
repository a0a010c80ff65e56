/**
 * What a client gets when the answer is no: a `Status` object with Kubernetes' reason, code, details and words.
 * One function a reason; the router turns a thrown StatusError into the response.
 */
import { qualifiedResource, type ServedKind } from '../kinds/served-kind.ts';
import type { SchemaFinding } from '../schema-provider.ts';

export interface StatusCause {
  reason: string;
  message: string;
  field?: string;
}

export interface StatusDetails {
  name?: string;
  group?: string;
  kind?: string;
  uid?: string;
  causes?: StatusCause[];
  retryAfterSeconds?: number;
}

export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Success' | 'Failure';
  message?: string;
  reason?: string;
  details?: StatusDetails;
  code?: number;
}

export class StatusError extends Error {
  override readonly name = 'StatusError';
  readonly status: Status;
  readonly code: number;

  constructor(code: number, reason: string, message: string, details?: StatusDetails) {
    super(message);
    this.code = code;
    this.status = {
      kind: 'Status',
      apiVersion: 'v1',
      metadata: {},
      status: 'Failure',
      message,
      reason,
      details,
      code,
    };
  }
}

type Resource = Pick<ServedKind, 'group' | 'resource' | 'kind'>;

/** Details name the resource for lookups, the kind for validation: as Kubernetes does. */
function about({ group, resource }: Resource, name: string): StatusDetails {
  return { name, group: group === '' ? undefined : group, kind: resource };
}

export function notFound(kind: Resource, name: string): StatusError {
  const message = `${qualifiedResource(kind)} "${name}" not found`;
  return new StatusError(404, 'NotFound', message, about(kind, name));
}

export function pathNotFound(): StatusError {
  return new StatusError(404, 'NotFound', 'the server could not find the requested resource', {});
}

export function alreadyExists(kind: Resource, name: string): StatusError {
  const message = `${qualifiedResource(kind)} "${name}" already exists`;
  return new StatusError(409, 'AlreadyExists', message, about(kind, name));
}

const MODIFIED =
  'the object has been modified; please apply your changes to the latest version and try again';

export function conflict(kind: Resource, name: string, why = MODIFIED): StatusError {
  const message = `Operation cannot be fulfilled on ${qualifiedResource(kind)} "${name}": ${why}`;
  return new StatusError(409, 'Conflict', message, about(kind, name));
}

export function invalid(
  kind: Resource,
  name: string,
  findings: readonly SchemaFinding[],
): StatusError {
  const texts = findings.map(({ field, message }) =>
    field === '' ? message : `${field}: ${message}`,
  );
  const unique = [...new Set(texts)];
  const list = unique.length === 1 ? unique[0] : `[${unique.join(', ')}]`;
  const qualified = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  return new StatusError(422, 'Invalid', `${qualified} "${name}" is invalid: ${list}`, {
    name,
    group: kind.group === '' ? undefined : kind.group,
    kind: kind.kind,
    causes: findings.map(({ field, reason, message }) => ({ reason, message, field })),
  });
}

export function badRequest(message: string): StatusError {
  return new StatusError(400, 'BadRequest', message);
}

export function unauthorized(): StatusError {
  return new StatusError(401, 'Unauthorized', 'Unauthorized');
}

export function forbidden(
  kind: Resource,
  name: string,
  why: string,
  causes?: StatusCause[],
): StatusError {
  const message = `${qualifiedResource(kind)}${name === '' ? '' : ` "${name}"`} is forbidden: ${why}`;
  return new StatusError(403, 'Forbidden', message, { ...about(kind, name), causes });
}

export function methodNotAllowed(): StatusError {
  const message = 'the server does not allow this method on the requested resource';
  return new StatusError(405, 'MethodNotAllowed', message, {});
}

export function expired(message: string): StatusError {
  return new StatusError(410, 'Expired', message);
}

export function unsupportedMediaType(accepted: readonly string[]): StatusError {
  const message = `the body of the request was in an unknown format - accepted media types include: ${accepted.join(', ')}`;
  return new StatusError(415, 'UnsupportedMediaType', message);
}

export function tooLarge(bytesMax: number): StatusError {
  const message = `Request entity too large: limit is ${bytesMax}`;
  return new StatusError(413, 'RequestEntityTooLarge', message);
}

export function internalError(why: string): StatusError {
  return new StatusError(500, 'InternalError', `Internal error occurred: ${why}`, {
    causes: [{ reason: 'InternalError', message: why }],
  });
}

export function unavailable(why: string): StatusError {
  return new StatusError(503, 'ServiceUnavailable', why);
}

export function success(kind: Resource, object: { name: string; uid?: string }): Status {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    details: { ...about(kind, object.name), uid: object.uid },
  };
}
