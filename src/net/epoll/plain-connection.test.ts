/** A plain connection over a kernel that does anything a kernel may do, edge-triggered as epoll(7) has it, and over real sockets. */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import { BunNetwork } from '../bun/bun-network.ts';
import type { Connection, ConnectionHandler } from '../connection.ts';
import { READ_BYTES, READS_IN_A_ROW_MAX } from '../limits.ts';
import * as abi from '../netns/constants.ts';
import type { Pinned } from '../netns/pinned.ts';
import { Outbox } from '../pipe/outbox.ts';
import type { Watched, Watcher } from './epoll-loop.ts';
import { PlainConnection } from './plain-connection.ts';
import type { SocketCalls } from './socket-calls.ts';

const FD = 7;
const EPIPE = 32;
const ECONNRESET = 104;
const ECONNREFUSED = 111;
const OVER = abi.EPOLLRDHUP | abi.EPOLLHUP | abi.EPOLLERR;
const REMOTE = { address: '192.0.2.1', port: 80 };

/** One socket, and the epoll instance that watches it. */
class ScriptedKernel implements SocketCalls, Watcher {
  readonly sent: number[] = [];
  closed: 'closed' | 'aborted' | undefined = undefined;
  connected = true;
  finished = false;
  #arrived: Uint8Array = new Uint8Array(0);
  #fin = false;
  #reset = 0;
  #told = false;
  #room = 0;
  #wantsRoom = false;
  /** An edge that no event has told of yet. */
  #edge = false;
  #watched: Watched | undefined = undefined;

  arrive(bytes: Uint8Array): void {
    if (this.#fin || this.#reset !== 0) return;
    this.#arrived = Buffer.concat([this.#arrived, bytes]);
    this.#edge = true;
  }

  fin(): void {
    this.#fin = true;
    this.#edge = true;
  }

  reset(code: number): void {
    this.#reset = code;
    this.#edge = true;
  }

  makeRoom(count: number): void {
    this.connected = true;
    this.#room += count;
    if (this.#wantsRoom && count > 0) this.#edge = true;
  }

  /** Tells of what is ready, once for each edge; whether there was one. */
  turn(): boolean {
    const watched = this.#watched;
    if (!this.#edge || watched === undefined) return false;
    this.#edge = false;
    watched.ready(this.#state());
    return true;
  }

  #state(): number {
    if (this.#reset !== 0) return abi.EPOLLIN | abi.EPOLLOUT | OVER;
    let events = this.#arrived.length > 0 || this.#fin ? abi.EPOLLIN : 0;
    if (this.#fin) events |= abi.EPOLLRDHUP;
    if (this.#fin && this.finished) events |= abi.EPOLLHUP;
    if (this.#room > 0 && this.connected) events |= abi.EPOLLOUT;
    this.#wantsRoom ||= this.#room === 0;
    return events;
  }

  nextSerial(): number {
    return 1;
  }

  add(fd: number, flags: number, watched: Watched): number {
    expect([fd, flags & abi.EPOLLET]).toEqual([FD, abi.EPOLLET]);
    this.#watched = watched;
    this.#edge = this.#state() !== 0;
    return 0;
  }

  again(): void {
    this.#open();
    this.#edge = this.#state() !== 0;
  }

  remove(): void {
    this.#watched = undefined;
  }

  receive(_fd: number, into: Pinned): number {
    this.#open();
    const count = Math.min(this.#arrived.length, into.bytes.length);
    if (count > 0) {
      into.bytes.set(this.#arrived.subarray(0, count));
      this.#arrived = this.#arrived.subarray(count);
      return count;
    }
    if (this.#reset !== 0) return -this.failure();
    return this.#fin ? 0 : -abi.EAGAIN;
  }

  send(_fd: number, bytes: Uint8Array): number {
    this.#open();
    expect(this.finished).toBe(false);
    if (this.#reset !== 0) return -(this.failure() || EPIPE);
    const count = Math.min(this.#room, bytes.length);
    this.sent.push(...bytes.subarray(0, count));
    this.#room -= count;
    this.#wantsRoom = count < bytes.length;
    return count === 0 && bytes.length > 0 ? -abi.EAGAIN : count;
  }

  finish(): void {
    this.#open();
    this.finished = true;
    if (this.#fin) this.#edge = true;
  }

  /** Told once, whoever asks. */
  failure(): number {
    const code = this.#told ? 0 : this.#reset;
    this.#told = true;
    return code;
  }

  close(): void {
    this.#open();
    this.closed = 'closed';
  }

  abort(): void {
    this.#open();
    this.closed = 'aborted';
  }

  #open(): void {
    expect(this.closed).toBeUndefined();
  }
}

/** Sends what is asked of it as there is room, and knows what it was told. */
class Script implements ConnectionHandler {
  readonly kernel: ScriptedKernel;
  readonly connection: PlainConnection;
  readonly received: Uint8Array[] = [];
  readonly said: string[] = [];
  error: MeshError | undefined = undefined;
  paused = false;
  held = false;
  readonly #outbox: Outbox;

  constructor(kernel: ScriptedKernel, role: 'accepted' | 'dialled') {
    this.kernel = kernel;
    const deps = { loop: kernel, calls: kernel };
    this.connection = new PlainConnection(FD, deps, { role, remote: REMOTE });
    this.connection.handler = this;
    this.#outbox = new Outbox(this.connection);
  }

  write(bytes: Uint8Array): void {
    this.#outbox.push(bytes);
  }

  get empty(): boolean {
    return this.#outbox.empty;
  }

  settle(): void {
    for (let turns = 0; this.kernel.turn(); turns++) expect(turns).toBeLessThan(1000);
  }

  onData(bytes: Uint8Array): void {
    expect([this.paused, this.held, this.said]).toEqual([false, false, []]);
    expect(bytes.length).toBeGreaterThan(0);
    this.received.push(new Uint8Array(bytes));
  }

  onDrain(): void {
    this.#outbox.flush();
  }

  onEnd(): void {
    expect([this.paused, this.held]).toEqual([false, false]);
    this.said.push('end');
  }

  onClose(error: MeshError | undefined): void {
    this.said.push('close');
    this.error = error;
  }
}

type Step = (script: Script, sum: { arrived: Uint8Array[]; written: Uint8Array[] }) => void;

const bytes = fc.uint8Array({ minLength: 1, maxLength: 40 });
const large = Uint8Array.from({ length: READ_BYTES + 1000 }, (_, index) => index & 255);

const STEP: fc.Arbitrary<Step> = fc.oneof(
  fc.oneof({ weight: 8, arbitrary: bytes }, { weight: 1, arbitrary: fc.constant(large) }).map(
    (chunk): Step =>
      ({ kernel }, { arrived }) => {
        kernel.arrive(chunk);
        arrived.push(chunk);
      },
  ),
  bytes.map(
    (chunk): Step =>
      (script, { written }) => {
        script.write(chunk);
        written.push(chunk);
      },
  ),
  fc.nat(60).map(
    (count): Step =>
      ({ kernel }) =>
        kernel.makeRoom(count),
  ),
  fc.constantFrom<Step>(
    (script) => void script.kernel.turn(),
    (script) => void script.kernel.turn(),
    (script) => {
      script.paused = true;
      script.connection.pause();
    },
    (script) => {
      script.paused = false;
      script.connection.resume();
    },
    (script) => {
      script.held = true;
      script.connection.hold();
    },
    (script) => {
      script.held = false;
      script.connection.release();
    },
    // Whatever an event says that was there all along.
    ({ connection }) => connection.ready(abi.EPOLLIN),
  ),
);

const sumOf = (chunks: readonly Uint8Array[]) => Buffer.concat(chunks);

function goOn(script: Script): void {
  script.paused = false;
  script.held = false;
  script.connection.resume();
  script.connection.release();
}

test('PlainConnection carries the same bytes both ways in any order of events, pauses and short writes, and ends once', () => {
  const cases = fc.property(
    fc.constantFrom('accepted' as const, 'dialled' as const),
    fc.array(STEP, { maxLength: 60 }),
    fc.array(STEP, { maxLength: 20 }),
    fc.boolean(),
    (role, before, between, peerEndsFirst) => {
      const kernel = new ScriptedKernel();
      kernel.connected = role === 'accepted';
      const script = new Script(kernel, role);
      const sum = { arrived: [] as Uint8Array[], written: [] as Uint8Array[] };
      for (const step of before) step(script, sum);
      if (peerEndsFirst) kernel.fin();
      else {
        kernel.makeRoom(1 << 20);
        script.settle();
        expect(script.empty).toBe(true);
        script.connection.end();
      }
      // The other direction is still open.
      const arrived = peerEndsFirst ? [] : sum.arrived;
      const written = peerEndsFirst ? sum.written : [];
      for (const step of between) step(script, { arrived, written });
      expect(script.said).not.toContain('close');
      goOn(script);
      kernel.makeRoom(1 << 20);
      script.settle();
      if (peerEndsFirst) {
        expect(script.said).toEqual(['end']);
        expect(script.empty).toBe(true);
        script.connection.end();
      } else {
        kernel.fin();
        script.settle();
      }
      expect(script.said).toEqual(['end', 'close']);
      expect(script.error).toBeUndefined();
      expect(kernel.closed).toBe('closed');
      expect(Buffer.compare(sumOf(script.received), sumOf(sum.arrived))).toBe(0);
      expect(Buffer.compare(Uint8Array.from(kernel.sent), sumOf(sum.written))).toBe(0);
      expect(script.connection.write(large)).toBe(0);
    },
  );
  fc.assert(cases, { numRuns: 300 });
});

test('PlainConnection says a reset once, whatever came before it and whoever is the first to meet it', async () => {
  const cases = fc.asyncProperty(
    fc.array(STEP, { maxLength: 40 }),
    fc.boolean(),
    fc.boolean(),
    async (steps, ended, writes) => {
      const kernel = new ScriptedKernel();
      const script = new Script(kernel, 'accepted');
      const sum = { arrived: [] as Uint8Array[], written: [] as Uint8Array[] };
      for (const step of steps) step(script, sum);
      if (ended) {
        kernel.fin();
        goOn(script);
        script.settle();
      }
      kernel.reset(ECONNRESET);
      if (writes) expect(script.connection.write(large)).toBe(0);
      script.settle();
      await Promise.resolve();
      expect(script.said).toEqual(ended ? ['end', 'close'] : ['close']);
      expect([script.error?.code, script.error?.side]).toEqual(['NET_RESET', 'downstream']);
      const whole = sumOf(sum.arrived);
      const seen = sumOf(script.received);
      expect(Buffer.compare(seen, whole.subarray(0, seen.length))).toBe(0);
    },
  );
  await fc.assert(cases, { numRuns: 200 });
});

test('PlainConnection of a dial that is refused says why, and of one that is connected onDrain', () => {
  const refused = new ScriptedKernel();
  refused.connected = false;
  const script = new Script(refused, 'dialled');
  refused.reset(ECONNREFUSED);
  script.settle();
  expect(script.error?.cause).toMatchObject({ message: 'ECONNREFUSED' });
  expect([script.error?.side, script.said]).toEqual(['upstream', ['close']]);
  const answered = new ScriptedKernel();
  answered.connected = false;
  const connected = new Script(answered, 'dialled');
  let drains = 0;
  connected.onDrain = () => {
    drains += 1;
  };
  connected.settle();
  expect(drains).toBe(0);
  answered.makeRoom(1);
  connected.settle();
  expect(drains).toBe(1);
});

test('PlainConnection lets others have their turn after READS_IN_A_ROW_MAX full reads, and reads on in the next', () => {
  const kernel = new ScriptedKernel();
  const script = new Script(kernel, 'accepted');
  script.settle();
  kernel.arrive(new Uint8Array((READS_IN_A_ROW_MAX + 1) * READ_BYTES));
  kernel.turn();
  expect(script.received.length).toBe(READS_IN_A_ROW_MAX);
  kernel.turn();
  expect(script.received.length).toBe(READS_IN_A_ROW_MAX + 1);
});

test('PlainConnection resets once and tells its handler within the call', () => {
  const kernel = new ScriptedKernel();
  const script = new Script(kernel, 'accepted');
  script.connection.reset();
  script.connection.reset();
  script.connection.end();
  expect([kernel.closed, script.said, script.error?.code, script.connection.fd]).toEqual([
    'aborted',
    ['close'],
    'NET_RESET_LOCAL',
    -1,
  ]);
});

/** Sends the chunks one by one and its FIN behind them, pausing its own reading now and then. */
class Talker implements ConnectionHandler {
  readonly received: Uint8Array[] = [];
  readonly closed = Promise.withResolvers<MeshError | undefined>();
  readonly #connection: Connection;
  readonly #chunks: Uint8Array[];
  readonly #outbox: Outbox;

  constructor(connection: Connection, chunks: readonly Uint8Array[]) {
    this.#connection = connection;
    this.#chunks = [...chunks];
    this.#outbox = new Outbox(connection);
    setImmediate(() => this.#next());
  }

  #next(): void {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#outbox.push(chunk);
      setImmediate(() => this.#next());
    } else if (this.#outbox.empty) this.#connection.end();
  }

  onData(bytes: Uint8Array): void {
    this.received.push(new Uint8Array(bytes));
    if (bytes.length % 3 !== 0) return;
    this.#connection.pause();
    setImmediate(() => this.#connection.resume());
  }

  onDrain(): void {
    if (this.#outbox.empty) return;
    if (this.#outbox.flush() && this.#chunks.length === 0) this.#connection.end();
  }

  onEnd(): void {
    return;
  }

  onClose(error: MeshError | undefined): void {
    this.closed.resolve(error);
  }
}

test('plain connections over real sockets carry any chunks both ways and close in order', async () => {
  const network = new BunNetwork({ clock: systemClock });
  const chunk = fc.oneof(
    { weight: 6, arbitrary: fc.uint8Array({ maxLength: 3000 }) },
    { weight: 1, arbitrary: fc.constant(new Uint8Array(3_000_000).fill(9)) },
  );
  const cases = fc.asyncProperty(
    fc.array(chunk, { maxLength: 12 }),
    fc.array(chunk, { maxLength: 12 }),
    async (there, back) => {
      const accepted = Promise.withResolvers<Talker>();
      const listener = network.listen({ address: '127.0.0.1', port: 0 }, (connection) => {
        const talker = new Talker(connection, back);
        accepted.resolve(talker);
        return talker;
      });
      const dialled = Promise.withResolvers<Talker>();
      network.connect(
        { address: '127.0.0.1', port: listener.port, connectTimeoutMs: 5000 },
        {
          onOpen(connection) {
            const talker = new Talker(connection, there);
            dialled.resolve(talker);
            return talker;
          },
          onFail: dialled.reject,
        },
      );
      const [near, far] = await Promise.all([dialled.promise, accepted.promise]);
      const errors = await Promise.all([near.closed.promise, far.closed.promise]);
      listener.stop();
      expect(errors).toEqual([undefined, undefined]);
      expect(Buffer.compare(sumOf(far.received), sumOf(there))).toBe(0);
      expect(Buffer.compare(sumOf(near.received), sumOf(back))).toBe(0);
    },
  );
  await fc.assert(cases, { numRuns: 25 });
}, 20_000);
