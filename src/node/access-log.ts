/**
 * One line a connection, fields and order as ztunnel's access log (src/telemetry.rs, src/proxy/metrics.rs); ours come
 * behind them: who ended it, and why.
 */

import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { RequestTrace } from '#telemetry/tracing/request-trace.ts';
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
  /** Where it stands in a trace. */
  readonly trace?: RequestTrace;
}

export interface ConnectionEnd {
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly error: MeshError | undefined;
  readonly cause: CloseCause;
}

export type AccessLogFormat = 'text' | 'json';

interface EarlyFailure {
  readonly direction: string;
  readonly source: SocketAddress;
  readonly destination: SocketAddress;
  readonly error: MeshError;
  readonly cause: CloseCause;
}

/** One field of a line: tables of these are made once, so that a line costs no arrays. */
interface Field<T> {
  readonly key: string;
  readonly quoted: boolean;
  /** Undefined or empty: the line goes without. */
  readonly of: (from: T) => string | number | undefined;
}

const quoted = <T>(key: string, of: Field<T>['of']): Field<T> => ({ key, quoted: true, of });
const bare = <T>(key: string, of: Field<T>['of']): Field<T> => ({ key, quoted: false, of });

const SOURCE_ADDRESS: readonly Field<ConnectionLog>[] = [
  bare('src.addr', ({ source }) => nameOf(source)),
];
const SOURCE: readonly Field<ConnectionLog>[] = [
  quoted('src.workload', ({ sourceWorkload }) => sourceWorkload?.name),
  quoted('src.namespace', ({ sourceWorkload }) => sourceWorkload?.namespace),
  quoted('src.identity', ({ sourceIdentity }) => sourceIdentity),
  quoted('src.cluster', ({ sourceWorkload }) => sourceWorkload?.clusterId),
];
const DESTINATION_ADDRESS: readonly Field<ConnectionLog>[] = [
  bare('dst.addr', ({ destination }) => nameOf(destination)),
  bare('dst.hbone_addr', ({ hboneAuthority }) => hboneAuthority),
];
const DESTINATION: readonly Field<ConnectionLog>[] = [
  quoted('dst.service', ({ service }) => service),
  quoted('dst.workload', ({ destinationWorkload }) => destinationWorkload?.name),
  quoted('dst.namespace', ({ destinationWorkload }) => destinationWorkload?.namespace),
  quoted('dst.identity', ({ destinationIdentity }) => destinationIdentity),
  quoted('dst.cluster', ({ destinationWorkload }) => destinationWorkload?.clusterId),
  quoted('direction', ({ direction }) => direction),
];
/** Of connections that are traced: what is under it can be looked up. */
const TRACE: readonly Field<ConnectionLog>[] = [bare('trace_id', ({ trace }) => trace?.exemplar)];
const CONNECTION = [...SOURCE_ADDRESS, ...SOURCE, ...DESTINATION_ADDRESS, ...DESTINATION, ...TRACE];
const END: readonly Field<ConnectionEnd>[] = [
  bare('bytes_sent', ({ bytesSent }) => bytesSent),
  bare('bytes_recv', ({ bytesReceived }) => bytesReceived),
  quoted('duration', ({ durationMs }) => `${Math.round(durationMs)}ms`),
  quoted('error', ({ error }) => error && errorText(error)),
  quoted('closed_by', ({ cause }) => cause.by),
  quoted('reason', ({ cause }) => cause.reason),
];
const EARLY: readonly Field<EarlyFailure>[] = [
  bare('src.addr', ({ source }) => nameOf(source)),
  bare('dst.addr', ({ destination }) => nameOf(destination)),
  quoted('direction', ({ direction }) => direction),
  quoted('error', ({ error }) => errorText(error)),
  quoted('closed_by', ({ cause }) => cause.by),
  quoted('reason', ({ cause }) => cause.reason),
];

export function formatConnection(
  time: string,
  log: ConnectionLog,
  end: ConnectionEnd,
  format: AccessLogFormat,
): string {
  const level = end.error === undefined ? 'info' : 'error';
  const head = { time, level, message: 'connection complete' };
  if (format === 'json') return jsonLine(head, { ...known(CONNECTION, log), ...known(END, end) });
  return `${textHead(head)}${connectionText(log)} ${textFields(END, end)}\n`;
}

/** Debug only: a connection whose destination is decided. */
export function formatOpened(time: string, log: ConnectionLog, format: AccessLogFormat): string {
  const head = { time, level: 'debug', message: 'connection opened' };
  if (format === 'json') return jsonLine(head, known(CONNECTION, log));
  return `${textHead(head)}${connectionText(log)}\n`;
}

/** A connection that failed before anything was known about its destination. */
export function formatEarlyFailure(
  time: string,
  failure: EarlyFailure,
  format: AccessLogFormat,
): string {
  const head = { time, level: 'warn', message: 'connection failed' };
  if (format === 'json') return jsonLine(head, known(EARLY, failure));
  return `${textHead(head)}${textFields(EARLY, failure)}\n`;
}

function errorText(error: MeshError): string {
  return error.side === 'self' ? error.message : `${error.message} (${error.side})`;
}

interface LineHead {
  readonly time: string;
  readonly level: string;
  readonly message: string;
}

function textHead({ time, level, message }: LineHead): string {
  return `${time}\t${level}\taccess\t${message}\t`;
}

function jsonLine({ time, level, message }: LineHead, fields: Record<string, unknown>): string {
  return `${JSON.stringify({ level, time, scope: 'access', message, ...fields })}\n`;
}

function known<T>(fields: readonly Field<T>[], from: T): Record<string, unknown> {
  return Object.fromEntries(
    fields.map(({ key, of }) => [key, of(from)]).filter(([, value]) => value !== ''),
  );
}

/** The fields of CONNECTION. Who talks to whom is two thirds of a line, and mostly that of a line before. */
function connectionText(log: ConnectionLog): string {
  const { source, destination } = partiesOf(log);
  const from = textFields(SOURCE_ADDRESS, log) + source;
  const to = textFields(DESTINATION_ADDRESS, log) + destination;
  return `${from} ${to}${spaced(TRACE, log)}`;
}

/** What the lines of one pair of parties have in common, each with a space before it. */
interface Parties {
  readonly of: ConnectionLog;
  readonly source: string;
  readonly destination: string;
}

/** Few pairs are busy at a time; the text of others is made each time. */
const PARTIES = 64;
const parties: (Parties | undefined)[] = new Array(PARTIES).fill(undefined);

function partiesOf(log: ConnectionLog): Parties {
  const { source, destination } = log;
  // Neighbours differ in the last digits of their addresses.
  const slot =
    (lastOf(source.address) * 5 + lastOf(destination.address) + destination.port) & (PARTIES - 1);
  const known = parties[slot];
  if (known !== undefined && areSame(known.of, log)) return known;
  const made = { of: log, source: spaced(SOURCE, log), destination: spaced(DESTINATION, log) };
  parties[slot] = made;
  return made;
}

const lastOf = (text: string) => text.charCodeAt(text.length - 1) | 0;

/** Workloads are immutable: another state of one is another object. */
function areSame(a: ConnectionLog, b: ConnectionLog): boolean {
  return (
    a.sourceWorkload === b.sourceWorkload &&
    a.destinationWorkload === b.destinationWorkload &&
    a.sourceIdentity === b.sourceIdentity &&
    a.destinationIdentity === b.destinationIdentity &&
    a.service === b.service &&
    a.direction === b.direction
  );
}

function spaced(fields: readonly Field<ConnectionLog>[], log: ConnectionLog): string {
  const text = textFields(fields, log);
  return text === '' ? '' : ` ${text}`;
}

/** `key=value`, space-joined. */
function textFields<T>(fields: readonly Field<T>[], from: T): string {
  let text = '';
  for (const field of fields) {
    const value = field.of(from);
    if (value === undefined || value === '') continue;
    if (text !== '') text += ' ';
    text += `${field.key}=${valueText(value, field.quoted)}`;
  }
  return text;
}

/** What JSON writes as it is, between quotes. */
const PLAIN = /^[ !#-[\]-~]*$/;
const GRAPHIC = /^[!-~]*$/;

/** An authority comes from the peer: it must not forge fields. */
function valueText(value: string | number, inQuotes: boolean): string {
  if (typeof value === 'number') return String(value);
  if (inQuotes) return PLAIN.test(value) ? `"${value}"` : JSON.stringify(value);
  return GRAPHIC.test(value) ? value : JSON.stringify(value);
}

function nameOf(address: SocketAddress): string {
  return formatHostPort(address.address, address.port);
}
