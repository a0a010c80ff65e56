/**
 * Server-sent events out of bytes, in whatever pieces these come (WHATWG HTML §9.2.6). EventSource looks at each byte of a graph of 15 MB on its own; here a
 * line is found by the engine and decoded at once.
 */

export interface StreamEvent {
  /** `message` where the stream names none. */
  readonly name: string;
  readonly data: string;
}

const LINE_FEED = 10;

export class EventReader {
  readonly #decoder = new TextDecoder();
  /** Of a line that has not ended. Decoded as it comes: while more is on its way there is time. */
  #begun: string[] = [];
  #name = '';
  #data: string[] = [];

  /** The events that end in these bytes. */
  push(bytes: Uint8Array): StreamEvent[] {
    const events: StreamEvent[] = [];
    let from = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, from);
      if (end < 0) break;
      this.#begun.push(this.#decoder.decode(bytes.subarray(from, end)));
      const line = this.#begun.length === 1 ? this.#begun[0] : this.#begun.join('');
      this.#begun = [];
      const event = this.#line(line.endsWith('\r') ? line.slice(0, -1) : line);
      if (event !== undefined) events.push(event);
      from = end + 1;
    }
    if (from < bytes.length)
      this.#begun.push(this.#decoder.decode(bytes.subarray(from), { stream: true }));
    return events;
  }

  #line(line: string): StreamEvent | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const [field, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), valueAfter(line, colon)];
    // Comments have no name; ids and retry times are none of ours.
    if (field === 'event') this.#name = value;
    else if (field === 'data') this.#data.push(value);
    return undefined;
  }

  #dispatch(): StreamEvent | undefined {
    const [name, data] = [this.#name, this.#data];
    this.#name = '';
    this.#data = [];
    if (data.length === 0) return undefined;
    return { name: name === '' ? 'message' : name, data: data.join('\n') };
  }
}

/** One space after the colon belongs to it. */
function valueAfter(line: string, colon: number): string {
  return line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
}
