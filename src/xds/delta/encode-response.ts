/**
 * Encodes a delta response from resources that were encoded before: the same one goes to many proxies, and a first response
 * holds all there are. The bytes are those of `DeltaDiscoveryResponse.encode`, fields in another order.
 */
import { DeltaDiscoveryResponse, Resource } from '#wire/protobuf/discovery.ts';

/** Field 2 of the response, length-delimited. */
const RESOURCES_TAG = 0x12;
const VARINT_BITS = 7;

/** A resource, with its bytes as they stand in a response where those were made before. */
interface MaybeEncoded extends Resource {
  readonly wire?: Uint8Array;
}

/**
 * The resource as it stands in a response: tag, length, content. Made once, shared by all who are sent it. What it holds is in these bytes alone,
 * of which there are tens of megabytes in a large mesh.
 */
export function encodedResource(resource: Resource): Resource {
  const { name, version } = resource;
  const encoded: MaybeEncoded = {
    name,
    version,
    aliases: NONE,
    resource: undefined,
    wire: asField(Resource.encode(resource)),
  };
  return encoded;
}

const NONE: string[] = [];

export function encodeResponse(response: DeltaDiscoveryResponse): Uint8Array {
  const head = DeltaDiscoveryResponse.encode({ ...response, resources: [] });
  const parts: Uint8Array[] = [];
  let length = head.length;
  for (const resource of response.resources as readonly MaybeEncoded[]) {
    const part = resource.wire ?? asField(Resource.encode(resource));
    parts.push(part);
    length += part.length;
  }
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  bytes.set(head, at);
  return bytes;
}

function asField(content: Uint8Array): Uint8Array {
  let prefixBytes = 2;
  for (let rest = content.length >>> VARINT_BITS; rest > 0; rest >>>= VARINT_BITS) prefixBytes += 1;
  const field = new Uint8Array(prefixBytes + content.length);
  field[0] = RESOURCES_TAG;
  let rest = content.length;
  for (let at = 1; at < prefixBytes; at++) {
    field[at] = (rest & 0x7f) | (at < prefixBytes - 1 ? 0x80 : 0);
    rest >>>= VARINT_BITS;
  }
  field.set(content, prefixBytes);
  return field;
}
