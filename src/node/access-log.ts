/**
 * One line a connection, fields and order as ztunnel's access log (src/telemetry.rs, src/proxy/metrics.rs); ours come
 * behind them: who ended it, and why.
 */

import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { CloseCause } from './close-cause.ts';

export interface ConnectionLog {
  readonly direction: 'inbound' | 'outbound';
  readonly source: SocketAddress;
  readonly sourceWorkload: Workload | undefined;
  readonly sourceIdentity: string | undefined;
  /** The next hop. */
  readonly destination: SocketAddress;
  /** The CONNECT authority, when the connection is a tunnel. */
  readonly hboneAuthority: string | undefined;
  readonly service: string | undefined;
  readonly destinationWorkload: Workload | undefined;
  readonly destinationIdentity: string | undefined;
}

export interface ConnectionEnd {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly error: MeshError | undefined;
  readonly cause: CloseCause;
}

export type AccessLogFormat = 'text' | 'json';
type Fields = [key: string, value: string | number | undefined, quoted: boolean][];

export function formatConnection(
  time: string,
  log: ConnectionLog,
  end: ConnectionEnd,
  format: AccessLogFormat,
): string {
  const level = end.error === undefined ? 'info' : 'error';
  const fields: Fields = [
    ...fieldsOf(log),
    ['bytes_sent', end.bytesSent, false],
    ['bytes_recv', end.bytesReceived, false],
    ['duration', `${Math.round(end.durationMs)}ms`, true],
    ['error', end.error && errorText(end.error), true],
    ...causeFields(end.cause),
  ];
  return formatLine({ time, level, message: 'connection complete' }, fields, format);
}

/** Debug only: a connection whose destination is decided. */
export function formatOpened(time: string, log: ConnectionLog, format: AccessLogFormat): string {
  const head = { time, level: 'debug', message: 'connection opened' };
  return formatLine(head, fieldsOf(log), format);
}

/** A connection that failed before anything was known about its destination. */
export function formatEarlyFailure(
  time: string,
  facts: {
    direction: string;
    source: SocketAddress;
    destination: SocketAddress;
    error: MeshError;
    cause: CloseCause;
  },
  format: AccessLogFormat,
): string {
  const fields: Fields = [
    ['src.addr', nameOf(facts.source), false],
    ['dst.addr', nameOf(facts.destination), false],
    ['direction', facts.direction, true],
    ['error', errorText(facts.error), true],
    ...causeFields(facts.cause),
  ];
  return formatLine({ time, level: 'warn', message: 'connection failed' }, fields, format);
}

function fieldsOf(log: ConnectionLog): Fields {
  const { sourceWorkload, destinationWorkload } = log;
  return [
    ['src.addr', nameOf(log.source), false],
    ['src.workload', sourceWorkload?.name, true],
    ['src.namespace', sourceWorkload?.namespace, true],
    ['src.identity', log.sourceIdentity, true],
    ['src.cluster', sourceWorkload?.clusterId, true],
    ['dst.addr', nameOf(log.destination), false],
    ['dst.hbone_addr', log.hboneAuthority, false],
    ['dst.service', log.service, true],
    ['dst.workload', destinationWorkload?.name, true],
    ['dst.namespace', destinationWorkload?.namespace, true],
    ['dst.identity', log.destinationIdentity, true],
    ['dst.cluster', destinationWorkload?.clusterId, true],
    ['direction', log.direction, true],
  ];
}

function causeFields({ by, reason }: CloseCause): Fields {
  return [
    ['closed_by', by, true],
    ['reason', reason, true],
  ];
}

function errorText(error: MeshError): string {
  return error.side === 'self' ? error.message : `${error.message} (${error.side})`;
}

function formatLine(
  head: { time: string; level: string; message: string },
  fields: Fields,
  format: AccessLogFormat,
): string {
  const { time, level, message } = head;
  if (format === 'json') {
    const known = Object.fromEntries(fields.map(([key, value]) => [key, value]));
    return `${JSON.stringify({ level, time, scope: 'access', message, ...known })}\n`;
  }
  let text = `${time}\t${level}\taccess\t${message}\t`;
  let space = '';
  for (const [key, value, quoted] of fields) {
    if (value === undefined || value === '') continue;
    text += `${space}${key}=${quoted ? JSON.stringify(value) : bare(value)}`;
    space = ' ';
  }
  return `${text}\n`;
}

/** An authority comes from the peer: it must not forge fields. */
function bare(value: string | number): string {
  const text = String(value);
  return /^[\x21-\x7e]*$/.test(text) ? text : JSON.stringify(text);
}

function nameOf(address: SocketAddress): string {
  return formatHostPort(address.address, address.port);
}
