/**
 * Virtual addresses for hosts of ServiceEntries that have none, one of each family (Istio: 240.240.0.0/16 and
 * 2001:2::/48, which nobody routes). Where the search begins follows from the host, so that an entry that is made anew
 * mostly gets its old addresses back; what is in a status stays. Pure.
 */
import { formatIp, parseIp } from '#base/ip.ts';

export interface AllocatedAddress {
  readonly value: string;
  readonly host: string;
}

/** Of the low 16 bits, 0 and the last stand for the range itself and everybody. */
const FIRST = 1;
const LAST = 0xfffe;
const COUNT = LAST - FIRST + 1;

export interface AllocationRequest {
  /** `namespace/name`. */
  readonly owner: string;
  readonly hosts: readonly string[];
  readonly present: readonly { readonly value?: string; readonly host?: string }[];
  /** Whether another entry has the address; for one that is present, whether an older one has. */
  readonly isTaken: (address: string, present: boolean) => boolean;
}

/** Both families for each host, those present first; a host for which no address is left has none. */
export function allocateAddresses(request: AllocationRequest): AllocatedAddress[] {
  const { owner, hosts, present, isTaken } = request;
  const used = new Set<string>();
  const kept = new Map<string, string>();
  for (const { value = '', host = '' } of present) {
    const family = familyOf(value);
    if (family === undefined || isTaken(value, true) || used.has(value)) continue;
    if (!hosts.includes(host) || kept.has(`${family} ${host}`)) continue;
    used.add(value);
    kept.set(`${family} ${host}`, value);
  }
  const find = (family: Family, host: string): string | undefined => {
    const start = Number(BigInt(Bun.hash(`${owner}/${host}`)) % BigInt(COUNT));
    for (let step = 0; step < COUNT; step++) {
      const address = addressIn(family, FIRST + ((start + step) % COUNT));
      if (!used.has(address) && !isTaken(address, false)) return address;
    }
    return undefined;
  };
  return hosts.flatMap((host) =>
    FAMILIES.flatMap((family): AllocatedAddress[] => {
      const value = kept.get(`${family} ${host}`) ?? find(family, host);
      if (value === undefined) return [];
      used.add(value);
      return [{ value, host }];
    }),
  );
}

type Family = 'ipv4' | 'ipv6';
const FAMILIES: readonly Family[] = ['ipv4', 'ipv6'];

const PREFIX: Readonly<Record<Family, readonly number[]>> = {
  ipv4: [240, 240],
  ipv6: [0x20, 0x01, 0x00, 0x02],
};

function addressIn(family: Family, index: number): string {
  const bytes = new Uint8Array(family === 'ipv4' ? 4 : 16);
  bytes.set(PREFIX[family]);
  bytes[bytes.length - 2] = index >> 8;
  bytes[bytes.length - 1] = index & 0xff;
  return formatIp(bytes) ?? '';
}

/** Undefined for addresses that are not of the ranges. */
function familyOf(address: string): Family | undefined {
  const bytes = parseIp(address);
  if (bytes === undefined) return undefined;
  const family = bytes.length === 4 ? 'ipv4' : 'ipv6';
  return PREFIX[family].every((byte, at) => bytes[at] === byte) ? family : undefined;
}
