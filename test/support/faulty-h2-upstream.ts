/** An HTTP/2 upstream that answers each request head with the same frames, right or wrong, and counts what it got. */
import { createServer, type Socket } from 'node:net';
import { STALE_CONNECTION_RETRIES_MAX } from '#waypoint/limits.ts';
import * as code from '#wire/h2/codes.ts';
import { CLIENT_PREFACE, writeFrameHeader } from '#wire/h2/frame.ts';
import { FRAME_HEADER_BYTES } from '#wire/h2/limits.ts';
import type { FaultRow } from './faulty-upstream.ts';
import { frame, headers, settings, uint32Frame } from './h2-script.ts';

export interface FaultyH2Upstream extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
  readonly requests: number;
}

type Act = (socket: Socket, id: number) => void;

export async function faultyH2Upstream(act: Act): Promise<FaultyH2Upstream> {
  let connections = 0;
  let requests = 0;
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let left = Buffer.alloc(0);
    let counted = false;
    let greeted = false;
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.write(settings(), 'latin1');
    socket.on('data', (bytes: Buffer) => {
      left = Buffer.concat([left, bytes]);
      if (!greeted && left.length >= CLIENT_PREFACE.length) {
        greeted = true;
        left = left.subarray(CLIENT_PREFACE.length);
      }
      while (greeted && left.length >= FRAME_HEADER_BYTES) {
        const next = FRAME_HEADER_BYTES + left.readUIntBE(0, 3);
        if (left.length < next) return;
        const [type, flags, id] = [left[3], left[4], left.readUInt32BE(5)];
        left = left.subarray(next);
        if (type === code.SETTINGS && (flags & code.FLAG_ACK) === 0) {
          socket.write(frame(code.SETTINGS, code.FLAG_ACK, 0), 'latin1');
        }
        if (type !== code.HEADERS) continue;
        if (!counted) connections += 1;
        counted = true;
        requests += 1;
        act(socket, id);
      }
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  return {
    port,
    get connections() {
      return connections;
    },
    get requests() {
      return requests;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

export interface H2FaultRow extends Omit<FaultRow, 'act' | 'connections'> {
  readonly act: Act;
  readonly connections: number;
  /** That arrive for the two; 2 when it is left out. */
  readonly requests?: number;
}

/** Each of the two requests is sent on another connection in place of the one that excluded it, so often. */
const EXCLUDED_TRIES = 2 * (1 + STALE_CONNECTION_RETRIES_MAX);

const say =
  (...frames: ((id: number) => string)[]): Act =>
  (socket, id) =>
    void socket.write(frames.map((each) => each(id)).join(''), 'latin1');
const head =
  (end: boolean, ...fields: string[]) =>
  (id: number) =>
    headers(id, end, ':status', '200', ...fields);
const data = (text: string, end: boolean) => (id: number) =>
  frame(code.DATA, end ? code.FLAG_END_STREAM : 0, id, Buffer.from(text));
const reset = (errorCode: number) => (id: number) => uint32Frame(code.RST_STREAM, id, errorCode);
const goAway = (last: number, errorCode: number) => () => {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(last, 0);
  payload.writeUInt32BE(errorCode, 4);
  return frame(code.GOAWAY, 0, 0, payload);
};
/** A header claims more than an HTTP/2 frame may have. */
const hugeFrame = () => {
  const bytes = Buffer.alloc(FRAME_HEADER_BYTES);
  writeFrameHeader(bytes, 0, 0xffffff, code.PING, 0, 0);
  return bytes.toString('latin1');
};

const BEFORE = 'upstream_reset_before_response_started';
const AFTER = 'upstream_reset_after_response_started';

export const H2_FAULT_ROWS: readonly H2FaultRow[] = [
  {
    title: 'an answer',
    act: say(head(false), data('ok', true)),
    client: '200 whole',
    log: '- via_upstream',
    connections: 1,
  },
  {
    title: 'an answer and a reset without error',
    act: say(head(false), data('ok', true), reset(code.NO_ERROR)),
    client: '200 whole',
    log: '- via_upstream',
    connections: 1,
  },
  {
    title: 'a reset',
    act: say(reset(code.INTERNAL_ERROR)),
    client: '503 whole',
    log: `UR ${BEFORE}{remote_reset}`,
    connections: 1,
  },
  {
    title: 'a refusal',
    act: say(reset(code.REFUSED_STREAM)),
    client: '503 whole',
    log: `UR ${BEFORE}{remote_refused_stream_reset}`,
    connections: 1,
  },
  {
    title: 'a reset within the body',
    act: say(head(false), data('ok', false), reset(code.INTERNAL_ERROR)),
    client: '200 broken',
    log: `UR ${AFTER}{remote_reset}`,
    connections: 1,
  },
  {
    title: 'the end of the connection',
    act: (socket) => void socket.end(),
    client: '503 whole',
    log: `UC ${BEFORE}{connection_termination}`,
    connections: 2,
  },
  {
    title: 'the end of the connection within the body',
    act: (socket, id) => void socket.end(head(false)(id) + data('ok', false)(id), 'latin1'),
    client: '200 broken',
    log: `UC ${AFTER}{connection_termination}`,
    connections: 2,
  },
  {
    title: 'GOAWAY that leaves the stream out',
    act: say(goAway(0, code.NO_ERROR)),
    client: '503 whole',
    log: `UR ${BEFORE}{remote_refused_stream_reset}`,
    connections: EXCLUDED_TRIES,
    requests: EXCLUDED_TRIES,
  },
  {
    title: 'GOAWAY, then the answer',
    act: say(goAway(0x7fffffff, code.NO_ERROR), head(false), data('ok', true)),
    client: '200 whole',
    log: '- via_upstream',
    connections: 2,
  },
  {
    title: 'HTTP/1.1',
    act: (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n'),
    client: '502 whole',
    log: `UPE ${BEFORE}{protocol_error}`,
    connections: 2,
  },
  {
    title: 'a frame over the maximum',
    act: say(hugeFrame),
    client: '502 whole',
    log: `UPE ${BEFORE}{protocol_error}`,
    connections: 2,
  },
  {
    title: 'a head without :status',
    act: say((id) => headers(id, true, 'x', 'y')),
    client: '502 whole',
    log: `UPE ${BEFORE}{protocol_error}`,
    connections: 1,
  },
  {
    title: 'a head with a connection field',
    act: say(head(true, 'connection', 'close')),
    client: '502 whole',
    log: `UPE ${BEFORE}{protocol_error}`,
    connections: 1,
  },
  {
    title: 'DATA before a head',
    act: say(data('ok', true)),
    client: '502 whole',
    log: `UPE ${BEFORE}{protocol_error}`,
    connections: 1,
  },
  {
    title: 'more DATA than Content-Length',
    act: say(head(false, 'content-length', '1'), data('ok', true)),
    client: '200 broken',
    log: `UPE ${AFTER}{protocol_error}`,
    connections: 1,
  },
  {
    title: 'less DATA than Content-Length',
    act: say(head(false, 'content-length', '9'), data('ok', true)),
    client: '200 broken',
    log: `UPE ${AFTER}{protocol_error}`,
    connections: 1,
  },
];
