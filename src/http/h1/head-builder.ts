/** Makes a MessageHead of a parsed HTTP/1.1 head: start line, Host, upgrade, and which fields end at this hop. */
import { isAuthority, isConnectTarget } from '../dispatch/authority.ts';
import { fieldName, latin1 } from '../dispatch/field-name.ts';
import { MessageHead, RAW_FIELDS_MAX } from '../dispatch/message-head.ts';
import type { HeadReader } from './head-reader.ts';

/** Requests: undefined when the target or Host is no good; `reason` then says why. */
export function buildRequest(reader: HeadReader, scheme: string): MessageHead | string {
  const { parser, bytes } = reader;
  const { framing, spans } = parser;
  const head = new MessageHead();
  head.method = methodOf(bytes, parser.methodStart, parser.methodEnd);
  head.scheme = scheme;
  const { hostIndex } = framing;
  if (hostIndex >= 0) {
    head.authority = latin1(bytes, spans[hostIndex * 4 + 2], spans[hostIndex * 4 + 3]);
    if (!isAuthority(head.authority)) return 'Host is neither a host nor a host and its port';
  } else if (framing.minor === 1) return 'Host is missing';
  const target = latin1(bytes, parser.targetStart, parser.targetEnd);
  const reason = setTarget(head, target);
  if (reason !== '') return reason;
  head.upgrade = upgradeOf(reader);
  adopt(head, reader);
  if (framing.trailers) head.add('te', 'trailers');
  return head;
}

export function buildResponse(reader: HeadReader): MessageHead {
  const head = new MessageHead();
  head.status = reader.parser.status;
  if (head.status === 101) head.upgrade = upgradeOf(reader);
  adopt(head, reader);
  // RFC 9110 §8.6: not allowed there, and some reader might take it for the length of a body.
  if (head.status === 204 || head.status < 200) head.remove('content-length');
  return head;
}

/** RFC 9112 §3.2: origin, absolute, authority or asterisk form. */
function setTarget(head: MessageHead, target: string): string {
  if (head.method === 'CONNECT') {
    head.authority = target;
    return isConnectTarget(target) ? '' : 'CONNECT is not for a host and a port';
  }
  if (target.charCodeAt(0) === 0x2f) {
    head.path = target;
    return '';
  }
  if (target === '*' && head.method === 'OPTIONS') {
    head.path = '*';
    return '';
  }
  const match = /^(https?):\/\/([^/?#]+)([^#]*)/i.exec(target);
  if (match === null) return 'the request target is neither a path nor an http URL';
  // RFC 9112 §3.2.2: the authority of the absolute form wins over Host.
  head.scheme = match[1].toLowerCase();
  head.authority = match[2];
  if (!isAuthority(head.authority)) return 'the URL in the request line names no host';
  const rest = match[3];
  // RFC 9112 §3.2.4: an OPTIONS for no path is for the server as a whole.
  if (rest === '' && head.method === 'OPTIONS') head.path = '*';
  else head.path = rest.charCodeAt(0) === 0x2f ? rest : `/${rest}`;
  return '';
}

function upgradeOf(reader: HeadReader): string {
  const { framing, spans } = reader.parser;
  if (!framing.upgrade || framing.upgradeIndex < 0) return '';
  const span = framing.upgradeIndex * 4;
  const wanted = latin1(reader.bytes, spans[span + 2], spans[span + 3]).toLowerCase();
  return wanted.includes('h2c') ? withoutH2c(wanted) : wanted;
}

/** RFC 9113 §3.1: nobody upgrades to HTTP/2 any more; passed on, it would open a tunnel past every policy. */
function withoutH2c(wanted: string): string {
  const others = wanted.split(',').map((protocol) => protocol.trim());
  return others.filter((protocol) => protocol !== 'h2c').join(', ');
}

function adopt(head: MessageHead, reader: HeadReader): void {
  const { parser, bytes } = reader;
  const { framing, spans, count } = parser;
  let hidden = framing.hopByHop;
  if (framing.hostIndex >= 0 && framing.hostIndex < 32) hidden |= 1 << framing.hostIndex;
  if (count <= RAW_FIELDS_MAX) {
    const { fieldsStart, fieldsEnd } = parser;
    head.adopt({ bytes, spans, count, hidden, fieldsStart, fieldsEnd });
    return;
  }
  const fields: string[] = [];
  for (let index = 0, span = 0; index < count; index++, span += 4) {
    if (index < 32 ? (hidden >>> index) & 1 : isHiddenBeyond(reader, index)) continue;
    fields.push(fieldName(bytes, spans[span], spans[span + 1]));
    fields.push(latin1(bytes, spans[span + 2], spans[span + 3]));
  }
  head.adoptFields(fields);
}

function isHiddenBeyond(reader: HeadReader, index: number): boolean {
  const { framing } = reader.parser;
  return index === framing.hostIndex || framing.hopByHopBeyond.includes(index);
}

/** Method names without a new string. */
function methodOf(bytes: Buffer, start: number, end: number): string {
  if (end - start === 3 && bytes[start] === 0x47 && bytes[start + 1] === 0x45) {
    if (bytes[start + 2] === 0x54) return 'GET';
  }
  return latin1(bytes, start, end);
}
