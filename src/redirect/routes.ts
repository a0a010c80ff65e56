/**
 * Policy routing inside a captured pod: packets with the return mark are for a socket of the proxy, whatever address
 * it is bound to. And the addresses of a namespace. All over rtnetlink(7).
 */
import { MeshError } from '#base/errors.ts';
import { formatIp } from '#base/ip.ts';
import {
  AF_INET,
  AF_INET6,
  EEXIST,
  ENOENT,
  ERRNO_NAMES,
  ESRCH,
  NLM_F_ACK,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REQUEST,
} from '#net/netns/constants.ts';
import type { NetlinkSocket } from '#net/netns/netlink.ts';
import {
  type Attribute,
  decodeAttributes,
  encodeRequests,
  host32,
  type NetlinkMessage,
} from '#net/netns/netlink-codec.ts';
import { REDIRECT_ERRORS } from './errors.ts';
import { MARK_MASK, RETURN_MARK, ROUTE_TABLE, RULE_PREFERENCE } from './ports.ts';

// linux/rtnetlink.h, linux/fib_rules.h, linux/if_addr.h
const NEW_ADDRESS = 20;
const GET_ADDRESS = 22;
const NEW_ROUTE = 24;
const DELETE_ROUTE = 25;
const GET_ROUTE = 26;
const NEW_RULE = 32;
const DELETE_RULE = 33;
const GET_RULE = 34;
const RULE = { priority: 6, mark: 10, table: 15, mask: 16 } as const;
const ROUTE = { destination: 1, device: 4, table: 15 } as const;
const ADDRESS = { address: 1, local: 2 } as const;
const LOOK_UP_TABLE = 1;
const PROTOCOL_BOOT = 3;
const SCOPE_GLOBAL = 0;
const SCOPE_HOST = 254;
const TYPE_LOCAL = 2;
/** The loopback device of every namespace (net/net_namespace.h). */
const LOOPBACK_INDEX = 1;
/** Both rtmsg and fib_rule_hdr. */
const ROUTE_HEADER_BYTES = 12;
const ADDRESS_HEADER_BYTES = 8;

export type RouteFamily = 'ipv4' | 'ipv6';

export interface RoutePresence {
  readonly rule: boolean;
  readonly route: boolean;
}

const numberOf = (family: RouteFamily) => (family === 'ipv4' ? AF_INET : AF_INET6);

/** Idempotent. False when the namespace has no such family. */
export function addReturnRoute(
  socket: NetlinkSocket,
  family: RouteFamily,
  table = ROUTE_TABLE,
): boolean {
  const done =
    change(socket, { ...ruleRequest(family, table), type: NEW_RULE, known: EEXIST }) &&
    change(socket, { ...routeRequest(family, table), type: NEW_ROUTE, known: EEXIST });
  // A pod may be without IPv6; without IPv4 its namespace is broken.
  if (!done && family === 'ipv4') throw failed('add the return route');
  return done;
}

/** Idempotent, and takes nothing but its own. */
export function removeReturnRoute(
  socket: NetlinkSocket,
  family: RouteFamily,
  table = ROUTE_TABLE,
): void {
  change(socket, { ...ruleRequest(family, table), type: DELETE_RULE, known: ENOENT });
  change(socket, { ...routeRequest(family, table), type: DELETE_ROUTE, known: ESRCH });
}

export function returnRouteOf(
  socket: NetlinkSocket,
  family: RouteFamily,
  table = ROUTE_TABLE,
): RoutePresence {
  const header = new Uint8Array(ROUTE_HEADER_BYTES);
  header[0] = numberOf(family);
  const rules = socket.dump({ type: GET_RULE, header, attributes: [] });
  const routes = socket.dump({ type: GET_ROUTE, header, attributes: [] });
  return {
    rule: rules.some((rule) => isOurRule(rule, table)),
    route: routes.some((route) => isOurRoute(route, table)),
  };
}

/** Of every device, as text; not those of the loopback device's own scope. */
export function globalAddresses(socket: NetlinkSocket): string[] {
  const header = new Uint8Array(ADDRESS_HEADER_BYTES);
  return socket
    .dump({ type: GET_ADDRESS, header, attributes: [] })
    .filter(({ type, body }) => type === NEW_ADDRESS && body[3] === SCOPE_GLOBAL)
    .flatMap(({ body }) => {
      const found = decodeAttributes(body.subarray(ADDRESS_HEADER_BYTES));
      const bytes = found.get(ADDRESS.local) ?? found.get(ADDRESS.address);
      const text = bytes && formatIp(bytes);
      return text === undefined ? [] : [text];
    });
}

interface RouteRequest {
  header: Uint8Array;
  attributes: readonly Attribute[];
}

function ruleRequest(family: RouteFamily, table: number): RouteRequest {
  const header = new Uint8Array(ROUTE_HEADER_BYTES);
  header[0] = numberOf(family);
  header[4] = table;
  header[7] = LOOK_UP_TABLE;
  const attributes: Attribute[] = [
    [RULE.priority, host32(RULE_PREFERENCE)],
    [RULE.mark, host32(RETURN_MARK)],
    [RULE.mask, host32(MARK_MASK)],
    [RULE.table, host32(table)],
  ];
  return { header, attributes };
}

/** `local default dev lo`: every address is ours. */
function routeRequest(family: RouteFamily, table: number): RouteRequest {
  const header = new Uint8Array(ROUTE_HEADER_BYTES);
  header.set([numberOf(family), 0, 0, 0, table, PROTOCOL_BOOT, SCOPE_HOST, TYPE_LOCAL]);
  return {
    header,
    attributes: [
      [ROUTE.table, host32(table)],
      [ROUTE.device, host32(LOOPBACK_INDEX)],
    ],
  };
}

function isOurRule({ body }: NetlinkMessage, table: number): boolean {
  const found = decodeAttributes(body.subarray(ROUTE_HEADER_BYTES));
  return (
    body[7] === LOOK_UP_TABLE &&
    ruleRequest('ipv4', table).attributes.every(([type, value]) => equal(found.get(type), value))
  );
}

function isOurRoute({ body }: NetlinkMessage, table: number): boolean {
  const found = decodeAttributes(body.subarray(ROUTE_HEADER_BYTES));
  return (
    body[1] === 0 &&
    body[7] === TYPE_LOCAL &&
    routeRequest('ipv4', table).attributes.every(([type, value]) => equal(found.get(type), value))
  );
}

function equal(left: Uint8Array | undefined, right: Attribute[1]): boolean {
  return left !== undefined && right instanceof Uint8Array && Buffer.compare(left, right) === 0;
}

/** True when it is done or was done already (`known`). False when the family is not there. */
function change(
  socket: NetlinkSocket,
  request: RouteRequest & { type: number; known: number },
): boolean {
  const { type, header, attributes, known } = request;
  const create = type === NEW_RULE || type === NEW_ROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0;
  const flags = NLM_F_REQUEST | NLM_F_ACK | create;
  const { outcomes } = socket.exchange(
    encodeRequests([{ type, flags, sequence: 1, header, attributes }]),
  );
  const code = outcomes.get(1);
  if (code === undefined) throw failed('change routing: no answer');
  if (code === 0 || code === known) return true;
  if (header[0] === AF_INET6) return false;
  throw failed(`change routing: ${ERRNO_NAMES[code] ?? `errno ${code}`}`);
}

function failed(what: string): MeshError {
  return new MeshError('REDIRECT_FAILED', `cannot ${what}`, {
    side: 'self',
    hint: REDIRECT_ERRORS.REDIRECT_FAILED,
  });
}
