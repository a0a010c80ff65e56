/**
 * Which requests a page of ours can have made. A page of another site that was pointed at our address (DNS rebinding) still sends its own
 * name in Host; one that asks across sites says so in Origin and Sec-Fetch-Site. Pure.
 */
import { isIP } from 'node:net';

export interface OriginFacts {
  readonly host: string | null;
  readonly origin: string | null;
  readonly fetchSite: string | null;
}

/** Undefined: fine; else why not. */
export function originProblem(facts: OriginFacts, names: readonly string[]): string | undefined {
  const host = hostName(facts.host);
  if (host === undefined) return 'the request says no host';
  if (!isOwnName(host, names)) return `this is not served under the name ${host.slice(0, 100)}`;
  if (facts.fetchSite === 'cross-site' || facts.fetchSite === 'same-site')
    return 'a page of another site asks';
  if (facts.origin === null) return undefined;
  return originHost(facts.origin) === facts.host?.toLowerCase()
    ? undefined
    : 'a page of another origin asks';
}

/** An address cannot be pointed elsewhere; nor can localhost (RFC 6761 §6.3). */
function isOwnName(host: string, names: readonly string[]): boolean {
  const bare = host.replace(/^\[|\]$/g, '');
  if (isIP(bare) !== 0) return true;
  return host === 'localhost' || host.endsWith('.localhost') || names.includes(host);
}

function hostName(header: string | null): string | undefined {
  const [, name] = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(header ?? '') ?? [];
  return name?.toLowerCase();
}

/** `null` is the origin of sandboxed pages and of files. */
function originHost(origin: string): string | undefined {
  return /^https?:\/\/([^/]+)$/i.exec(origin)?.[1]?.toLowerCase();
}
