/**
 * Looks up endpoints that are known by name only, from this process's own network and with its own name servers. Answers
 * are kept as long as they say, within bounds; failures shortly. Connections that want the same name wait together.
 */
import { MeshError } from '#base/errors.ts';
import { isIpv6 } from '#base/ip.ts';
import { NAME_SERVER_PORT } from '#redirect/ports.ts';
import { RCODE, TYPE } from '#wire/dns/codes.ts';
import { UDP_PAYLOAD_BYTES } from '#wire/dns/limits.ts';
import { type DnsMessage, decodeMessage, encodeMessage, queryFor } from '#wire/dns/message.ts';
import { NODE_ERRORS } from '../errors.ts';
import type { HostResolver } from '../outbound/host-resolver.ts';
import type { DnsContext } from './dns-context.ts';
import {
  RESOLVED_NAMES_MAX,
  RESOLVED_TTL_CEILING_MS,
  RESOLVED_TTL_FLOOR_MS,
  RESOLVING_NAMES_MAX,
  UNRESOLVED_TTL_MS,
} from './limits.ts';
import { TcpExchange } from './tcp-exchange.ts';
import { UdpExchange } from './udp-exchange.ts';

/** What one question, or both together, came to. */
export interface Resolution {
  readonly addresses: readonly string[];
  readonly ttlMs: number;
  /** Why there is no address. */
  readonly failure: string;
}

interface Known extends Resolution {
  readonly expiresAt: number;
}

type Done = (resolution: Resolution) => void;
type Deps = Pick<
  DnsContext,
  'clock' | 'random' | 'network' | 'datagrams' | 'nameservers' | 'settings'
>;

export class DnsHostResolver implements HostResolver {
  readonly #deps: Deps;
  /** The least recently used first. */
  readonly #known = new Map<string, Known>();
  readonly #resolving = new Map<string, Done[]>();

  constructor(deps: Deps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#known.size;
  }

  resolve(hostname: string, near: string, done: (found: string | MeshError) => void): void {
    const name = hostname.toLowerCase();
    this.#lookUp(name, ({ addresses, failure }) => {
      const family = isIpv6(near);
      const same = addresses.filter((address) => isIpv6(address) === family);
      const choice = same.length > 0 ? same : addresses;
      done(choice[this.#deps.random.integer(choice.length)] ?? unresolved(hostname, failure));
    });
  }

  #lookUp(name: string, done: Done): void {
    const known = this.#fresh(name);
    if (known !== undefined) {
      done(known);
      return;
    }
    const waiting = this.#resolving.get(name);
    if (waiting !== undefined) {
      waiting.push(done);
      return;
    }
    if (this.#resolving.size >= RESOLVING_NAMES_MAX) {
      done(failed(`${RESOLVING_NAMES_MAX} other names are being looked up`));
      return;
    }
    this.#resolving.set(name, [done]);
    this.#askBoth(name, (resolution) => {
      const callers = this.#resolving.get(name) ?? [];
      this.#resolving.delete(name);
      this.#keep(name, resolution);
      for (const each of callers) each(resolution);
    });
  }

  #fresh(name: string): Known | undefined {
    const known = this.#known.get(name);
    if (known === undefined) return undefined;
    this.#known.delete(name);
    if (known.expiresAt <= this.#deps.clock.now()) return undefined;
    this.#known.set(name, known);
    return known;
  }

  #keep(name: string, resolution: Resolution): void {
    this.#known.set(name, {
      ...resolution,
      expiresAt: this.#deps.clock.now() + resolution.ttlMs,
    });
    if (this.#known.size <= RESOLVED_NAMES_MAX) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest);
  }

  /** Either family is enough: a server that fails one must not take the other along. */
  #askBoth(name: string, done: Done): void {
    const types = this.#deps.settings.ipv6 ? [TYPE.A, TYPE.AAAA] : [TYPE.A];
    const found: Resolution[] = [];
    for (const type of types) {
      this.#ask(name, type, (resolution) => {
        found.push(resolution);
        if (found.length === types.length) done(combined(found));
      });
    }
  }

  #ask(name: string, type: number, done: Done): void {
    const servers = this.#deps.nameservers
      .current()
      .map((address) => ({ address, port: NAME_SERVER_PORT, namespace: undefined }));
    const query = encodeMessage(queryFor(0, name, type), UDP_PAYLOAD_BYTES);
    const request = { query, servers, transfer: false };
    let resolution = failed('no answer');
    let truncated = false;
    const read = (bytes: Uint8Array) => {
      const message = decodeMessage(bytes);
      truncated = typeof message === 'object' && message.truncated;
      resolution = readResolution(message, type);
    };
    const end = (failure: string | undefined) =>
      done(failure === undefined ? resolution : failed(failure));
    const overTcp = () =>
      new TcpExchange(this.#deps, request, { onResponse: read, onEnd: end }).start();
    // RFC 1035 §4.2.1, RFC 7766 §5: what does not fit into a datagram is asked for again.
    const onEnd = (failure: string | undefined) => {
      if (failure === undefined && truncated) overTcp();
      else end(failure);
    };
    new UdpExchange(this.#deps, request, { onResponse: read, onEnd }).start();
  }
}

/** All addresses of the type, with the shortest life on the way to them (aliases count). */
export function readResolution(message: DnsMessage | number, type: number): Resolution {
  if (typeof message === 'number') return failed('an answer that cannot be read');
  if (message.rcode === RCODE.nameError) return failed('no such name');
  if (message.rcode !== RCODE.noError) return failed(`the name server failed (${message.rcode})`);
  const addresses: string[] = [];
  let ttlMs = RESOLVED_TTL_CEILING_MS;
  for (const { type: found, ttlSeconds, value } of message.answers) {
    ttlMs = Math.min(ttlMs, ttlSeconds * 1000);
    if (found === type && value.kind === 'address') addresses.push(value.address);
  }
  if (addresses.length === 0) return failed('the name has no address');
  return { addresses, ttlMs: Math.max(ttlMs, RESOLVED_TTL_FLOOR_MS), failure: '' };
}

function combined(found: readonly Resolution[]): Resolution {
  const good = found.filter(({ addresses }) => addresses.length > 0);
  if (good.length === 0) return found[0];
  return {
    addresses: good.flatMap(({ addresses }) => addresses),
    ttlMs: Math.min(...good.map(({ ttlMs }) => ttlMs)),
    failure: '',
  };
}

function failed(failure: string): Resolution {
  return { addresses: [], ttlMs: UNRESOLVED_TTL_MS, failure };
}

function unresolved(hostname: string, failure: string): MeshError {
  return new MeshError('NODE_UNRESOLVED', `cannot resolve ${hostname}: ${failure}`, {
    side: 'upstream',
    hint: NODE_ERRORS.NODE_UNRESOLVED,
  });
}
