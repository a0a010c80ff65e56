/**
 * The pattern forms of Istio's AuthorizationPolicy, compiled once (pilot/pkg/security/authz: matcher, trustdomain, builder). Texts are matched
 * whole; a missing value never matches.
 */
import { RE2JS } from 're2js';
import { type Cidr, parseAddress, parseCidr, prefixContains } from '#base/cidr.ts';
import { parseIdentity } from '#model/identity/spiffe.ts';

/** Whether a value fits one of the patterns. */
export type Fits = (value: string) => boolean;

/** Exact, `x*` prefix, `*x` suffix, `*` anything but the empty text. */
export function textPattern(pattern: string): Fits {
  if (pattern === '*') return (value) => value !== '';
  if (pattern.startsWith('*')) {
    const suffix = pattern.slice(1);
    return (value) => value.endsWith(suffix);
  }
  if (pattern.endsWith('*')) {
    const prefix = pattern.slice(0, -1);
    return (value) => value.startsWith(prefix);
  }
  return (value) => value === pattern;
}

/** Host names are the same in any case; with the port when the client sends one. */
export function hostPattern(pattern: string): Fits {
  const fits = textPattern(pattern.toLowerCase());
  return (value) => fits(value.toLowerCase());
}

/** A template when it holds `{*}` (one segment) or `{**}` (any number of them), else a text. */
export function pathPattern(pattern: string): Fits {
  if (!pattern.includes('{*}') && !pattern.includes('{**}')) return textPattern(pattern);
  const source = pattern
    .split(/(\{\*\*?\})/)
    .map((piece) => {
      if (piece === '{*}') return '[^/]+';
      return piece === '{**}' ? '.*' : RE2JS.quote(piece);
    })
    .join('');
  return whole(source);
}

const SCHEME = 'spiffe://';

/** A principal of the mesh's own trust domain may be written with any of its names. */
export function principalPattern(pattern: string, trustDomains: readonly string[]): Fits {
  const text = pattern.startsWith(SCHEME) ? pattern.slice(SCHEME.length) : pattern;
  const slash = text.indexOf('/');
  const domain = slash === -1 ? '' : text.slice(0, slash);
  const isOurs = domain === 'cluster.local' || trustDomains.includes(domain);
  const texts = isOurs ? trustDomains.map((each) => each + text.slice(slash)) : [];
  const fits = [...new Set([text, ...texts])].map(textPattern);
  return (value) => {
    const principal = value.startsWith(SCHEME) ? value.slice(SCHEME.length) : value;
    return fits.some((each) => each(principal));
  };
}

/** On the namespace of a SPIFFE identity; `*` anywhere. */
export function namespacePattern(pattern: string): Fits {
  const fits = starPattern(pattern);
  return (principal) => {
    const identity = parseIdentity(principal);
    return identity !== undefined && fits(identity.namespace);
  };
}

/** `account` in the policy's namespace, or `namespace/account`; no wildcards. */
export function accountPattern(pattern: string, policyNamespace: string): Fits {
  const slash = pattern.indexOf('/');
  const namespace = slash === -1 ? policyNamespace : pattern.slice(0, slash);
  const serviceAccount = pattern.slice(slash + 1);
  return (principal) => {
    const identity = parseIdentity(principal);
    return identity?.namespace === namespace && identity.serviceAccount === serviceAccount;
  };
}

export function trustDomainPattern(pattern: string): Fits {
  const fits = starPattern(pattern);
  return (principal) => {
    const identity = parseIdentity(principal);
    return identity !== undefined && fits(identity.trustDomain);
  };
}

/** An unreadable range holds nothing. */
export function addressPattern(pattern: string): Fits {
  const range: Cidr | undefined = parseCidr(pattern);
  return (value) => {
    const address = parseAddress(value);
    if (range === undefined || address === undefined) return false;
    return prefixContains(range.network, range.length, address);
  };
}

function starPattern(pattern: string): Fits {
  const pieces = pattern.split('*');
  if (pieces.length === 1) return (value) => value === pattern;
  const fits = whole(pieces.map((piece) => RE2JS.quote(piece)).join('.*'));
  return (value) => value !== '' && fits(value);
}

/** RE2: no path or name that a client sends takes more than linear time. */
function whole(source: string): Fits {
  const regex = RE2JS.compile(source, RE2JS.DOTALL);
  return (value) => regex.testExact(value);
}
