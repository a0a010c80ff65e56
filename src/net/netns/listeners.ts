/**
 * What the kernel knows about listening sockets of a network namespace: how many share a port, and whether connections
 * that wait in the queue of one that closes move to another (SO_REUSEPORT) or are reset.
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { messageOf } from '#base/errors.ts';
import type { NetworkNamespace } from '../network.ts';
import { within } from './namespace.ts';

/** proc(5): `sl local_address rem_address st …`; the addresses are hex, as `0100007F:1F90`. */
const ROW = /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} ([0-9A-F]{2}) /;
const LISTEN = '0A';
/** The kernel lists listening sockets before all others: a page or two, however many connections there are. */
const PAGE_BYTES = 4096;

/** Sockets that listen on the port, of whatever process; IPv4 and IPv6 together. */
export function listenersOn(namespace: NetworkNamespace | undefined, port: number): number {
  let count = 0;
  for (const family of ['tcp', 'tcp6']) {
    for (const row of listeningRows(namespace, `/proc/thread-self/net/${family}`)) {
      if (row === port) count++;
    }
  }
  return count;
}

/** Ports, one for each socket. */
function listeningRows(namespace: NetworkNamespace | undefined, path: string): number[] {
  const fd = openWithin(namespace, path, 'r');
  if (fd === undefined) return [];
  try {
    const ports: number[] = [];
    const page = Buffer.alloc(PAGE_BYTES);
    let text = '';
    for (;;) {
      const bytes = readSync(fd, page);
      text += page.toString('latin1', 0, bytes);
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) {
        const [, port, state] = ROW.exec(line) ?? [];
        if (port === undefined) continue;
        if (state !== LISTEN) return ports;
        ports.push(Number.parseInt(port, 16));
      }
      if (bytes === 0) return ports;
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Sets net.ipv4.tcp_migrate_req (Linux 5.14): with it the kernel gives what waits at a listener that closes to another on the
 * same port. Returns why it could not be set, or undefined.
 */
export function setQueueMigration(
  namespace: NetworkNamespace | undefined,
  on: boolean,
): string | undefined {
  try {
    const fd = openWithin(namespace, '/proc/sys/net/ipv4/tcp_migrate_req', 'w');
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
