/**
 * Routes for bytes: by server name (SNI), by the address that was dialled, by the client's. The first that matches wins. Decided once per
 * connection, so the rules are tried in order; addresses and ranges are compared as numbers, read once.
 */
import { type Cidr, parseAddress, parseCidr, prefixContains } from '#base/cidr.ts';
import { compileDestinations, problemsOf, type WeightedDestinations } from './destinations.ts';
import type { L4Match, L4Route } from './route-table.ts';

export interface CompiledL4Route extends WeightedDestinations {
  readonly route: L4Route;
}

export interface CompiledL4Routes {
  readonly routes: readonly CompiledL4Route[];
  readonly entries: readonly L4Entry[];
}

/** One match of one route; the answer of `matchL4`. */
export interface L4Entry {
  readonly route: CompiledL4Route;
  /** Why this entry was taken, as a sentence part. */
  readonly reason: string;
  readonly sniHosts: readonly string[];
  readonly destinations: readonly Cidr[];
  readonly sources: readonly Cidr[];
  /** A range could not be read: the entry takes nothing. */
  readonly never: boolean;
}

export interface L4Request {
  /** Undefined: no TLS, or no server name in it. */
  readonly sni?: string;
  /** The address that the client dialled. */
  readonly destination?: string;
  readonly source?: string;
}

const ANY: L4Match = { sniHosts: [], destinationSubnets: [], sourceSubnets: [] };

export function compileL4Routes(
  routes: readonly L4Route[],
  onProblem: (problem: string) => void,
): CompiledL4Routes {
  const compiled = routes.map((route) => ({
    route,
    ...compileDestinations(route.destinations, problemsOf(route, onProblem)),
  }));
  const entries = compiled.flatMap((route) => {
    const { matches } = route.route;
    const report = problemsOf(route.route, onProblem);
    return (matches.length === 0 ? [ANY] : matches).map((match) =>
      compileL4Entry(route, match, report),
    );
  });
  return { routes: compiled, entries };
}

function compileL4Entry(
  route: CompiledL4Route,
  match: L4Match,
  onProblem: (problem: string) => void,
): L4Entry {
  const { sniHosts, destinationSubnets, sourceSubnets } = match;
  let never = false;
  const ranges = (texts: readonly string[]) =>
    texts.flatMap((text) => {
      const range = parseCidr(text);
      if (range !== undefined) return [range];
      onProblem(`${JSON.stringify(text)} is no address range`);
      never = true;
      return [];
    });
  return {
    route,
    reason: describe(match),
    sniHosts: sniHosts.map((host) => host.toLowerCase()),
    destinations: ranges(destinationSubnets),
    sources: ranges(sourceSubnets),
    never,
  };
}

/** Undefined: no route takes the connection. */
export function matchL4(
  { entries }: CompiledL4Routes,
  { sni, destination, source }: L4Request,
): L4Entry | undefined {
  const name = sni?.toLowerCase();
  const to = destination === undefined ? undefined : parseAddress(destination);
  const from = source === undefined ? undefined : parseAddress(source);
  return entries.find(
    (entry) =>
      !entry.never &&
      takesName(entry.sniHosts, name) &&
      takesAddress(entry.destinations, to) &&
      takesAddress(entry.sources, from),
  );
}

function takesName(hosts: readonly string[], name: string | undefined): boolean {
  if (hosts.length === 0) return true;
  if (name === undefined) return false;
  return hosts.some((host) => {
    if (!host.startsWith('*')) return host === name;
    return host === '*' || (name.length >= host.length && name.endsWith(host.slice(1)));
  });
}

function takesAddress(ranges: readonly Cidr[], address: Uint8Array | undefined): boolean {
  if (ranges.length === 0) return true;
  if (address === undefined) return false;
  return ranges.some(({ network, length }) => prefixContains(network, length, address));
}

function describe({ sniHosts, destinationSubnets, sourceSubnets }: L4Match): string {
  const parts: string[] = [];
  if (sniHosts.length > 0) parts.push(`server name in ${sniHosts.join(', ')}`);
  if (destinationSubnets.length > 0) parts.push(`destination in ${destinationSubnets.join(', ')}`);
  if (sourceSubnets.length > 0) parts.push(`source in ${sourceSubnets.join(', ')}`);
  return parts.length === 0 ? 'it matches every connection' : parts.join(' and ');
}
