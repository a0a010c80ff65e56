/** IP ranges for policy matching. */
import { parseAddress, prefixContains } from '#base/cidr.ts';
import type { AddressRange } from '#model/authorization/authorization.ts';

export { parseAddress, prefixContains };

/** True when `address` lies in the range. An unreadable range contains nothing. */
export function rangeContains(range: AddressRange, address: Uint8Array): boolean {
  const network = parseAddress(range.address);
  if (network === undefined || network.length !== address.length) return false;
  // A mapped IPv4 range is written with an IPv6 prefix length.
  const isMapped = network.length === 4 && range.address.includes(':');
  return prefixContains(network, isMapped ? range.length - 96 : range.length, address);
}
