/**
 * One line a connection, fields and order as ztunnel's access log (src/telemetry.rs, src/proxy/metrics.rs); ours come
 * behind them: who ended it, and why.
 */

import type { MeshError } from '#base/errors.ts';
import { formatHostPort } from '#base/ip.ts';
import { recentSlot, recentSlots } from '#base/recent.ts';
import type { Workload } from '#model/workload/workload.ts';
import type { SocketAddress } from '#net/connection.ts';
import type { LineBuffer } from '#telemetry/access-log/line-buffer.ts';
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

export interface EarlyFailure {
  readonly direction: 'inbound' | 'outbound';
  /** Whose connection it was to be: a listener has no address of its own before its peer is known. */
  readonly pod: { readonly namespace: string; readonly name: string };
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
const BEHIND_SOURCE_ADDRESS = [...SOURCE, ...DESTINATION_ADDRESS, ...DESTINATION];
const CONNECTION = [...SOURCE_ADDRESS, ...BEHIND_SOURCE_ADDRESS, ...TRACE];
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
  quoted('src.workload', ({ direction, pod }) => only(direction === 'outbound', pod.name)),
  quoted('src.namespace', ({ direction, pod }) => only(direction === 'outbound', pod.namespace)),
  bare('dst.addr', ({ destination }) => nameOf(destination)),
  quoted('dst.workload', ({ direction, pod }) => only(direction === 'inbound', pod.name)),
  quoted('dst.namespace', ({ direction, pod }) => only(direction === 'inbound', pod.namespace)),
  quoted('direction', ({ direction }) => direction),
  quoted('error', ({ error }) => errorText(error)),
  quoted('closed_by', ({ cause }) => cause.by),
  quoted('reason', ({ cause }) => cause.reason),
];

/** A connection at its end; or, for debugging, one whose destination was just decided. */
export interface ConnectionLine {
  readonly time: string;
  readonly log: ConnectionLog;
  readonly end: ConnectionEnd | undefined;
  readonly format: AccessLogFormat;
}

/** Of the text nothing but the time is made as a string. */
export function putConnection(out: LineBuffer, { time, log, end, format }: ConnectionLine): void {
  if (format === 'json') {
    const level = end === undefined ? 'debug' : end.error === undefined ? 'info' : 'error';
    const message = end === undefined ? 'connection opened' : 'connection complete';
    const head = { time, level, message };
    out.text(jsonLine(head, { ...known(CONNECTION, log), ...(end && known(END, end)) }));
    return;
  }
  const { source, rest } = partiesOf(log);
  out.text(time);
  out.part(end === undefined ? OPENED : end.error === undefined ? COMPLETE : FAILED);
  out.part(source);
  out.integer(log.source.port);
  out.part(rest);
  if (log.trace?.exemplar) out.text(` ${textFields(TRACE, log)}`);
  if (end !== undefined) putEnd(out, end);
  out.byte(NEWLINE);
}

/** The fields of END. */
function putEnd(
  out: LineBuffer,
  { bytesSent, bytesReceived, durationMs, error, cause }: ConnectionEnd,
) {
  out.part(BYTES_SENT);
  out.integer(bytesSent);
  out.part(BYTES_RECEIVED);
  out.integer(bytesReceived);
  out.part(DURATION);
  out.integer(Math.round(durationMs));
  out.part(MILLISECONDS);
  if (error !== undefined) out.text(` error=${valueText(errorText(error), true)}`);
  out.part(CLOSED_BY);
  out.quoted(cause.by);
  out.part(REASON);
  out.quoted(cause.reason);
}

/** A connection that failed before anything was known about its destination. */
export function putEarlyFailure(
  out: LineBuffer,
  { time, failure, format }: { time: string; failure: EarlyFailure; format: AccessLogFormat },
): void {
  if (format === 'json') {
    const head = { time, level: 'warn', message: 'connection failed' };
    out.text(jsonLine(head, known(EARLY, failure)));
  } else out.text(`${time}\twarn\taccess\tconnection failed\t${textFields(EARLY, failure)}\n`);
}

function only(isSo: boolean, text: string): string | undefined {
  return isSo ? text : undefined;
}

function errorText(error: MeshError): string {
  return error.side === 'self' ? error.message : `${error.message} (${error.side})`;
}

interface LineHead {
  readonly time: string;
  readonly level: string;
  readonly message: string;
}

function jsonLine({ time, level, message }: LineHead, fields: Record<string, unknown>): string {
  return `${JSON.stringify({ level, time, scope: 'access', message, ...fields })}\n`;
}

function known<T>(fields: readonly Field<T>[], from: T): Record<string, unknown> {
  return Object.fromEntries(
    fields.map(({ key, of }) => [key, of(from)]).filter(([, value]) => value !== ''),
  );
}

/** What the lines of one pair of parties have in common, which is nearly all of them but the client's port between the two. */
interface Parties {
  readonly of: ConnectionLog;
  readonly source: Uint8Array;
  readonly rest: Uint8Array;
}

const parties = recentSlots<Parties>();

function partiesOf(log: ConnectionLog): Parties {
  const slot = recentSlot(log.source.address, log.destination.address);
  const known = parties[slot];
  if (known !== undefined && areSame(known.of, log)) return known;
  const address = textFields(SOURCE_ADDRESS, log);
  const rest = textFields(BEHIND_SOURCE_ADDRESS, log);
  const made = {
    of: log,
    source: Buffer.from(address.slice(0, address.lastIndexOf(':') + 1)),
    rest: Buffer.from(` ${rest}`),
  };
  parties[slot] = made;
  return made;
}

/** Workloads are immutable: another state of one is another object. */
function areSame(a: ConnectionLog, b: ConnectionLog): boolean {
  return (
    a.source.address === b.source.address &&
    a.destination.address === b.destination.address &&
    a.destination.port === b.destination.port &&
    a.hboneAuthority === b.hboneAuthority &&
    a.sourceWorkload === b.sourceWorkload &&
    a.destinationWorkload === b.destinationWorkload &&
    a.sourceIdentity === b.sourceIdentity &&
    a.destinationIdentity === b.destinationIdentity &&
    a.service === b.service &&
    a.direction === b.direction
  );
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

const NEWLINE = 0x0a;
const COMPLETE = Buffer.from('\tinfo\taccess\tconnection complete\t');
const FAILED = Buffer.from('\terror\taccess\tconnection complete\t');
const OPENED = Buffer.from('\tdebug\taccess\tconnection opened\t');
const BYTES_SENT = Buffer.from(' bytes_sent=');
const BYTES_RECEIVED = Buffer.from(' bytes_recv=');
const DURATION = Buffer.from(' duration="');
const MILLISECONDS = Buffer.from('ms"');
const CLOSED_BY = Buffer.from(' closed_by=');
const REASON = Buffer.from(' reason=');

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
