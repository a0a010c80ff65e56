/**
 * The cases of gRPC's interoperability tests (grpc/grpc doc/interop-test-descriptions.md) with grpc-js at both ends and a running
 * engine between them, over HTTP/2 with prior knowledge; and what a gRPC caller hears of HTTP errors on the way.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { createServer, type ServerHttp2Stream } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { type HttpEngine, httpEngine } from '#test/support/http-engine.ts';

/** Messages are JSON here: what a proxy carries is bytes. `payload` counts bytes that the encoding adds. */
interface Message {
  payload?: number;
  /** Sizes of the responses asked for. */
  responses?: number[];
  status?: { code: number; message: string };
}

const PATH = '/grpc.testing.TestService';
const SPECIAL = '\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n';
const ECHO_INITIAL = 'x-grpc-test-echo-initial';
const ECHO_TRAILING = 'x-grpc-test-echo-trailing-bin';
const TRAILING = Buffer.from([0xab, 0xab, 0xab]);

const serialize = (message: Message): Buffer => {
  const { payload = 0, ...rest } = message;
  const head = Buffer.from(JSON.stringify({ ...rest, payload }));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(head.length);
  return Buffer.concat([length, head, Buffer.alloc(payload, 'x')]);
};
const deserialize = (bytes: Buffer): Message => {
  const head = bytes.readUInt32BE();
  const message = JSON.parse(bytes.toString('utf8', 4, 4 + head)) as Message;
  expect(bytes.length - 4 - head).toBe(message.payload ?? 0);
  return message;
};

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `${PATH}/${name}`,
    ...{ requestStream, responseStream },
    ...{ requestSerialize: serialize, requestDeserialize: deserialize },
    ...{ responseSerialize: serialize, responseDeserialize: deserialize },
  };
}

const SERVICE = {
  EmptyCall: method('EmptyCall', false, false),
  UnaryCall: method('UnaryCall', false, false),
  StreamingInputCall: method('StreamingInputCall', true, false),
  StreamingOutputCall: method('StreamingOutputCall', false, true),
  FullDuplexCall: method('FullDuplexCall', true, true),
};

type Call = grpc.ServerUnaryCall<Message, Message> | grpc.ServerDuplexStream<Message, Message>;

/** Sends the client's metadata back; the trailing part. */
function echoMetadata(call: Call): grpc.Metadata {
  const [initial] = call.metadata.get(ECHO_INITIAL);
  if (initial !== undefined) {
    const metadata = new grpc.Metadata();
    metadata.set(ECHO_INITIAL, initial);
    call.sendMetadata(metadata);
  }
  const trailing = new grpc.Metadata();
  const [echo] = call.metadata.get(ECHO_TRAILING);
  if (echo !== undefined) trailing.set(ECHO_TRAILING, echo);
  return trailing;
}

const HANDLERS: grpc.UntypedServiceImplementation = {
  EmptyCall: (_call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) =>
    done(null, {}),
  UnaryCall(call: grpc.ServerUnaryCall<Message, Message>, done: grpc.sendUnaryData<Message>) {
    const trailing = echoMetadata(call);
    const { status, responses } = call.request;
    if (status !== undefined) done({ code: status.code, details: status.message });
    else done(null, { payload: responses?.[0] ?? 0 }, trailing);
  },
  StreamingInputCall(
    call: grpc.ServerReadableStream<Message, Message>,
    done: grpc.sendUnaryData<Message>,
  ) {
    let sum = 0;
    call.on('data', ({ payload = 0 }: Message) => {
      sum += payload;
    });
    call.on('end', () => done(null, { responses: [sum] }));
  },
  StreamingOutputCall(call: grpc.ServerWritableStream<Message, Message>) {
    for (const payload of call.request.responses ?? []) call.write({ payload });
    call.end();
  },
  FullDuplexCall(call: grpc.ServerDuplexStream<Message, Message>) {
    const trailing = echoMetadata(call);
    call.on('data', ({ responses, status }: Message) => {
      if (status !== undefined) {
        call.emit('error', { code: status.code, details: status.message });
        return;
      }
      for (const payload of responses ?? []) call.write({ payload });
    });
    call.on('end', () => call.end(trailing));
  },
};

const LARGE = { request: 271_828, response: 314_159 };
const SIZES = [31_415, 9, 2_653, 58_979];
const INPUTS = [27_182, 8, 1_828, 45_904];

interface Outcome {
  readonly messages: readonly Message[];
  readonly status: grpc.StatusObject;
}

describe('through a waypoint engine', () => {
  let server: grpc.Server;
  let mesh: HttpEngine;
  let client: grpc.Client;

  beforeAll(async () => {
    server = new grpc.Server();
    server.addService(SERVICE, HANDLERS);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    mesh = httpEngine({ upstreamPort: port, protocol: 'grpc' });
    client = new grpc.Client(`127.0.0.1:${mesh.port}`, grpc.credentials.createInsecure());
  });
  afterAll(() => {
    client.close();
    mesh[Symbol.dispose]();
    server.forceShutdown();
  });

  function unary(
    name: string,
    message: Message,
    options: { metadata?: grpc.Metadata; deadlineMs?: number } = {},
  ): Promise<{ message?: Message; status: grpc.StatusObject; initial?: grpc.Metadata }> {
    const { metadata = new grpc.Metadata(), deadlineMs } = options;
    const { promise, resolve } = Promise.withResolvers<{
      message?: Message;
      status: grpc.StatusObject;
      initial?: grpc.Metadata;
    }>();
    let answer: Message | undefined;
    let initial: grpc.Metadata | undefined;
    const call = client.makeUnaryRequest(
      `${PATH}/${name}`,
      serialize,
      deserialize,
      message,
      metadata,
      deadlineMs === undefined ? {} : { deadline: new Date(Date.now() + deadlineMs) },
      (_error, value) => {
        answer = value;
      },
    );
    call.on('metadata', (value: grpc.Metadata) => {
      initial = value;
    });
    call.on('status', (status: grpc.StatusObject) =>
      setImmediate(() => resolve({ message: answer, status, initial })),
    );
    return promise;
  }

  function duplex(options: { metadata?: grpc.Metadata; deadlineMs?: number } = {}) {
    const { metadata = new grpc.Metadata(), deadlineMs } = options;
    return client.makeBidiStreamRequest(
      `${PATH}/FullDuplexCall`,
      serialize,
      deserialize,
      metadata,
      deadlineMs === undefined ? {} : { deadline: new Date(Date.now() + deadlineMs) },
    );
  }

  /** Everything until the status. */
  function outcome(
    call: grpc.ClientReadableStream<Message> | grpc.ClientDuplexStream<Message, Message>,
    onMessage?: (message: Message) => void,
  ): Promise<Outcome> {
    const messages: Message[] = [];
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    call.on('data', (message: Message) => {
      messages.push(message);
      onMessage?.(message);
    });
    call.on('error', () => undefined);
    call.on('status', (status: grpc.StatusObject) => resolve({ messages, status }));
    return promise;
  }

  test('empty_unary', async () => {
    const { message, status } = await unary('EmptyCall', {});
    expect([message, status.code]).toEqual([{ payload: 0 }, grpc.status.OK]);
  });

  test('large_unary', async () => {
    const { request, response } = LARGE;
    const { message } = await unary('UnaryCall', { payload: request, responses: [response] });
    expect(message?.payload).toBe(response);
  });

  test('client_streaming', async () => {
    const { promise, resolve } = Promise.withResolvers<Message | undefined>();
    const call = client.makeClientStreamRequest(
      ...([`${PATH}/StreamingInputCall`, serialize, deserialize] as const),
      (_error, value) => resolve(value),
    );
    for (const payload of INPUTS) call.write({ payload });
    call.end();
    expect((await promise)?.responses).toEqual([74_922]);
  });

  test('server_streaming', async () => {
    const call = client.makeServerStreamRequest(
      ...([`${PATH}/StreamingOutputCall`, serialize, deserialize, { responses: SIZES }] as const),
    );
    const { messages, status } = await outcome(call);
    expect([messages.map(({ payload }) => payload), status.code]).toEqual([SIZES, 0]);
  });

  test('ping_pong', async () => {
    const call = duplex();
    let next = 0;
    const send = () => {
      if (next < SIZES.length) call.write({ payload: INPUTS[next], responses: [SIZES[next++]] });
      else call.end();
    };
    const over = outcome(call, send);
    send();
    const { messages, status } = await over;
    expect([messages.map(({ payload }) => payload), status.code]).toEqual([SIZES, 0]);
  });

  test('empty_stream', async () => {
    const call = duplex();
    call.end();
    const { messages, status } = await outcome(call);
    expect([messages, status.code]).toEqual([[], 0]);
  });

  test('custom_metadata', async () => {
    const metadata = new grpc.Metadata();
    metadata.set(ECHO_INITIAL, 'test_initial_metadata_value');
    metadata.set(ECHO_TRAILING, TRAILING);
    const { initial, status } = await unary('UnaryCall', { responses: [1] }, { metadata });
    expect(initial?.get(ECHO_INITIAL)).toEqual(['test_initial_metadata_value']);
    expect(status.metadata.get(ECHO_TRAILING)).toEqual([TRAILING]);
    const call = duplex({ metadata });
    const heard = new Promise<grpc.Metadata>((resolve) => void call.once('metadata', resolve));
    call.write({ responses: [1] });
    call.end();
    const over = await outcome(call);
    expect((await heard).get(ECHO_INITIAL)).toEqual(['test_initial_metadata_value']);
    expect(over.status.metadata.get(ECHO_TRAILING)).toEqual([TRAILING]);
  });

  test('status_code_and_message', async () => {
    const status = { code: 2, message: 'test status message' };
    const one = await unary('UnaryCall', { status });
    expect([one.status.code, one.status.details]).toEqual([2, status.message]);
    const call = duplex();
    call.write({ status });
    call.end();
    const two = await outcome(call);
    expect([two.status.code, two.status.details]).toEqual([2, status.message]);
  });

  test('special_status_message', async () => {
    const { status } = await unary('UnaryCall', { status: { code: 2, message: SPECIAL } });
    expect([status.code, status.details]).toEqual([2, SPECIAL]);
  });

  test('unimplemented_method', async () => {
    const { status } = await unary('UnimplementedCall', {});
    expect(status.code).toBe(grpc.status.UNIMPLEMENTED);
  });

  test('cancel_after_begin', async () => {
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    const call = client.makeClientStreamRequest(
      ...([`${PATH}/StreamingInputCall`, serialize, deserialize] as const),
      (error) => resolve(error?.code),
    );
    call.cancel();
    expect(await promise).toBe(grpc.status.CANCELLED);
  });

  test('cancel_after_first_response', async () => {
    const call = duplex();
    const over = outcome(call, () => call.cancel());
    call.write({ payload: INPUTS[0], responses: [SIZES[0]] });
    const { messages, status } = await over;
    expect([messages.length, status.code]).toEqual([1, grpc.status.CANCELLED]);
  });

  test('timeout_on_sleeping_server', async () => {
    const call = duplex({ deadlineMs: 30 });
    call.write({ payload: INPUTS[0] });
    const { status } = await outcome(call);
    expect(status.code).toBe(grpc.status.DEADLINE_EXCEEDED);
  });

  test('every call has one log line, and none but those that run', async () => {
    // On Bun, grpc-js says nothing of a call that is cancelled right behind its head: that one may still run.
    while (mesh.engine.active > 1) await Bun.sleep(5);
    const lines = mesh
      .log()
      .split('\n')
      .filter((line) => line.includes(PATH));
    expect(lines.length).toBe(15 - mesh.engine.active);
  });
});

describe('HTTP errors', () => {
  const MAPPED: [http: number, code: number][] = [
    [400, grpc.status.INTERNAL],
    [401, grpc.status.UNAUTHENTICATED],
    [403, grpc.status.PERMISSION_DENIED],
    [404, grpc.status.UNIMPLEMENTED],
    [429, grpc.status.UNAVAILABLE],
    [502, grpc.status.UNAVAILABLE],
    [503, grpc.status.UNAVAILABLE],
    [504, grpc.status.UNAVAILABLE],
    [500, grpc.status.UNKNOWN],
  ];
  test.each(MAPPED)('%d of an upstream is %d to the caller', async (status, code) => {
    const upstream = createServer();
    upstream.on('stream', (stream: ServerHttp2Stream) => {
      stream.on('error', () => undefined);
      stream.respond({ ':status': status, 'content-type': 'text/plain' });
      stream.end('no');
    });
    await new Promise<void>((resolve) => void upstream.listen(0, '127.0.0.1', resolve));
    const { port } = upstream.address() as { port: number };
    using mesh = httpEngine({ upstreamPort: port, protocol: 'grpc' });
    expect(await callOnce(mesh.port)).toBe(code);
    upstream.close();
  });

  test('no upstream is UNAVAILABLE, in a head without a body', async () => {
    using mesh = httpEngine({ upstreamPort: 1, protocol: 'grpc' });
    expect(await callOnce(mesh.port)).toBe(grpc.status.UNAVAILABLE);
    expect(mesh.log()).toContain(' 200 UF ');
  });

  async function callOnce(port: number): Promise<number | undefined> {
    const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    const { promise, resolve } = Promise.withResolvers<number | undefined>();
    client.makeUnaryRequest(`${PATH}/EmptyCall`, serialize, deserialize, {}, (error) =>
      resolve(error?.code),
    );
    const code = await promise;
    client.close();
    return code;
  }
});
