/** Services whose virtual address is a whole range (a ServiceEntry's CIDR). Few, so a look-up walks them, longest prefix first. */
import { isVisibleTo, type Service } from '#model/service/service.ts';
import { parseAddress, prefixContains } from '#policy/l4/address.ts';

interface Range {
  readonly service: Service;
  readonly base: Uint8Array;
  readonly length: number;
}

export class RangeIndex {
  readonly #byNetwork = new Map<string, Range[]>();

  /** False when the address is a single one. */
  add(service: Service, address: { network: string; address: string; length?: number }): boolean {
    const base = parseAddress(address.address);
    const { length } = address;
    if (base === undefined || length === undefined || length >= base.length * 8) return false;
    const ranges = this.#byNetwork.get(address.network) ?? [];
    this.#byNetwork.set(address.network, ranges);
    const range = { service, base, length };
    const at = ranges.findIndex((other) => isBefore(range, other));
    ranges.splice(at === -1 ? ranges.length : at, 0, range);
    return true;
  }

  /** The client's own namespace first, then the longest prefix, then canonical (ztunnel src/state/service.rs). */
  find(network: string, address: string, clientNamespace: string): Service | undefined {
    const ranges = this.#byNetwork.get(network);
    const bytes = ranges && parseAddress(address);
    if (bytes === undefined) return undefined;
    let found: Service | undefined;
    for (const { service, base, length } of ranges ?? []) {
      if (!isVisibleTo(service, clientNamespace) || !prefixContains(base, length, bytes)) continue;
      if (service.namespace === clientNamespace) return service;
      found ??= service;
    }
    return found;
  }
}

function isBefore(left: Range, right: Range): boolean {
  if (left.length !== right.length) return left.length > right.length;
  return left.service.canonical && !right.service.canonical;
}
