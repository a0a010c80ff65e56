/**
 * What becomes of one query, and why. Pure: bytes or question, snapshot and client in, verdict out. Only A and AAAA of
 * class IN for names that the mesh knows are answered here; everything else is somebody else's and is passed on.
 * Same answers as ztunnel (src/dns/server.rs, src/dns/handler.rs).
 */
import { isIpv6 } from '#base/ip.ts';
import type { Random } from '#base/random.ts';
import { type Service, serviceKey } from '#model/service/service.ts';
import type { Workload } from '#model/workload/workload.ts';
import { CLASS_IN, DNS_REASON_TEXT, OPCODE_QUERY, RCODE, TYPE } from '#wire/dns/codes.ts';
import { type QueryQuestion, readHead, readQuestion } from '#wire/dns/query.ts';
import type { MeshSnapshot } from '../state/mesh-snapshot.ts';
import { aliasesOf, wildcardsOf } from './names.ts';

export interface DnsSettings {
  /** `cluster.local`. */
  readonly domain: string;
  /** False: AAAA of mesh names is empty. */
  readonly ipv6: boolean;
  /** Wins between services of one hostname when neither the client's namespace nor `canonical` decides. */
  readonly preferredNamespace: string | undefined;
}

export const DEFAULT_DNS_SETTINGS: DnsSettings = {
  domain: 'cluster.local',
  ipv6: true,
  preferredNamespace: undefined,
};

export type Screened =
  | { readonly kind: 'question'; readonly question: QueryQuestion }
  /** A query without a question (RFC 7873 §5.4: cookies alone). */
  | { readonly kind: 'forward'; readonly reason: string }
  | { readonly kind: 'refuse'; readonly rcode: number; readonly reason: string }
  /** Not even an id to answer to. */
  | { readonly kind: 'ignore'; readonly reason: string };

/** What the bytes alone say. */
export function screenQuery(bytes: Uint8Array): Screened {
  const head = readHead(bytes);
  if (typeof head === 'number') return { kind: 'ignore', reason: DNS_REASON_TEXT[head] };
  if (head.response) return malformed('a response where a query belongs');
  if (head.opcode !== OPCODE_QUERY) {
    const reason = `operation ${head.opcode} is not a query`;
    return { kind: 'refuse', rcode: RCODE.notImplemented, reason };
  }
  if (head.questionCount === 0) return { kind: 'forward', reason: 'there is no question' };
  // RFC 9619 §4: more than one question is an error.
  if (head.questionCount > 1) return malformed(`${head.questionCount} questions`);
  const question = readQuestion(bytes);
  if (typeof question === 'number') return malformed(DNS_REASON_TEXT[question]);
  return { kind: 'question', question };
}

function malformed(reason: string): Screened {
  return { kind: 'refuse', rcode: RCODE.formatError, reason };
}

export type DnsVerdict =
  | {
      readonly kind: 'answer';
      readonly service: Service;
      /** The asked name without its search domain: a CNAME leads there. */
      readonly alias: string | undefined;
      /** Of the asked family, in random order; empty is NODATA, never NXDOMAIN. */
      readonly addresses: readonly string[];
      readonly reason: string;
    }
  | {
      readonly kind: 'forward';
      /** Known, but this is not what the mesh answers about it. */
      readonly service: Service | undefined;
      readonly reason: string;
    }
  | { readonly kind: 'refuse'; readonly rcode: number; readonly reason: string };

export interface DnsRequest {
  /** Undefined: discovery has not told us who asks. */
  readonly client: Workload | undefined;
  readonly question: Pick<QueryQuestion, 'name' | 'type' | 'class'>;
}

export function decideDns(
  snapshot: MeshSnapshot,
  { client, question }: DnsRequest,
  { settings, random }: { settings: DnsSettings; random: Random },
): DnsVerdict {
  if (client === undefined)
    return { kind: 'refuse', rcode: RCODE.serverFailure, reason: 'the workload is not known yet' };
  const { name, type } = question;
  const found = findService(snapshot, client, { name, settings });
  if (question.class !== CLASS_IN || (type !== TYPE.A && type !== TYPE.AAAA))
    return {
      kind: 'forward',
      service: found?.service,
      reason: 'only A and AAAA are answered here',
    };
  if (found === undefined)
    return { kind: 'forward', service: undefined, reason: 'the name is not in the mesh' };
  const { service, alias } = found;
  const answer = (addresses: readonly string[], reason: string): DnsVerdict => ({
    kind: 'answer',
    service,
    alias: addresses.length > 0 ? alias : undefined,
    addresses,
    reason,
  });
  if (!hasFamily(service, type, settings))
    return answer([], 'service does not support this record type');
  const addresses = shuffled(addressesOf(snapshot, client, { service, type }), random);
  return answer(addresses, addresses.length > 0 ? 'success' : 'no records');
}

interface Found {
  readonly service: Service;
  /** As in the verdict; a wildcard answers under the name that was asked. */
  readonly alias: string | undefined;
}

/** The first alias, then the closest wildcard, for which there is a service that the client may see and use. */
function findService(
  snapshot: MeshSnapshot,
  client: Workload,
  { name, settings }: { name: string; settings: DnsSettings },
): Found | undefined {
  const { domain, preferredNamespace } = settings;
  // Without a virtual address only a Kubernetes service is answered (headless); others are resolved where they live.
  const usable = (service: Service) =>
    virtualAddresses(service).length > 0 || service.hostname.endsWith(`.svc.${domain}`);
  for (const alias of aliasesOf(name, { clientNamespace: client.namespace, domain })) {
    for (const hostname of wildcardsOf(alias.name)) {
      const service = snapshot.serviceNamed(hostname, client.namespace, {
        preferredNamespace,
        usable,
      });
      if (service === undefined) continue;
      return { service, alias: hostname.startsWith('*.') ? undefined : alias.stripped };
    }
  }
  return undefined;
}

/** Single addresses; a range is nothing to answer with. */
function virtualAddresses({ addresses }: Service): Service['addresses'] {
  return addresses.filter(
    ({ address, length }) => length === undefined || length === (isIpv6(address) ? 128 : 32),
  );
}

function hasFamily({ ipFamilies }: Service, type: number, { ipv6 }: DnsSettings): boolean {
  return type === TYPE.AAAA ? ipv6 && ipFamilies !== 'ipv4' : ipFamilies !== 'ipv6';
}

function addressesOf(
  snapshot: MeshSnapshot,
  client: Workload,
  { service, type }: { service: Service; type: number },
): string[] {
  const ofFamily = (address: string) => isIpv6(address) === (type === TYPE.AAAA);
  const virtual = virtualAddresses(service);
  if (virtual.length > 0) {
    return virtual
      .filter(({ network, address }) => network === client.network && ofFamily(address))
      .map(({ address }) => address);
  }
  const includeUnhealthy = service.loadBalancing?.includeUnhealthy === true;
  return snapshot
    .endpointsOf(serviceKey(service))
    .filter((workload) => workload.healthy || includeUnhealthy)
    .flatMap((workload) => workload.addresses.find(ofFamily) ?? []);
}

function shuffled(values: string[], random: Random): string[] {
  for (let last = values.length - 1; last > 0; last--) {
    const other = random.integer(last + 1);
    [values[last], values[other]] = [values[other], values[last]];
  }
  return values;
}
