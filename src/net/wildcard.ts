/** Where to listen for whoever comes, by either family of addresses. */
import { existsSync } from 'node:fs';

/** `::` takes IPv4 as well; without IPv6 in the kernel there is only IPv4. */
export function wildcardAddress(): string {
  return existsSync('/proc/net/if_inet6') ? '::' : '0.0.0.0';
}
