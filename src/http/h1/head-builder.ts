/** Makes a MessageHead of a parsed HTTP/1.1 head: start line, Host, upgrade, and which fields end at this hop. */
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
    if (/[^!-~]/.test(head.authority)) return 'Host has a character that is not allowed';
  } else if (framing.minor === 1) return 'Host is missing';
  const target = latin1(bytes, parser.targetStart, parser.targetEnd);
  const reason = setTarget(head, target);
  if (reason !== '') return reason;
  head.upgrade = upgradeOf(reader);
  adopt(head, reader);
  return head;
}

export function buildResponse(reader: HeadReader): MessageHead {
  const head = new MessageHead();
  head.status = reader.parser.status;
  if (head.status === 101) head.upgrade = upgradeOf(reader);
  adopt(head, reader);
  return head;
}

/** RFC 9112 §3.2: origin, absolute, authority or asterisk form. */
function setTarget(head: MessageHead, target: string): string {
  if (target.charCodeAt(0) === 0x2f) {
    head.path = target;
    return '';
  }
  if (head.method === 'CONNECT') {
    head.authority = target;
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
  const rest = match[3];
  head.path = rest.charCodeAt(0) === 0x2f ? rest : `/${rest}`;
  return '';
}

function upgradeOf(reader: HeadReader): string {
  const { framing, spans } = reader.parser;
  if (!framing.upgrade || framing.upgradeIndex < 0) return '';
  const span = framing.upgradeIndex * 4;
  return latin1(reader.bytes, spans[span + 2], spans[span + 3]).toLowerCase();
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
