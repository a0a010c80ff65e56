/** Kinds that answer and store nothing: TokenReview, SelfSubjectReview, SubjectAccessReview and its Self form. */

import type { Clock } from '#base/clock.ts';
import { rfc3339 } from '#base/clock.ts';
import { isJsonObject, type JsonObject } from '#kube/meta/object.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { type Attributes, authorize, type Identity } from '../auth/identity.ts';
import { DEFAULT_AUDIENCE } from '../auth/service-account-tokens.ts';
import { apiVersionOf } from '../kinds/served-kind.ts';
import { type ResourceRequest, readObject } from './request.ts';
import { jsonResponse } from './resource-handler.ts';
import * as status from './status-error.ts';

export async function handleReview(
  request: ResourceRequest,
  deps: { authenticator: Authenticator; clock: Clock },
): Promise<Response> {
  const { kind, method, http, identity } = request;
  if (method !== 'POST') throw status.methodNotAllowed();
  const body = (await readObject(http)) ?? {};
  const spec = isJsonObject(body.spec) ? body.spec : {};
  return jsonResponse(201, {
    kind: kind.kind,
    apiVersion: apiVersionOf(kind),
    metadata: { creationTimestamp: rfc3339(deps.clock, 's') },
    spec: body.spec,
    status: await statusOf(kind.kind, { spec, identity, authenticator: deps.authenticator }),
  });
}

async function statusOf(
  kind: string,
  {
    spec,
    identity,
    authenticator,
  }: { spec: JsonObject; identity: Identity; authenticator: Authenticator },
): Promise<JsonObject> {
  switch (kind) {
    case 'TokenReview':
      return reviewToken(authenticator, spec);
    case 'SelfSubjectReview':
      return { userInfo: userInfo(identity) };
    case 'SubjectAccessReview':
      return { ...authorize(subjectOf(spec), attributesOf(spec)) };
    default:
      return { ...authorize(identity, attributesOf(spec)) };
  }
}

async function reviewToken(authenticator: Authenticator, spec: JsonObject): Promise<JsonObject> {
  const audiences =
    Array.isArray(spec.audiences) && spec.audiences.length > 0
      ? spec.audiences.map(String)
      : [DEFAULT_AUDIENCE];
  const found = await authenticator.review(String(spec.token ?? ''), audiences);
  if (found === undefined)
    return { user: {}, error: '[invalid bearer token, token lookup failed]' };
  return { authenticated: true, user: userInfo(found.identity), audiences: found.audiences };
}

function userInfo({ username, uid, groups, extra }: Identity): JsonObject {
  return { username, uid, groups, extra };
}

function subjectOf(spec: JsonObject): Identity {
  const groups = Array.isArray(spec.groups) ? spec.groups.map(String) : [];
  const username = String(spec.user ?? '');
  const account = /^system:serviceaccount:([^:]+):/.exec(username);
  // A service account's groups follow from its name.
  if (account !== null)
    groups.push(
      'system:serviceaccounts',
      `system:serviceaccounts:${account[1]}`,
      'system:authenticated',
    );
  return { username, groups };
}

function attributesOf(spec: JsonObject): Attributes {
  const resource = spec.resourceAttributes;
  if (isJsonObject(resource)) {
    const text = (key: string) => (resource[key] === undefined ? undefined : String(resource[key]));
    return {
      verb: text('verb') ?? '',
      group: text('group'),
      resource: text('resource'),
      subresource: text('subresource'),
      namespace: text('namespace'),
      name: text('name'),
    };
  }
  const path = isJsonObject(spec.nonResourceAttributes) ? spec.nonResourceAttributes : {};
  return { verb: String(path.verb ?? ''), path: String(path.path ?? '') };
}
