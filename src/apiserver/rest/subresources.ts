/** Subresources with a body of their own: token (TokenRequest), binding, eviction. */
import { rfc3339 } from '#base/clock.ts';
import { type ApiObject, isJsonObject, type JsonObject, readPath } from '#kube/meta/object.ts';
import {
  DEFAULT_AUDIENCE,
  type ServiceAccountTokens,
  type TokenSubject,
} from '../auth/service-account-tokens.ts';
import { TOKEN_SECONDS_DEFAULT, TOKEN_SECONDS_MAX, TOKEN_SECONDS_MIN } from '../limits.ts';
import type { SchemaFinding } from '../schema-provider.ts';
import { deleteObject } from './deletion.ts';
import type { ObjectStore } from './object-store.ts';
import { type ResourceRequest, readObject } from './request.ts';
import { jsonResponse } from './resource-handler.ts';
import * as status from './status-error.ts';
import { deleteContext, writeContext } from './write-options.ts';

const TOKEN_REQUEST = {
  group: 'authentication.k8s.io',
  resource: 'tokenrequests',
  kind: 'TokenRequest',
};

export async function handleToken(
  request: ResourceRequest,
  store: ObjectStore,
  tokens: ServiceAccountTokens,
): Promise<Response> {
  const { kind, path, http } = request;
  if (http.method !== 'POST') throw status.methodNotAllowed();
  const account = store.get(kind, { namespace: path.namespace, name: path.name ?? '' });
  const body = (await readObject(http)) ?? {};
  const spec = isJsonObject(body.spec) ? body.spec : {};
  const seconds = spec.expirationSeconds ?? TOKEN_SECONDS_DEFAULT;
  const findings = refuseSeconds(seconds);
  if (findings.length > 0) throw status.invalid(TOKEN_REQUEST, '', findings);
  const audiences =
    Array.isArray(spec.audiences) && spec.audiences.length > 0
      ? spec.audiences.map(String)
      : [DEFAULT_AUDIENCE];
  const subject: TokenSubject = {
    namespace: account.metadata.namespace ?? '',
    name: account.metadata.name,
    uid: account.metadata.uid ?? '',
    pod: boundPod(store, account, spec.boundObjectRef),
  };
  const { token, expires } = await tokens.issue(subject, { audiences, seconds: Number(seconds) });
  const expirationTimestamp = rfc3339({ ...store.deps.clock, wallTime: () => expires * 1000 }, 's');
  return jsonResponse(201, {
    kind: 'TokenRequest',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {
      name: subject.name,
      namespace: subject.namespace,
      creationTimestamp: rfc3339(store.deps.clock, 's'),
    },
    spec: { ...spec, audiences, expirationSeconds: seconds },
    status: { token, expirationTimestamp },
  });
}

function refuseSeconds(seconds: unknown): SchemaFinding[] {
  const field = 'spec.expirationSeconds';
  const bad = (why: string): SchemaFinding[] => [
    {
      field,
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(seconds)}: ${why}`,
    },
  ];
  if (typeof seconds !== 'number') return bad('must be an integer');
  if (seconds < TOKEN_SECONDS_MIN) return bad('may not specify a duration less than 10 minutes');
  if (seconds > TOKEN_SECONDS_MAX)
    return bad('may not specify a duration larger than 2^32 seconds');
  return [];
}

function boundPod(store: ObjectStore, account: ApiObject, ref: unknown): TokenSubject['pod'] {
  if (!isJsonObject(ref)) return undefined;
  const resource = { group: '', resource: 'pods', kind: 'Pod' };
  const name = String(ref.name);
  if (ref.kind !== 'Pod')
    throw status.badRequest(`cannot bind token for serviceaccount to object of type ${ref.kind}`);
  const pod = store.deps.storage.get({
    table: '/pods',
    namespace: account.metadata.namespace ?? '',
    name,
  });
  if (pod === undefined) throw status.notFound(resource, name);
  const uid = pod.metadata.uid ?? '';
  if (ref.uid !== undefined && ref.uid !== '' && ref.uid !== uid)
    throw status.conflict(
      resource,
      name,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (readPath(pod, ['spec', 'serviceAccountName']) !== account.metadata.name)
    throw status.badRequest(
      `cannot bind token for serviceaccount "${account.metadata.name}" to pod running with different serviceaccount name.`,
    );
  const nodeName = readPath(pod, ['spec', 'nodeName']);
  return { name, uid, nodeName: typeof nodeName === 'string' ? nodeName : undefined };
}

/** What a scheduler does: gives the pod its node, once. */
export async function handleBinding(
  request: ResourceRequest,
  store: ObjectStore,
): Promise<Response> {
  const { kind, path, http, query } = request;
  if (http.method !== 'POST') throw status.methodNotAllowed();
  const name = path.name ?? '';
  const binding = (await readObject(http)) ?? {};
  const node = readPath(binding, ['target', 'name']);
  if (typeof node !== 'string' || node === '')
    throw status.invalid({ group: '', resource: 'bindings', kind: 'Binding' }, name, [
      { field: 'target.name', reason: 'FieldValueRequired', message: 'Required value' },
    ]);
  store.update({
    kind,
    key: { namespace: path.namespace, name },
    subresource: '',
    context: writeContext(query, http.headers.get('user-agent')),
    change: (pod) => bind(kind, pod, { node, time: rfc3339(store.deps.clock, 's') }),
  });
  return jsonResponse(201, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    code: 201,
  });
}

function bind(
  kind: ResourceRequest['kind'],
  pod: ApiObject,
  { node, time }: { node: string; time: string },
): ApiObject {
  const { name, deletionTimestamp } = pod.metadata;
  const spec = pod.spec as JsonObject;
  if (deletionTimestamp !== undefined)
    throw status.conflict(kind, name, `pod ${name} is being deleted, cannot be assigned to a host`);
  if (typeof spec.nodeName === 'string' && spec.nodeName !== '')
    throw status.conflict(kind, name, `pod ${name} is already assigned to node "${spec.nodeName}"`);
  const conditions = readPath(pod, ['status', 'conditions']);
  const scheduled = { type: 'PodScheduled', status: 'True', lastTransitionTime: time };
  const others = (Array.isArray(conditions) ? conditions : []).filter(
    (condition) => isJsonObject(condition) && condition.type !== 'PodScheduled',
  );
  return {
    ...pod,
    spec: { ...spec, nodeName: node },
    status: { ...(pod.status as JsonObject), conditions: [...others, scheduled] },
  };
}

export async function handleEviction(
  request: ResourceRequest,
  store: ObjectStore,
): Promise<Response> {
  const { kind, path, http, query } = request;
  if (http.method !== 'POST') throw status.methodNotAllowed();
  const body = await readObject(http);
  const options = isJsonObject(body?.deleteOptions) ? body.deleteOptions : undefined;
  const key = { namespace: path.namespace, name: path.name ?? '' };
  deleteObject(store, kind, { key, context: deleteContext(query, options) });
  return jsonResponse(201, {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Success',
    code: 201,
  });
}
