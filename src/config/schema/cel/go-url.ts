/**
 * URLs as Go's url.ParseRequestURI reads them, which is what CEL's isURL and url() do in Kubernetes: absolute, no
 * fragment, no control characters, valid percent escapes in the host. WHATWG parsing would repair what this refuses.
 */
import { hasControl, isIpv6 } from '../formats.ts';

export interface GoUrl {
  scheme: string;
  host: string;
  hostname: string;
  port: string;
  path: string;
  query: string;
}

const USER_INFO = /^[A-Za-z0-9\-._:~!$&'()*+,;=%@]*$/;
const SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):/;

export function parseGoUrl(text: string): GoUrl | undefined {
  if (text === '' || hasControl(text)) return undefined;
  const scheme = SCHEME.exec(text)?.[1] ?? '';
  if (scheme === '' && !text.startsWith('/')) return undefined;
  let rest = scheme === '' ? text : text.slice(scheme.length + 1);
  const question = rest.indexOf('?');
  const query = question < 0 ? '' : rest.slice(question + 1);
  if (question >= 0) rest = rest.slice(0, question);
  // A request URI is absolute: an opaque part such as `mailto:x` is refused.
  if (!rest.startsWith('/')) return undefined;
  let authority = '';
  if (scheme !== '' && rest.startsWith('//')) {
    const slash = rest.indexOf('/', 2);
    authority = slash < 0 ? rest.slice(2) : rest.slice(2, slash);
    rest = slash < 0 ? '' : rest.slice(slash);
  }
  if (!validEscapes(rest)) return undefined;
  const at = authority.lastIndexOf('@');
  if (at >= 0 && !USER_INFO.test(authority.slice(0, at))) return undefined;
  const host = parseHost(authority.slice(at + 1));
  if (host === undefined) return undefined;
  return { scheme: scheme.toLowerCase(), ...host, path: rest, query };
}

function parseHost(host: string): { host: string; hostname: string; port: string } | undefined {
  const bracketed = /^\[([^\]]*)\](:\d*)?$/.exec(host);
  if (bracketed !== null) {
    if (!isIpv6(bracketed[1].split('%')[0])) return undefined;
    return { host, hostname: bracketed[1], port: (bracketed[2] ?? '').slice(1) };
  }
  if (/[\s"<>\\^`{|}[\]#]/.test(host) || host.includes('%')) return undefined;
  const colon = host.lastIndexOf(':');
  const port = colon < 0 ? '' : host.slice(colon + 1);
  if (!/^\d*$/.test(port)) return undefined;
  return { host, hostname: colon < 0 ? host : host.slice(0, colon), port };
}

function validEscapes(text: string): boolean {
  return !/%(?![0-9a-fA-F]{2})/.test(text);
}
