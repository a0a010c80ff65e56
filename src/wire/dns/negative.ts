/** What says how long it may be kept that a name, or records of one type at it, are not there (RFC 2308 §3, §5). */
import { CLASS_IN, TYPE } from './codes.ts';
import type { ResourceRecord } from './message.ts';

/** A zone of ours has no secondaries, which alone read the serial and the times before the last; these are CoreDNS' (plugin/backend_lookup.go). */
const SERIAL = 1;
const REFRESH_SECONDS = 7200;
const RETRY_SECONDS = 1800;
const EXPIRE_SECONDS = 86400;

/** The SOA record of `zone`, which is the asked name or above it: of any other a resolver would not believe it. */
export function negativeAuthority(zone: string, ttlSeconds: number): ResourceRecord {
  return {
    name: zone,
    type: TYPE.SOA,
    class: CLASS_IN,
    // RFC 2308 §3: the lower of this and the last of the numbers counts.
    ttlSeconds,
    value: {
      kind: 'authority',
      primary: zone,
      // RFC 6761 §6.4: a name that is nobody's; one under a long zone could be too long for a name.
      mailbox: 'nobody.invalid',
      numbers: [SERIAL, REFRESH_SECONDS, RETRY_SECONDS, EXPIRE_SECONDS, ttlSeconds],
    },
  };
}
