/**
 * Flow control of an H2Connection against a model (RFC 9113 §5.2, §6.9): random commands of both peers and of the
 * consumers, and after each the windows must be what plain addition says.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { FakeClock } from '#test/support/fake-clock.ts';
import { Recorder } from '#test/support/h2-recorder.ts';
import { frame, framesOf, headers, post, settings, uint32Frame } from '#test/support/h2-script.ts';
import { ScriptedConnection, turn } from '#test/support/scripted-connection.ts';
import * as code from '#wire/h2/codes.ts';
import { WINDOW_BYTES_DEFAULT } from '#wire/h2/limits.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H2Connection } from './connection.ts';

const RUNS = { numRuns: 150 };

// ── sending ──

interface SentStream {
  recorder: Recorder;
  wanted: number;
  granted: number;
  sent: number;
  ended: boolean;
  gone: boolean;
}

interface SendModel {
  initialWindow: number;
  granted: number;
  sent: number;
  blocked: boolean;
  /** DATA may be framed long before it leaves, so its window is only checked while nothing ever waited. */
  everBlocked: boolean;
  streams: SentStream[];
}

interface SendReal {
  socket: ScriptedConnection;
  h2: H2Connection;
}

type SendCommand = fc.AsyncCommand<SendModel, SendReal>;

async function observeSent(model: SendModel, real: SendReal): Promise<void> {
  await turn();
  if (model.blocked) return;
  for (const { type, flags, id, payload } of framesOf(real.socket.take())) {
    if (type !== code.DATA) continue;
    const stream = model.streams[(id - 1) / 2];
    stream.sent += payload.length;
    model.sent += payload.length;
    stream.ended ||= (flags & code.FLAG_END_STREAM) !== 0;
    if (model.everBlocked || payload.length === 0) continue;
    expect(stream.sent).toBeLessThanOrEqual(stream.granted);
  }
  expect(model.sent).toBeLessThanOrEqual(model.granted);
  for (const stream of model.streams) {
    if (stream.gone) continue;
    expect(stream.ended).toBe(stream.sent === stream.wanted);
    expect(stream.recorder.stream?.sendWindow).toBe(stream.granted - stream.sent);
    // Nobody waits while both windows have room.
    const starved = stream.sent >= stream.granted || model.sent === model.granted;
    expect(stream.ended || starved).toBe(true);
  }
  expect(real.h2.closed).toBe(false);
}

function sendCommand(
  title: string,
  check: (model: SendModel) => boolean,
  act: (model: SendModel, real: SendReal) => void,
): SendCommand {
  return {
    check,
    run: (model, real) => {
      act(model, real);
      return observeSent(model, real);
    },
    toString: () => title,
  };
}

const live = (model: SendModel) => model.streams.filter(({ gone }) => !gone);
const pickLive = (model: SendModel, index: number) => live(model)[index % live(model).length];
const anyIndex = fc.nat(7);

const sendCommands: fc.Arbitrary<SendCommand>[] = [
  fc.nat(150_000).map((bytes) =>
    sendCommand(
      `open(${bytes})`,
      (model) => model.streams.length < 20,
      (model, real) => {
        const recorder = new Recorder();
        const request = MessageHead.request('POST', 'a', '/');
        recorder.stream = real.h2.openStream(request, false, recorder);
        const granted = model.initialWindow;
        model.streams.push({
          ...{ recorder, wanted: bytes, granted },
          ...{ sent: 0, ended: false, gone: false },
        });
        recorder.send(Buffer.alloc(bytes, 'a'), true);
      },
    ),
  ),
  fc.tuple(anyIndex, fc.integer({ min: 1, max: 100_000 })).map(([index, increment]) =>
    sendCommand(
      `widen(${index}, ${increment})`,
      (model) => live(model).length > 0,
      (model, real) => {
        const stream = pickLive(model, index);
        const id = model.streams.indexOf(stream) * 2 + 1;
        // The peer cannot know yet that it ended: such an update is allowed and ignored.
        if (!stream.ended) stream.granted += increment;
        real.socket.receive(uint32Frame(code.WINDOW_UPDATE, id, increment));
        if (stream.ended) stream.granted = stream.sent + (stream.recorder.stream?.sendWindow ?? 0);
      },
    ),
  ),
  fc.integer({ min: 1, max: 200_000 }).map((increment) =>
    sendCommand(
      `widenAll(${increment})`,
      () => true,
      (model, real) => {
        model.granted += increment;
        real.socket.receive(uint32Frame(code.WINDOW_UPDATE, 0, increment));
      },
    ),
  ),
  fc.nat(120_000).map((window) =>
    sendCommand(
      `initialWindow(${window})`,
      () => true,
      (model, real) => {
        for (const stream of live(model)) stream.granted += window - model.initialWindow;
        model.initialWindow = window;
        real.socket.receive(settings(code.SETTINGS_INITIAL_WINDOW_SIZE, window));
      },
    ),
  ),
  fc.tuple(anyIndex, fc.boolean()).map(([index, ours]) =>
    sendCommand(
      ours ? `reset(${index})` : `peerReset(${index})`,
      (model) => live(model).length > 0,
      (model, real) => {
        const stream = pickLive(model, index);
        const id = model.streams.indexOf(stream) * 2 + 1;
        stream.gone = true;
        if (ours) stream.recorder.stream?.reset(code.CANCEL);
        else real.socket.receive(uint32Frame(code.RST_STREAM, id, code.CANCEL));
      },
    ),
  ),
  fc.nat(5000).map((room) =>
    sendCommand(
      `block(${room})`,
      (model) => !model.blocked,
      (model, real) => {
        model.blocked = true;
        model.everBlocked = true;
        real.socket.room = room;
      },
    ),
  ),
  fc.constant(
    sendCommand(
      'unblock',
      (model) => model.blocked,
      (model, real) => {
        model.blocked = false;
        real.socket.drain();
      },
    ),
  ),
];

// ── receiving ──

const STREAM_WINDOW = WINDOW_BYTES_DEFAULT;
const CONNECTION_WINDOW = 2 * WINDOW_BYTES_DEFAULT;

/** A consumer that counts, and can be armed to give up at its next bytes. */
class Consumer extends Recorder {
  consumed = 0;
  armed = false;

  override onData(bytes: Uint8Array): void {
    this.consumed += bytes.length;
    if (this.armed) this.stream?.reset(code.CANCEL);
  }
}

interface ReceivedStream {
  available: number;
  data: number;
  paused: boolean;
  ended: boolean;
  gone: boolean;
}

interface ReceiveModel {
  available: number;
  streams: ReceivedStream[];
}

interface ReceiveReal {
  socket: ScriptedConnection;
  h2: H2Connection;
  consumers: Consumer[];
}

type ReceiveCommand = fc.AsyncCommand<ReceiveModel, ReceiveReal>;

async function observeReceived(model: ReceiveModel, real: ReceiveReal): Promise<void> {
  await turn();
  expect(real.h2.closed).toBe(false);
  for (const { type, id, payload } of framesOf(real.socket.take())) {
    if (type === code.RST_STREAM) model.streams[(id - 1) / 2].gone = true;
    if (type !== code.WINDOW_UPDATE) continue;
    const increment = payload.readUInt32BE(0);
    if (id === 0) model.available += increment;
    else model.streams[(id - 1) / 2].available += increment;
  }
  let held = 0;
  model.streams.forEach((stream, index) => {
    if (stream.gone) return;
    const waiting = stream.data - real.consumers[index].consumed;
    expect(waiting === 0 || stream.paused).toBe(true);
    held += waiting;
    if (stream.ended) return;
    expect(stream.available + waiting).toBeLessThanOrEqual(STREAM_WINDOW);
    expect(stream.available + waiting).toBeGreaterThan(STREAM_WINDOW / 2);
  });
  // Neither lost nor granted twice, whatever was consumed, padded, dropped or reset.
  expect(model.available + held).toBeLessThanOrEqual(CONNECTION_WINDOW);
  expect(model.available + held).toBeGreaterThan(CONNECTION_WINDOW / 2);
}

function receiveCommand(
  title: string,
  check: (model: ReceiveModel) => boolean,
  act: (model: ReceiveModel, real: ReceiveReal) => void,
): ReceiveCommand {
  return {
    check,
    run: (model, real) => {
      act(model, real);
      return observeReceived(model, real);
    },
    toString: () => title,
  };
}

const onStream = (
  title: string,
  act: (model: ReceiveModel, real: ReceiveReal, index: number) => void,
) =>
  anyIndex.map((index) =>
    receiveCommand(
      `${title}(${index})`,
      (model) => model.streams.length > 0,
      (model, real) => act(model, real, index % model.streams.length),
    ),
  );

const receiveCommands: fc.Arbitrary<ReceiveCommand>[] = [
  fc.constant(
    receiveCommand(
      'open',
      (model) => model.streams.length < 20,
      (model, real) => {
        const id = model.streams.length * 2 + 1;
        const available = STREAM_WINDOW;
        model.streams.push({ available, data: 0, paused: false, ended: false, gone: false });
        real.socket.receive(post(id));
      },
    ),
  ),
  fc
    .record({ index: anyIndex, bytes: fc.nat(40_000), padding: fc.nat(255), end: fc.boolean() })
    .map(({ index, bytes, padding, end }) =>
      receiveCommand(
        `data(${index}, ${bytes}, ${padding}${end ? ', end' : ''})`,
        (model) => model.streams.length > 0,
        (model, real) => {
          const at = index % model.streams.length;
          const stream = model.streams[at];
          if (stream.ended) return;
          const overhead = padding === 0 ? 0 : 1 + padding;
          const room = Math.min(stream.available, model.available) - overhead;
          if (room < 0) return;
          const count = Math.min(bytes, room);
          const payload = Buffer.alloc(overhead + count);
          if (overhead > 0) payload[0] = padding;
          stream.available -= payload.length;
          model.available -= payload.length;
          stream.data += count;
          stream.ended = end;
          const flags = (end ? code.FLAG_END_STREAM : 0) | (overhead > 0 ? code.FLAG_PADDED : 0);
          real.socket.receive(frame(code.DATA, flags, at * 2 + 1, payload));
        },
      ),
    ),
  onStream('pause', (model, real, index) => {
    model.streams[index].paused = true;
    real.consumers[index].stream?.pause();
  }),
  onStream('resume', (model, real, index) => {
    model.streams[index].paused = false;
    real.consumers[index].stream?.resume();
  }),
  onStream('reset', (model, real, index) => {
    model.streams[index].gone = true;
    real.consumers[index].stream?.reset(code.CANCEL);
  }),
  onStream('resetAtNextBytes', (_model, real, index) => {
    real.consumers[index].armed = true;
  }),
  onStream('peerReset', (model, real, index) => {
    const stream = model.streams[index];
    if (stream.ended) return;
    stream.gone = true;
    stream.ended = true;
    real.socket.receive(uint32Frame(code.RST_STREAM, index * 2 + 1, code.CANCEL));
  }),
  onStream('trailers', (model, real, index) => {
    const stream = model.streams[index];
    if (stream.ended) return;
    stream.ended = true;
    real.socket.receive(headers(index * 2 + 1, true, 'x-sum', '1'));
  }),
];

const QUIET = { onChange: () => undefined, onClose: () => undefined };

describe('H2Connection flow control equals its model', () => {
  test('sending: never over a window, never idle under both, whatever the peer and the socket do', async () => {
    const property = fc.asyncProperty(
      fc.commands(sendCommands, { maxCommands: 60, size: 'max' }),
      (commands) =>
        fc.asyncModelRun(() => {
          const socket = new ScriptedConnection();
          const handler = { ...QUIET, onStream: () => undefined };
          const h2 = new H2Connection(
            socket,
            { clock: new FakeClock() },
            { role: 'client' },
            handler,
          );
          socket.handler = h2;
          socket.receive(settings());
          const windows = { initialWindow: WINDOW_BYTES_DEFAULT, granted: WINDOW_BYTES_DEFAULT };
          const model = { ...windows, sent: 0, blocked: false, everBlocked: false, streams: [] };
          return { model, real: { socket, h2 } };
        }, commands),
    );
    await fc.assert(property, RUNS);
  }, 30_000);

  test('receiving: every byte is credited once, whoever pauses, pads, resets or ends', async () => {
    const property = fc.asyncProperty(
      fc.commands(receiveCommands, { maxCommands: 60, size: 'max' }),
      (commands) =>
        fc.asyncModelRun(() => {
          const socket = new ScriptedConnection();
          const consumers: Consumer[] = [];
          const h2 = new H2Connection(
            socket,
            { clock: new FakeClock() },
            {
              role: 'server',
              streamWindowBytes: STREAM_WINDOW,
              connectionWindowBytes: CONNECTION_WINDOW,
            },
            {
              ...QUIET,
              onStream: (stream) => {
                const consumer = new Consumer();
                consumer.stream = stream;
                stream.handler = consumer;
                consumers.push(consumer);
              },
            },
          );
          socket.handler = h2;
          socket.receive(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings()}`);
          const model = { available: WINDOW_BYTES_DEFAULT, streams: [] };
          return { model, real: { socket, h2, consumers } };
        }, commands),
    );
    await fc.assert(property, RUNS);
  }, 30_000);
});
