/**
 * An upstream that writes down what it gets, byte by byte, and answers each message that a simple strict reader of its own
 * finds in it: what a proxy lets through is judged on what arrives, not on what the proxy's parser thought.
 */
import { createServer, type Socket } from 'node:net';

export interface ReceivedRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case, in order; connection fields are among them. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly (readonly [name: string, value: string])[];
}

export interface RecordingUpstream extends AsyncDisposable {
  readonly port: number;
  /** What came on each connection that sent something. */
  readonly bytes: readonly string[];
  readonly requests: readonly ReceivedRequest[];
  /** Why the reader gave a connection up: it must never have to. */
  readonly faults: readonly string[];
  forget(): void;
}

const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

export async function recordingUpstream(answer = ANSWER): Promise<RecordingUpstream> {
  const sockets = new Set<Socket>();
  let bytes: string[] = [];
  let requests: ReceivedRequest[] = [];
  let faults: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    let text = '';
    let all = '';
    let index = -1;
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      const piece = chunk.toString('latin1');
      text += piece;
      all += piece;
      if (index < 0 || bytes[index] === undefined) index = bytes.length;
      bytes[index] = all;
      while (text !== '') {
        const got = readRequest(text);
        if (got === undefined) return;
        if (typeof got === 'string') {
          faults.push(got);
          socket.destroy();
          return;
        }
        text = text.slice(got.length);
        requests.push(got.request);
        socket.write(got.request.method === 'HEAD' ? ANSWER.slice(0, -2) : answer, 'latin1');
      }
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    get bytes() {
      return bytes;
    },
    get requests() {
      return requests;
    },
    get faults() {
      return faults;
    },
    forget() {
      bytes = [];
      requests = [];
      faults = [];
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

type Fields = [name: string, value: string][];

/** One request from the beginning of `text`; undefined while it is not whole, a reason when nobody may send it so. */
function readRequest(
  text: string,
): { request: ReceivedRequest; length: number } | string | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return undefined;
  const [line, ...lines] = text.slice(0, headEnd).split('\r\n');
  const start = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP\/1\.1$/.exec(line);
  if (start === null) return `start line ${JSON.stringify(line)}`;
  const fields = readFields(lines);
  if (typeof fields === 'string') return fields;
  const all = (name: string) =>
    fields.filter(([field]) => field === name).map(([, value]) => value);
  if (all('host').length !== 1) return `${all('host').length} Hosts`;
  const lengths = all('content-length');
  const codings = all('transfer-encoding');
  if (lengths.length + codings.length > 1) return 'more than one framing field';
  const from = headEnd + 4;
  const request = { method: start[1], target: start[2], fields };
  if (codings.length === 1) {
    if (codings[0] !== 'chunked') return `coding ${codings[0]}`;
    const chunked = readChunks(text, from);
    if (typeof chunked !== 'object') return chunked;
    const { body, trailers, end } = chunked;
    return { request: { ...request, body, trailers }, length: end };
  }
  if (lengths.length === 1 && !/^\d+$/.test(lengths[0])) return `length ${lengths[0]}`;
  const length = lengths.length === 1 ? Number(lengths[0]) : 0;
  if (text.length < from + length) return undefined;
  const body = text.slice(from, from + length);
  return { request: { ...request, body, trailers: [] }, length: from + length };
}

function readFields(lines: readonly string[]): Fields | string {
  const fields: Fields = [];
  for (const line of lines) {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\t -~\x80-\xff])*?)[ \t]*$/.exec(line);
    if (match === null) return `field line ${JSON.stringify(line)}`;
    fields.push([match[1].toLowerCase(), match[2]]);
  }
  return fields;
}

function readChunks(
  text: string,
  from: number,
): { body: string; trailers: Fields; end: number } | string | undefined {
  let at = from;
  let body = '';
  while (true) {
    const lineEnd = text.indexOf('\r\n', at);
    if (lineEnd < 0) return undefined;
    const size = text.slice(at, lineEnd);
    if (!/^[0-9a-f]{1,8}$/i.test(size)) return `chunk size ${JSON.stringify(size)}`;
    const count = Number.parseInt(size, 16);
    at = lineEnd + 2;
    if (count === 0) break;
    if (text.length < at + count + 2) return undefined;
    body += text.slice(at, at + count);
    at += count;
    if (text.slice(at, at + 2) !== '\r\n') return 'chunk end';
    at += 2;
  }
  if (text.startsWith('\r\n', at)) return { body, trailers: [], end: at + 2 };
  const end = text.indexOf('\r\n\r\n', at);
  if (end < 0) return undefined;
  const trailers = readFields(text.slice(at, end).split('\r\n'));
  return typeof trailers === 'string' ? trailers : { body, trailers, end: end + 4 };
}
