/** One authenticated API request, taken apart, and the helpers that read its body. */

import { messageOf } from '#base/errors.ts';
import { isJsonObject, type JsonObject } from '#kube/meta/object.ts';
import type { Identity } from '../auth/identity.ts';
import type { ServedKind } from '../kinds/served-kind.ts';
import { BODY_BYTES_MAX } from '../limits.ts';
import type { ResourcePath } from './request-path.ts';
import { badRequest, tooLarge, unsupportedMediaType } from './status-error.ts';

export interface ResourceRequest {
  http: Request;
  method: string;
  kind: ServedKind;
  path: ResourcePath;
  query: URLSearchParams;
  identity: Identity;
}

/** Kubernetes' verb of a request: what authorization and discovery speak of. */
export function verbOf(method: string, path: ResourcePath, query: URLSearchParams): string {
  const named = path.name !== undefined;
  switch (method) {
    case 'GET':
    case 'HEAD':
      if (named) return 'get';
      return isTrue(query.get('watch')) ? 'watch' : 'list';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return named ? 'delete' : 'deletecollection';
    default:
      return '';
  }
}

export function isTrue(value: string | null): boolean {
  return value === 'true' || value === '1';
}

export function mediaTypeOf(http: Request): string {
  return (http.headers.get('content-type') ?? '').split(';')[0].trim().toLowerCase();
}

export async function readBody(http: Request): Promise<unknown> {
  const type = mediaTypeOf(http);
  if (type === 'application/vnd.kubernetes.protobuf') return readProtobuf(http);
  const text = await readText(http);
  if (type === 'application/yaml' || type === 'application/apply-patch+yaml')
    return parseYaml(text);
  if (type === '' || type === 'application/json' || type.endsWith('+json')) return parseJson(text);
  throw unsupportedMediaType([
    'application/json',
    'application/yaml',
    'application/vnd.kubernetes.protobuf',
  ]);
}

/** The body as an object; undefined when there is none. */
export async function readObject(http: Request): Promise<JsonObject | undefined> {
  const body = await readBody(http);
  if (body === undefined) return undefined;
  if (!isJsonObject(body)) throw badRequest('the body of the request is not an object');
  return body;
}

async function readText(http: Request): Promise<string> {
  if (Number(http.headers.get('content-length') ?? 0) > BODY_BYTES_MAX)
    throw tooLarge(BODY_BYTES_MAX);
  const text = await http.text();
  if (text.length > BODY_BYTES_MAX) throw tooLarge(BODY_BYTES_MAX);
  return text;
}

async function readProtobuf(http: Request): Promise<unknown> {
  const bytes = new Uint8Array(await http.arrayBuffer());
  if (bytes.length > BODY_BYTES_MAX) throw tooLarge(BODY_BYTES_MAX);
  if (bytes.length === 0) return undefined;
  const { decodeProtobufObject, ProtobufError } = await import('../protobuf/decode.ts');
  try {
    return decodeProtobufObject(bytes);
  } catch (error) {
    if (error instanceof ProtobufError) throw badRequest(error.message);
    throw error;
  }
}

function parseJson(text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw badRequest(
      `the object provided is unrecognized: couldn't parse JSON: ${messageOf(error)}`,
    );
  }
}

async function parseYaml(text: string): Promise<unknown> {
  // kubectl sends JSON under the YAML type more often than not.
  if (text.trimStart().startsWith('{')) return parseJson(text);
  const { parse } = await import('yaml');
  try {
    return parse(text) ?? undefined;
  } catch (error) {
    throw badRequest(`error decoding YAML: ${messageOf(error)}`);
  }
}
