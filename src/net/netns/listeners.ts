/**
 * What the kernel knows about listening sockets of a network namespace: how many share a port, and whether connections
 * that wait in the queue of one that closes move to another (SO_REUSEPORT) or are reset.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import type { NetworkNamespace } from '../network.ts';
import * as abi from './constants.ts';
import { within } from './namespace.ts';
import { withNetlink } from './netlink.ts';
import { host32, network16 } from './netlink-codec.ts';

// linux/inet_diag.h, linux/sock_diag.h
const SOCK_DIAG_BY_FAMILY = 20;
const REQUEST_BYTES = 56;
const REQUEST_STATES_AT = 4;
const REQUEST_PORT_AT = 8;
const ANSWER_PORT_AT = 4;
const TCP_LISTEN = 10;

/** Sockets that listen on the port, of whatever process; IPv4 and IPv6 together. */
export function listenersOn(namespace: NetworkNamespace | undefined, port: number): number {
  // Asked so, the kernel looks at listening sockets only; /proc/net/tcp would take it through every connection there is.
  return withNetlink(namespace, abi.NETLINK_SOCK_DIAG, (socket) =>
    [abi.AF_INET, abi.AF_INET6]
      .flatMap((family) =>
        socket.dump({ type: SOCK_DIAG_BY_FAMILY, header: request(family, port), attributes: [] }),
      )
      .reduce((count, { body }) => count + (portIn(body) === port ? 1 : 0), 0),
  );
}

function request(family: number, port: number): Uint8Array {
  const bytes = new Uint8Array(REQUEST_BYTES);
  bytes.set([family, abi.IPPROTO_TCP]);
  bytes.set(host32(1 << TCP_LISTEN), REQUEST_STATES_AT);
  bytes.set(network16(port), REQUEST_PORT_AT);
  return bytes;
}

const portIn = (answer: Uint8Array) => (answer[ANSWER_PORT_AT] << 8) | answer[ANSWER_PORT_AT + 1];

/**
 * The same files where we run in a container: its own /proc/sys is read-only, so the manifest mounts the node's here. They show the
 * network namespace of whoever opens them, as the others do (proc_sysctl(5)).
 */
export const NODE_SETTINGS = '/host/proc/sys/net';

/**
 * Sets net.ipv4.tcp_migrate_req (Linux 5.14): with it the kernel gives what waits at a listener that closes to another on the
 * same port. Returns why it could not be set, or undefined.
 */
export function setQueueMigration(
  namespace: NetworkNamespace | undefined,
  on: boolean,
): string | undefined {
  try {
    const open = (folder: string) => openWithin(namespace, `${folder}/ipv4/tcp_migrate_req`, 'w');
    const fd = open(NODE_SETTINGS) ?? open('/proc/sys/net');
    if (fd === undefined) return 'the kernel has no net.ipv4.tcp_migrate_req';
    try {
      writeSync(fd, on ? '1' : '0');
    } finally {
      closeSync(fd);
    }
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** Which namespace these files speak of is settled when they are opened. Undefined: there is no such file. */
function openWithin(
  namespace: NetworkNamespace | undefined,
  path: string,
  flags: 'r' | 'w',
): number | undefined {
  try {
    return within(namespace, () => openSync(path, flags));
  } catch (error) {
    if ((error as { code?: string }).code === 'ENOENT') return undefined;
    throw error;
  }
}
