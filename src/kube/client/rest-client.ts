/**
 * `KubeClient` over an injected `fetch` (Bun's, for its `tls` option). Kubernetes Status answers become
 * MeshErrors with the codes of ../errors.ts; network failures are KUBE_UNAVAILABLE and safe to retry when the
 * request only reads. The bearer token is asked for on every request, so rotated token files take effect.
 */
import type { Disposer } from '#base/disposer.ts';
import { isMeshError, MeshError, messageOf } from '#base/errors.ts';
import type { KubeErrorCode } from '../errors.ts';
import { KUBE_ERRORS } from '../errors.ts';
import { LIST_PAGE_OBJECTS, LIST_PAGE_TIMEOUT_MS, WATCH_TIMEOUT_SECONDS } from '../limits.ts';
import type {
  KubeClient,
  KubeObject,
  ListOptions,
  PatchType,
  ResourceRef,
  Selection,
  WatchEvent,
  WatchOptions,
  WriteOptions,
} from './kube-client.ts';
import { readWatchStream } from './watch-stream.ts';

export interface TlsOptions {
  ca?: string;
  cert?: string;
  key?: string;
  serverName?: string;
  rejectUnauthorized?: boolean;
}

/** Where the API server is and how to prove who we are; made by kubeconfig.ts. */
export interface KubeConnection {
  /** `https://host:port`, no trailing slash. */
  server: string;
  tls?: TlsOptions;
  token?: () => string | undefined;
  /** Path of a unix socket to dial instead of the server's host. */
  unix?: string;
  /** The namespace that commands use when none is given. */
  namespace?: string;
}

export interface FetchInit {
  method?: string;
  headers?: Record<string, string>;
  body?: string;
  signal?: AbortSignal;
  tls?: TlsOptions;
  unix?: string;
  /** Bun: `false` lifts the idle limit, which a quiet watch would hit. */
  timeout?: boolean;
}

export type Fetch = (url: string, init: FetchInit) => Promise<Response>;

const PATCH_CONTENT_TYPE: Record<PatchType, string> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  apply: 'application/apply-patch+yaml',
};

interface StatusBody {
  reason?: string;
  message?: string;
  code?: number;
}

interface ListBody {
  items?: KubeObject[];
  metadata?: { resourceVersion?: string; continue?: string };
}

export class RestClient implements KubeClient {
  readonly #fetch: Fetch;
  readonly #connection: KubeConnection;

  constructor(deps: { fetch: Fetch }, connection: KubeConnection) {
    this.#fetch = deps.fetch;
    this.#connection = connection;
  }

  get<T extends KubeObject>(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
  ): Promise<T> {
    return this.#json<T>('GET', resourcePath(ref, key));
  }

  async list<T extends KubeObject>(
    ref: ResourceRef,
    selection: Selection = {},
    options: ListOptions<T> = {},
  ): Promise<{ items: T[]; resourceVersion: string }> {
    try {
      return await this.#pages(ref, selection, { ...options, page: LIST_PAGE_OBJECTS });
    } catch (error) {
      if (!isMeshError(error, 'KUBE_GONE')) throw error;
      // The server forgot the first page's snapshot before we had the last: all at once (as client-go's pager).
      return await this.#pages(ref, selection, { ...options, page: undefined });
    }
  }

  async #pages<T extends KubeObject>(
    ref: ResourceRef,
    selection: Selection,
    options: ListOptions<T> & { page: number | undefined },
  ): Promise<{ items: T[]; resourceVersion: string }> {
    const { keep, limit = options.page } = options;
    const path = resourcePath(ref, { namespace: selection.namespace });
    const items: T[] = [];
    let resourceVersion = '';
    let token: string | undefined;
    do {
      const query = queryString({ ...selectorQuery(selection), limit, continue: token });
      const signal = AbortSignal.timeout(LIST_PAGE_TIMEOUT_MS);
      const body = await this.#json<ListBody>('GET', path + query, { signal });
      for (const item of body.items ?? []) {
        const object = withKind<T>(item, ref);
        items.push(keep === undefined ? object : keep(object));
      }
      // The pages after the first belong to the first page's snapshot.
      resourceVersion ||= body.metadata?.resourceVersion ?? '';
      token = body.metadata?.continue || undefined;
    } while (token !== undefined && options.limit === undefined);
    return { items, resourceVersion };
  }

  create<T extends KubeObject>(ref: ResourceRef, object: T, options: WriteOptions = {}) {
    const { namespace, name } = object.metadata;
    const path = resourcePath(ref, {
      namespace,
      name: options.subresource === undefined ? undefined : name,
      subresource: options.subresource,
    });
    return this.#json<T>('POST', path + writeQuery(options), { body: object });
  }

  update<T extends KubeObject>(ref: ResourceRef, object: T, options: WriteOptions = {}) {
    const path = resourcePath(ref, { ...object.metadata, subresource: options.subresource });
    return this.#json<T>('PUT', path + writeQuery(options), { body: object });
  }

  patch<T extends KubeObject>(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
    patch: { type: PatchType; body: unknown },
    options: WriteOptions = {},
  ): Promise<T> {
    const path = resourcePath(ref, { ...key, subresource: options.subresource });
    const contentType = PATCH_CONTENT_TYPE[patch.type];
    return this.#json<T>('PATCH', path + writeQuery(options), { body: patch.body, contentType });
  }

  async delete(
    ref: ResourceRef,
    key: { namespace?: string; name: string },
    options: {
      propagation?: 'Background' | 'Foreground' | 'Orphan';
      gracePeriodSeconds?: number;
    } = {},
  ): Promise<void> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: options.propagation,
      gracePeriodSeconds: options.gracePeriodSeconds,
    };
    await this.#json('DELETE', resourcePath(ref, key), { body });
  }

  watch<T extends KubeObject>(
    ref: ResourceRef,
    options: WatchOptions,
    onEvent: (event: WatchEvent<T>) => void,
    onEnd: (error?: unknown) => void,
  ): Disposer {
    const abort = new AbortController();
    const query = queryString({
      ...selectorQuery(options),
      watch: 'true',
      resourceVersion: options.resourceVersion,
      allowWatchBookmarks: options.allowBookmarks === true ? 'true' : undefined,
      timeoutSeconds: WATCH_TIMEOUT_SECONDS,
    });
    const path = resourcePath(ref, { namespace: options.namespace }) + query;
    const run = async () => {
      const response = await this.open('GET', path, { signal: abort.signal, timeout: false });
      if (!abort.signal.aborted) options.onOpen?.();
      await readWatchStream<T>(response, (event) => {
        if (!abort.signal.aborted) onEvent(event);
      });
    };
    const end = (error?: unknown) => {
      if (abort.signal.aborted) return;
      // An assertion that failed in a handler is our bug: it must crash, not look like a lost watch.
      if (error !== undefined && !isMeshError(error)) throw error;
      onEnd(error);
    };
    void run().then(() => end(), end);
    return () => abort.abort();
  }

  request(method: string, path: string, body?: unknown): Promise<unknown> {
    return this.#json(method, path, { body });
  }

  async #json<T>(
    method: string,
    path: string,
    content: { body?: unknown; contentType?: string; signal?: AbortSignal } = {},
  ): Promise<T> {
    const { body, contentType, signal } = content;
    const response = await this.open(method, path, {
      signal,
      body: body === undefined ? undefined : JSON.stringify(body),
      headers: body === undefined ? {} : { 'content-type': contentType ?? 'application/json' },
    });
    try {
      const text = await response.text();
      // `logs` and a few subresources answer text; everything else is JSON.
      if (!(response.headers.get('content-type') ?? '').includes('json')) return text as T;
      return JSON.parse(text) as T;
    } catch (error) {
      throw unavailable(method, path, error);
    }
  }

  /** Sends a request of any shape (tables, followed logs); resolves with a 2xx response whose body was not read yet. */
  async open(method: string, path: string, init: FetchInit): Promise<Response> {
    const { server, tls, token, unix } = this.#connection;
    const headers: Record<string, string> = { accept: 'application/json', ...init.headers };
    const bearer = token?.();
    if (bearer !== undefined) headers.authorization = `Bearer ${bearer}`;
    let response: Response;
    try {
      response = await this.#fetch(server + path, { ...init, method, headers, tls, unix });
    } catch (error) {
      throw unavailable(method, path, error);
    }
    if (response.ok) return response;
    throw await statusError(method, path, response);
  }
}

/** `/api/v1/namespaces/shop/pods/web-1/status` and its kin. */
export function resourcePath(
  ref: ResourceRef,
  key: { namespace?: string; name?: string; subresource?: string } = {},
): string {
  let path = ref.group === '' ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  if (ref.namespaced && key.namespace !== undefined)
    path += `/namespaces/${encodeURIComponent(key.namespace)}`;
  path += `/${ref.resource}`;
  if (key.name !== undefined) path += `/${encodeURIComponent(key.name)}`;
  if (key.subresource !== undefined) path += `/${key.subresource}`;
  return path;
}

function selectorQuery(selection: Selection): Record<string, string | undefined> {
  return { labelSelector: selection.labelSelector, fieldSelector: selection.fieldSelector };
}

function writeQuery(options: WriteOptions): string {
  return queryString({
    fieldManager: options.fieldManager,
    force: options.force === true ? 'true' : undefined,
    dryRun: options.dryRun === true ? 'All' : undefined,
  });
}

function queryString(values: Record<string, string | number | undefined>): string {
  const pairs: string[] = [];
  for (const [name, value] of Object.entries(values))
    if (value !== undefined) pairs.push(`${name}=${encodeURIComponent(value)}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** Items of a list carry no kind on a real API server. */
function withKind<T extends KubeObject>(item: KubeObject, ref: ResourceRef): T {
  item.apiVersion ??= ref.group === '' ? ref.version : `${ref.group}/${ref.version}`;
  item.kind ??= ref.kind;
  return item as T;
}

function unavailable(method: string, path: string, cause: unknown): MeshError {
  const message = `${method} ${path}: ${messageOf(cause)}`;
  return new MeshError('KUBE_UNAVAILABLE', message, {
    side: 'upstream',
    hint: KUBE_ERRORS.KUBE_UNAVAILABLE,
    retry: method === 'GET' ? 'safe' : 'never',
    cause,
  });
}

async function statusError(method: string, path: string, response: Response): Promise<MeshError> {
  let status: StatusBody = {};
  let text = '';
  try {
    text = await response.text();
    status = JSON.parse(text) as StatusBody;
  } catch (error) {
    // A proxy in between answers without a Status; what it said is the best message there is.
    status = { message: text || messageOf(error) };
  }
  const code = errorCode(response.status, status.reason);
  const message = `${method} ${path}: ${response.status} ${status.message ?? response.statusText}`;
  return new MeshError(code, message, {
    side: 'upstream',
    hint: KUBE_ERRORS[code],
    retry: code === 'KUBE_UNAVAILABLE' && method === 'GET' ? 'safe' : 'never',
  });
}

/** Code of an HTTP status and a Status.reason (apimachinery pkg/api/errors). */
export function errorCode(status: number, reason?: string): KubeErrorCode {
  switch (status) {
    case 401:
      return 'KUBE_UNAUTHORIZED';
    case 403:
      return 'KUBE_FORBIDDEN';
    case 404:
      return 'KUBE_NOT_FOUND';
    case 409:
      return reason === 'AlreadyExists' ? 'KUBE_ALREADY_EXISTS' : 'KUBE_CONFLICT';
    case 410:
      return 'KUBE_GONE';
    case 408:
    case 429:
      return 'KUBE_UNAVAILABLE';
    default:
      return status >= 500 ? 'KUBE_UNAVAILABLE' : 'KUBE_INVALID';
  }
}
