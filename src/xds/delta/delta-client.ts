/**
 * The client's half of delta xDS for one type: pure state, no I/O. It survives streams: a new one starts with
 * `open`, which says what is retained. Invariant: `#versions` names exactly the resources in force, each with the
 * version in force, so a refused resource is sent again after a reconnect.
 */
import { DeltaDiscoveryRequest, type DeltaDiscoveryResponse } from '#wire/protobuf/discovery.ts';
import { Status } from '#wire/protobuf/well-known.ts';
import { NACK_REASONS_MAX } from '../limits.ts';
import type { Decoded } from '../resources/resource-type.ts';

export interface DeltaUpdate<T> {
  readonly accepted: readonly { readonly name: string; readonly value: T }[];
  readonly removed: readonly string[];
  readonly rejected: readonly { readonly name: string; readonly reason: string }[];
  /** ACK or NACK, to be sent once the update is in force. */
  readonly reply: DeltaDiscoveryRequest;
}

export interface DeltaClientStatus {
  readonly synced: boolean;
  readonly resources: number;
  readonly nonce: string | undefined;
  readonly nack: string | undefined;
}

export class DeltaClient<T> {
  readonly typeUrl: string;
  readonly #decode: (bytes: Uint8Array) => Decoded<T>;
  readonly #versions = new Map<string, string>();
  #synced = false;
  #nonce: string | undefined;
  #nack: string | undefined;

  constructor(typeUrl: string, decode: (bytes: Uint8Array) => Decoded<T>) {
    this.typeUrl = typeUrl;
    this.#decode = decode;
  }

  /** First request of a stream: everything (empty subscription), with the versions that are retained. */
  open(): DeltaDiscoveryRequest {
    return DeltaDiscoveryRequest.create({
      type_url: this.typeUrl,
      initial_resource_versions: new Map(this.#versions),
    });
  }

  onResponse(response: DeltaDiscoveryResponse): DeltaUpdate<T> {
    const accepted: { name: string; value: T }[] = [];
    const rejected: { name: string; reason: string }[] = [];
    for (const { name, version, resource } of response.resources) {
      const decoded = this.#read(resource);
      if ('reason' in decoded) {
        rejected.push({ name, reason: decoded.reason });
      } else {
        accepted.push({ name, value: decoded.value });
        this.#versions.set(name, version);
      }
    }
    const removed = response.removed_resources.filter((name) => this.#versions.delete(name));
    this.#synced = true;
    this.#nonce = response.nonce;
    this.#nack = rejected.length === 0 ? undefined : nackMessage(rejected);
    const reply = DeltaDiscoveryRequest.create({
      type_url: this.typeUrl,
      response_nonce: response.nonce,
      error_detail: this.#nack === undefined ? undefined : Status.create({ message: this.#nack }),
    });
    return { accepted, removed, rejected, reply };
  }

  status(): DeltaClientStatus {
    return {
      synced: this.#synced,
      resources: this.#versions.size,
      nonce: this.#nonce,
      nack: this.#nack,
    };
  }

  #read(resource: { type_url: string; value: Uint8Array } | undefined): Decoded<T> {
    if (resource === undefined) return { reason: 'resource without content' };
    if (resource.type_url !== this.typeUrl) {
      return { reason: `type ${resource.type_url} in a response of ${this.typeUrl}` };
    }
    return this.#decode(resource.value);
  }
}

/** `name: reason; …`, as ztunnel words it (src/xds/client.rs). */
function nackMessage(rejected: readonly { name: string; reason: string }[]): string {
  const shown = rejected.slice(0, NACK_REASONS_MAX).map(({ name, reason }) => `${name}: ${reason}`);
  const more = rejected.length - shown.length;
  return more === 0 ? shown.join('; ') : `${shown.join('; ')}; and ${more} more`;
}

/** ACK for a type that was not asked for: unknown types are no reason to quarrel (as ztunnel does). */
export function acknowledge(response: DeltaDiscoveryResponse): DeltaDiscoveryRequest {
  return DeltaDiscoveryRequest.create({
    type_url: response.type_url,
    response_nonce: response.nonce,
  });
}
