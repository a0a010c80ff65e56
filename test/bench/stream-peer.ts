/**
 * `bun stream-peer.ts serve PORT | upload HOST PORT SECONDS | download HOST PORT SECONDS | hold HOST PORT COUNT [http]`: both ends
 * of the loads that no HTTP client makes. The first byte of a connection says what the server does with it. A client
 * prints one JSON line when its load is steady and one when it is over; `hold` keeps its connections until it is killed,
 * with `http` each after one answered request.
 */
import { systemClock } from '#base/clock.ts';

const UPLOAD = 0x55;
const DOWNLOAD = 0x44;
const ECHO = 0x45;
const WARM_UP_MS = 1_000;
/** One write: enough that the ends cost little beside the proxies. */
const CHUNK = Buffer.alloc(512 * 1024, 0x78);
/** Connections that `hold` dials at once; more would only measure accept queues. */
const DIALS = 100;

const REQUEST = Buffer.from('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');

type Peer = Bun.Socket<{ mode: number }>;

const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Until the socket is full; `drain` goes on. Bytes taken. */
function pump(socket: Peer): number {
  let sum = 0;
  for (;;) {
    const taken = socket.write(CHUNK);
    if (taken > 0) sum += taken;
    if (taken < CHUNK.length) return sum;
  }
}

function serve(port: number): void {
  Bun.listen<{ mode: number }>({
    hostname: '0.0.0.0',
    port,
    socket: {
      open(socket) {
        socket.data = { mode: 0 };
      },
      data(socket, bytes) {
        const { data } = socket;
        if (data.mode !== 0) return;
        data.mode = bytes[0];
        if (data.mode === DOWNLOAD) pump(socket);
        else if (data.mode === ECHO) socket.write(bytes.subarray(0, 1));
      },
      drain(socket) {
        if (socket.data.mode === DOWNLOAD) pump(socket);
      },
      error: () => undefined,
    },
  });
}

async function stream(direction: 'upload' | 'download', host: string, port: number, ms: number) {
  let bytes = 0;
  const count = (more: number) => {
    bytes += more;
  };
  const upload = direction === 'upload';
  const fail = (reason: string) => {
    say({ failed: reason });
    process.exit(1);
  };
  const socket = await Bun.connect<{ mode: number }>({
    hostname: host,
    port,
    socket: {
      open(opened) {
        opened.write(Buffer.from([upload ? UPLOAD : DOWNLOAD]));
        if (upload) count(pump(opened));
      },
      data: (_socket, chunk) => count(chunk.length),
      drain: (drained) => {
        if (upload) count(pump(drained));
      },
      close: () => fail('the connection was closed'),
      error: (_socket, error) => fail(String(error)),
    },
  });
  systemClock.after(WARM_UP_MS, () => {
    const began = systemClock.now();
    const before = bytes;
    say({ steady: true });
    systemClock.after(ms, () => {
      say({ bytes: bytes - before, seconds: (systemClock.now() - began) / 1000 });
      socket.terminate();
      process.exit(0);
    });
  });
}

/** Each connection counts once its byte came back: it is open from end to end. */
function hold(host: string, port: number, options: { wanted: number; hello: Buffer }): void {
  const { wanted, hello } = options;
  let started = 0;
  let open = 0;
  const kept: Peer[] = [];
  const fail = (reason: string) => {
    say({ failed: `${reason} after ${open} connections` });
    process.exit(1);
  };
  const next = () => {
    if (started === wanted) return;
    started++;
    Bun.connect<{ mode: number }>({
      hostname: host,
      port,
      socket: {
        open(socket) {
          socket.data = { mode: 0 };
          kept.push(socket);
          socket.write(hello);
        },
        data(socket) {
          if (socket.data.mode !== 0) return;
          socket.data.mode = ECHO;
          open++;
          if (open === wanted) say({ steady: true });
          else next();
        },
        close: () => fail('a connection was closed'),
        error: (_socket, error) => fail(String(error)),
      },
    }).catch((error: unknown) => fail(String(error)));
  };
  for (let index = 0; index < DIALS; index++) next();
}

const [verb, ...rest] = process.argv.slice(2);
if (verb === 'serve') serve(Number(rest[0]));
else if (verb === 'hold') {
  const hello = rest[3] === 'http' ? REQUEST : Buffer.from([ECHO]);
  hold(rest[0], Number(rest[1]), { wanted: Number(rest[2]), hello });
} else if (verb === 'upload' || verb === 'download')
  await stream(verb, rest[0], Number(rest[1]), Number(rest[2]) * 1000);
else {
  process.stderr.write('usage: stream-peer.ts serve|upload|download|hold …\n');
  process.exit(2);
}
