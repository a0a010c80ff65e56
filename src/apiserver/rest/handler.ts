/**
 * The way of one HTTP request: who → may they → which resource → its handler. Every refusal becomes a Status here and
 * only here; whatever else is thrown is a 500 with a log line.
 */
import type { Server } from 'bun';
import type { Clock } from '#base/clock.ts';
import { messageOf } from '#base/errors.ts';
import type { Logger } from '#base/log.ts';
import type { Authenticator } from '../auth/authenticator.ts';
import { type Attributes, authorize, type Identity } from '../auth/identity.ts';
import type { ServiceAccountTokens } from '../auth/service-account-tokens.ts';
import { ISSUER } from '../auth/service-account-tokens.ts';
import type { KindRegistry } from '../kinds/registry.ts';
import { hasSubresource } from '../kinds/served-kind.ts';
import {
  EXEC_PROTOCOLS,
  type ExecSession,
  openExec,
  PORT_FORWARD_PROTOCOLS,
  pickProtocol,
} from '../proxy/exec-proxy.ts';
import { type KubeletOptions, kubeletTarget, streamLogs } from '../proxy/kubelet.ts';
import { discover } from './discovery.ts';
import { openApiResponse } from './openapi-response.ts';
import { type ResourceRequest, verbOf } from './request.ts';
import { parseResourcePath, type ResourcePath } from './request-path.ts';
import { handleResource, jsonResponse, type ResourceDeps } from './resource-handler.ts';
import { handleReview } from './reviews.ts';
import { handleScale } from './scale.ts';
import * as status from './status-error.ts';
import { handleBinding, handleEviction, handleToken } from './subresources.ts';

export interface HandlerDeps extends ResourceDeps {
  registry: KindRegistry;
  authenticator: Authenticator;
  tokens: ServiceAccountTokens;
  kubelet: KubeletOptions;
  clock: Clock;
  log: Logger;
}

export const VERSION = {
  major: '1',
  minor: '32',
  gitVersion: 'v1.32.0+tulle',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: 'bun',
  platform: 'linux/amd64',
};

type ExecServer = Server<ExecSession>;

/** Undefined: the connection became a WebSocket. */
export async function handleRequest(
  http: Request,
  server: ExecServer,
  deps: HandlerDeps,
): Promise<Response | undefined> {
  try {
    return await answer(http, server, deps);
  } catch (error) {
    if (error instanceof status.StatusError) return jsonResponse(error.code, error.status);
    deps.log.error('request failed', {
      method: http.method,
      path: new URL(http.url).pathname,
      reason: error instanceof Error ? error.stack : String(error),
    });
    const failure = status.internalError(messageOf(error));
    return jsonResponse(failure.code, failure.status);
  }
}

async function answer(
  http: Request,
  server: ExecServer,
  deps: HandlerDeps,
): Promise<Response | undefined> {
  const url = new URL(http.url);
  const identity = await deps.authenticator.identify(http.headers);
  if (identity === undefined) throw status.unauthorized();
  const path = parseResourcePath(url.pathname);
  const query = url.searchParams;
  if (path === undefined) return answerPath(http, { pathname: url.pathname, identity }, deps);
  permitResource(identity, path, verbOf(http.method, path, query));
  const kind = deps.registry.find(path);
  if (kind === undefined) throw status.pathNotFound();
  const isNamed = path.name !== undefined;
  // A cluster-scoped kind has no namespace in its path; a namespaced object has no path without one.
  if (kind.namespaced ? isNamed && path.namespace === undefined : path.namespace !== undefined)
    throw status.pathNotFound();
  const request: ResourceRequest = { http, method: http.method, kind, path, query, identity };
  if (kind.virtual) return handleReview(request, deps);
  if (path.subresource === undefined) return handleResource(request, deps);
  if (!hasSubresource(kind, path.subresource)) throw status.pathNotFound();
  return answerSubresource(request, server, deps);
}

async function answerSubresource(
  request: ResourceRequest,
  server: ExecServer,
  deps: HandlerDeps,
): Promise<Response | undefined> {
  const { http, path } = request;
  switch (path.subresource) {
    case 'status':
    case 'finalize':
      return handleResource(request, deps, path.subresource);
    case 'scale':
      return handleScale(request, deps.store);
    case 'token':
      return handleToken(request, deps.store, deps.tokens);
    case 'binding':
      return handleBinding(request, deps.store);
    case 'eviction':
      return handleEviction(request, deps.store);
    case 'log': {
      const options = { options: deps.kubelet, action: 'containerLogs' } as const;
      return streamLogs(kubeletTarget(deps.store, request, options), http.signal);
    }
    case 'exec':
      return joinAgent(request, server, { deps, action: 'exec', protocols: EXEC_PROTOCOLS });
    case 'portforward':
      return joinAgent(request, server, {
        deps,
        action: 'portForward',
        protocols: PORT_FORWARD_PROTOCOLS,
      });
    default:
      throw status.pathNotFound();
  }
}

/** A WebSocket of the client, joined to one at the pod's node agent. */
async function joinAgent(
  request: ResourceRequest,
  server: ExecServer,
  wanted: { deps: HandlerDeps; action: 'exec' | 'portForward'; protocols: readonly string[] },
): Promise<Response | undefined> {
  const { http, path } = request;
  const { deps, action, protocols } = wanted;
  const protocol = pickProtocol(http.headers.get('sec-websocket-protocol'), protocols);
  if (http.headers.get('upgrade')?.toLowerCase() !== 'websocket' || protocol === undefined)
    throw status.badRequest(
      `${path.subresource} needs a WebSocket with protocol ${protocols.join(' or ')}`,
    );
  const target = kubeletTarget(deps.store, request, { options: deps.kubelet, action });
  const session = await openExec(target, protocol, deps.clock);
  const headers = { 'Sec-WebSocket-Protocol': protocol };
  if (server.upgrade(http, { data: session, headers })) return undefined;
  session.agent.close();
  throw status.badRequest('unable to upgrade the connection');
}

function permitResource(identity: Identity, path: ResourcePath, verb: string): void {
  const { group, resource, subresource, namespace, name } = path;
  const attributes: Attributes = { verb, group, resource, subresource, namespace, name };
  if (authorize(identity, attributes).allowed) return;
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  const where =
    namespace === undefined ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const why = `User "${identity.username}" cannot ${verb} resource "${full}" in API group "${group}" ${where}`;
  throw status.forbidden({ group, resource, kind: '' }, name ?? '', why);
}

function answerPath(
  http: Request,
  { pathname, identity }: { pathname: string; identity: Identity },
  deps: HandlerDeps,
): Response {
  const { username } = identity;
  const verb = http.method === 'HEAD' ? 'get' : http.method.toLowerCase();
  if (!authorize(identity, { verb, path: pathname }).allowed)
    throw new status.StatusError(
      403,
      'Forbidden',
      `forbidden: User "${username}" cannot ${verb} path "${pathname}"`,
      {},
    );
  if (verb !== 'get') throw status.methodNotAllowed();
  if (/^\/(readyz|livez|healthz)(\/ping)?$/.test(pathname)) return new Response('ok');
  if (pathname === '/version' || pathname === '/version/') return jsonResponse(200, VERSION);
  if (pathname === '/openid/v1/jwks') return jsonResponse(200, deps.tokens.jwks);
  if (pathname === '/.well-known/openid-configuration')
    return jsonResponse(200, {
      issuer: ISSUER,
      jwks_uri: `${ISSUER}/openid/v1/jwks`,
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['ES256'],
    });
  if (pathname.startsWith('/openapi/')) return openApiResponse(http, pathname, deps);
  const found = discover(deps.registry, pathname, http.headers.get('accept'));
  if (found === undefined) throw status.pathNotFound();
  return new Response(JSON.stringify(found.body), {
    headers: { 'content-type': found.contentType, vary: 'Accept' },
  });
}
