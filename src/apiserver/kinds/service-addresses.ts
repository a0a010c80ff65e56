/**
 * Hands out cluster IPs from the service range and node ports. What is taken is read from the stored Services
 * at start and kept by their events, so that nothing leaks when a Service goes.
 */
import type { Disposer } from '#base/disposer.ts';
import { type ApiObject, isJsonObject } from '#kube/meta/object.ts';
import type { Storage } from '../storage/storage.ts';

/** `kubernetes` gets the first address; the next few are kept for fixed addresses, as Kubernetes' static band. */
const RESERVED = 10;
const NODE_PORT_FIRST = 30_000;
const NODE_PORT_LAST = 32_767;

export class AddressAllocator {
  readonly #first: number;
  readonly #size: number;
  /** Address → `namespace/name` of its Service. */
  readonly #owners = new Map<string, string>();
  readonly #ports = new Map<number, string>();
  readonly #unsubscribe: Disposer;
  #next = RESERVED;
  #nextPort = NODE_PORT_FIRST;

  constructor(storage: Storage, cidr: string) {
    const [base, bits] = cidr.split('/');
    this.#size = 2 ** (32 - Number(bits));
    this.#first = toNumber(base) - (toNumber(base) % this.#size);
    for (const service of storage.list({ table: '/services' }).items) this.#take(service);
    this.#unsubscribe = storage.subscribe((event) => {
      if (event.key.table !== '/services') return;
      if (event.previous !== undefined) this.#release(event.previous);
      if (event.type !== 'DELETED') this.#take(event.object);
    });
  }

  dispose(): void {
    this.#unsubscribe();
  }

  /** A free address; undefined when the range is used up. */
  allocate(): string | undefined {
    for (let tried = 0; tried < this.#size - RESERVED - 1; tried++) {
      const address = toText(this.#first + this.#next);
      this.#next = this.#next + 1 >= this.#size - 1 ? RESERVED : this.#next + 1;
      if (!this.#owners.has(address)) return address;
    }
    return undefined;
  }

  allocateNodePort(): number | undefined {
    for (let tried = 0; tried <= NODE_PORT_LAST - NODE_PORT_FIRST; tried++) {
      const port = this.#nextPort;
      this.#nextPort = port === NODE_PORT_LAST ? NODE_PORT_FIRST : port + 1;
      if (!this.#ports.has(port)) return port;
    }
    return undefined;
  }

  /** Why a Service may not have this address; undefined when it may. */
  refusal(address: string, service: string): string | undefined {
    if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) return 'must be a valid IP address';
    const offset = toNumber(address) - this.#first;
    if (offset <= 0 || offset >= this.#size)
      return 'failed to allocate IP: the provided network does not match the current range';
    const owner = this.#owners.get(address);
    return owner === undefined || owner === service
      ? undefined
      : `failed to allocate IP ${address}: provided IP is already allocated`;
  }

  #take(service: ApiObject): void {
    const name = `${service.metadata.namespace}/${service.metadata.name}`;
    for (const address of addressesOf(service)) this.#owners.set(address, name);
    for (const port of nodePortsOf(service)) this.#ports.set(port, name);
  }

  #release(service: ApiObject): void {
    for (const address of addressesOf(service)) this.#owners.delete(address);
    for (const port of nodePortsOf(service)) this.#ports.delete(port);
  }
}

function addressesOf(service: ApiObject): string[] {
  const address = isJsonObject(service.spec) ? service.spec.clusterIP : undefined;
  return typeof address === 'string' && address !== '' && address !== 'None' ? [address] : [];
}

function nodePortsOf(service: ApiObject): number[] {
  const ports = isJsonObject(service.spec) ? service.spec.ports : undefined;
  if (!Array.isArray(ports)) return [];
  return ports
    .map((port) => Number(isJsonObject(port) ? port.nodePort : 0))
    .filter((port) => port > 0);
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toText(value: number): string {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}
