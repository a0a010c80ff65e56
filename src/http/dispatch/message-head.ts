/**
 * The head of a request or response, of either protocol. Fields that came as HTTP/1.1 bytes stay bytes (an
 * offset table over the head's own buffer) and become strings when asked; HTTP/2 fields and added ones are
 * strings. Framing and hop-by-hop fields (RFC 9110 §7.6.1) never show: the drivers own them.
 *
 * A head is valid while its exchange runs; `retain` makes it independent of the connection for longer.
 */
import { equalsIgnoreCase, fieldName, fieldValue, latin1 } from './field-name.ts';

/** Where an HTTP/1.1 parser found the pieces; shared with the connection until `retain`. */
export interface RawHead {
  /** The head, from the first byte of the start line. */
  bytes: Buffer;
  /** Four a field: name start, name end, value start, value end. */
  spans: Int32Array;
  count: number;
  /** Bit i set: field i is hop-by-hop, framing, or Host, and hidden from readers. Only the first 32 fields. */
  hidden: number;
  /** Offset of the first field line, and of the empty line that ends the head. */
  fieldsStart: number;
  fieldsEnd: number;
}

/** More fields than the bits of `RawHead.hidden`: such heads are turned into strings at once. */
export const RAW_FIELDS_MAX = 32;

const EMPTY: RawHead = {
  bytes: Buffer.alloc(0),
  spans: new Int32Array(0),
  count: 0,
  hidden: 0,
  fieldsStart: 0,
  fieldsEnd: 0,
};

export class MessageHead {
  /** Requests. */
  method = '';
  scheme = '';
  /** `:authority`, or the Host field. `get('host')` reads it too. */
  authority = '';
  /** Request target with its query; '' for CONNECT. */
  path = '';
  /** Responses; 0 for a request. */
  status = 0;
  /**
   * The protocol of an `Upgrade` (lower case) that the sender wants or agreed to; '' for none. HTTP/2's extended CONNECT
   * (RFC 8441) shows as the same: a GET that wants it, a 101 that agrees.
   */
  upgrade = '';
  private raw: RawHead = EMPTY;
  private hidden = 0;
  /** Name, value, name, value… */
  private fields: string[] = [];

  static request(method: string, authority: string, path: string, scheme = 'http'): MessageHead {
    const head = new MessageHead();
    head.method = method;
    head.authority = authority;
    head.path = path;
    head.scheme = scheme;
    return head;
  }

  static response(status: number): MessageHead {
    const head = new MessageHead();
    head.status = status;
    return head;
  }

  /** For drivers: takes the fields of a parsed HTTP/1.1 head. */
  adopt(raw: RawHead): void {
    this.raw = raw;
    this.hidden = raw.hidden;
  }

  /** For drivers: takes decoded fields (name, value, …), names lower case, no pseudo or hop-by-hop ones. */
  adoptFields(fields: string[]): void {
    this.fields = fields;
  }

  /** First value, or undefined. `name` is lower case. */
  get(name: string): string | undefined {
    const { raw, hidden, fields } = this;
    const { bytes, spans } = raw;
    for (let index = 0, at = 0; index < raw.count; index++, at += 4) {
      if (spans[at + 1] - spans[at] !== name.length || (hidden >>> index) & 1) continue;
      if (!equalsIgnoreCase(bytes, spans[at], name)) continue;
      return latin1(bytes, spans[at + 2], spans[at + 3]);
    }
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] === name) return fields[index + 1];
    }
    if (name === 'host' && this.authority !== '') return this.authority;
    return undefined;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Whether a field's name begins so; `prefix` is lower case. One cheap look spares many `get`s for fields that are rare. */
  hasPrefix(prefix: string): boolean {
    const { raw, hidden, fields } = this;
    const { bytes, spans } = raw;
    const { length } = prefix;
    const last = prefix.charCodeAt(length - 1);
    for (let index = 0, at = 0; index < raw.count; index++, at += 4) {
      if (spans[at + 1] - spans[at] < length || (hidden >>> index) & 1) continue;
      if (equalsIgnoreCase(bytes, spans[at], prefix)) return true;
    }
    for (let index = 0; index < fields.length; index += 2) {
      const name = fields[index];
      // One character spares most calls; past the end it is NaN.
      if (name.charCodeAt(length - 1) === last && name.startsWith(prefix)) return true;
    }
    return false;
  }

  /** Every value of a field, joined by ", " as RFC 9110 §5.3 allows; undefined when absent. */
  getAll(name: string): string | undefined {
    const { raw, hidden, fields } = this;
    const { bytes, spans } = raw;
    let joined: string | undefined;
    for (let index = 0, at = 0; index < raw.count; index++, at += 4) {
      if (spans[at + 1] - spans[at] !== name.length || (hidden >>> index) & 1) continue;
      if (!equalsIgnoreCase(bytes, spans[at], name)) continue;
      const value = latin1(bytes, spans[at + 2], spans[at + 3]);
      joined = joined === undefined ? value : `${joined}, ${value}`;
    }
    for (let index = 0; index < fields.length; index += 2) {
      if (fields[index] !== name) continue;
      const value = fields[index + 1];
      joined = joined === undefined ? value : `${joined}, ${value}`;
    }
    return joined ?? (name === 'host' ? this.get(name) : undefined);
  }

  /** Replaces every field of that name. `name` is lower case; `host` sets the authority. */
  set(name: string, value: string): void {
    if (name === 'host') {
      this.authority = value;
      return;
    }
    this.remove(name);
    this.fields.push(name, fieldValue(value));
  }

  /** One more field. `name` is lower case. */
  add(name: string, value: string): void {
    if (name === 'host') this.authority = value;
    else this.fields.push(name, fieldValue(value));
  }

  /** As `add`, of a value that was made here out of visible ASCII: it is not looked at. */
  addPlain(name: string, value: string): void {
    this.fields.push(name, value);
  }

  remove(name: string): void {
    const { raw, fields } = this;
    for (let index = 0, at = 0; index < raw.count; index++, at += 4) {
      if (raw.spans[at + 1] - raw.spans[at] !== name.length) continue;
      if (equalsIgnoreCase(raw.bytes, raw.spans[at], name)) this.hidden |= 1 << index;
    }
    for (let index = fields.length - 2; index >= 0; index -= 2) {
      if (fields[index] === name) fields.splice(index, 2);
    }
  }

  /** Every visible field in order, names lower case. */
  forEach(visit: (name: string, value: string) => void): void {
    const { raw, fields } = this;
    const { bytes, spans } = raw;
    for (let index = 0, at = 0; index < raw.count; index++, at += 4) {
      if ((this.hidden >>> index) & 1) continue;
      visit(
        fieldName(bytes, spans[at], spans[at + 1]),
        latin1(bytes, spans[at + 2], spans[at + 3]),
      );
    }
    for (let index = 0; index < fields.length; index += 2) visit(fields[index], fields[index + 1]);
  }

  /** What it took on the wire: of HTTP/1.1 as it came, of HTTP/2 and of our own its fields without compression. */
  get wireBytes(): number {
    let bytes = this.raw.fieldsEnd;
    const { fields } = this;
    for (let index = 0; index < fields.length; index += 1) bytes += fields[index].length;
    return bytes;
  }

  /** For writers: the parsed bytes, the fields of them to leave out, and the string fields. */
  get parts(): { raw: RawHead; hidden: number; fields: readonly string[] } {
    return { raw: this.raw, hidden: this.hidden, fields: this.fields };
  }

  /** A head that may be changed without changing this one; bytes stay shared. */
  clone(): MessageHead {
    const copy = new MessageHead();
    copy.method = this.method;
    copy.scheme = this.scheme;
    copy.authority = this.authority;
    copy.path = this.path;
    copy.status = this.status;
    copy.upgrade = this.upgrade;
    copy.raw = this.raw;
    copy.hidden = this.hidden;
    copy.fields = this.fields.slice();
    return copy;
  }

  /** Copies what is shared with the connection, so that the head may outlive its exchange. */
  retain(): this {
    const { raw } = this;
    if (raw.count === 0) return this;
    this.raw = {
      bytes: Buffer.from(raw.bytes.subarray(0, raw.fieldsEnd)),
      spans: raw.spans.slice(0, raw.count * 4),
      count: raw.count,
      hidden: raw.hidden,
      fieldsStart: raw.fieldsStart,
      fieldsEnd: raw.fieldsEnd,
    };
    return this;
  }
}

/** Whether the request asks for bytes both ways behind the answer's head: an upgrade, or CONNECT. */
export function isTunnel(request: MessageHead): boolean {
  return request.upgrade !== '' || request.method === 'CONNECT';
}
