/** Our channel against grpc-js's server, grpc-js's client against our server: an implementation that is not ours. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { systemClock } from '#base/clock.ts';
import type { MeshError } from '#base/errors.ts';
import type { TlsIdentity } from '#net/connection.ts';
import { createTestCa } from '#test/support/certificates.ts';
import { type GrpcChannel, openChannel } from './channel.ts';
import { type GrpcServer, GrpcStatusError, startGrpcServer } from './server.ts';
import { GRPC_STATUS } from './status.ts';

const NAME = 'istiod.istio-system.svc';
const STREAM = '/a.Service/Echo';
const UNARY = '/a.Service/Double';
const REFUSED = { code: GRPC_STATUS.permissionDenied, details: 'nicht für “web” – 100%\n' };
/** More than any window: flow control has to work both ways. */
const LARGE = new Uint8Array(9 * 1024 * 1024).map((_, index) => index);

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes);
const asBytes = (buffer: Buffer): Uint8Array => buffer;
const codec = {
  requestSerialize: asBuffer,
  requestDeserialize: asBytes,
  responseSerialize: asBuffer,
  responseDeserialize: asBytes,
};

let root: string;
let identity: TlsIdentity;
let folder: string;

beforeAll(async () => {
  const ca = await createTestCa();
  root = ca.rootPem;
  identity = await ca.issue('', { dns: NAME });
  folder = mkdtempSync(join(tmpdir(), 'tulle-grpc-'));
  writeFileSync(join(folder, 'root.pem'), root);
});

afterAll(() => rmSync(folder, { recursive: true }));

describe('our channel, a grpc-js server', () => {
  let server: grpc.Server;
  let channel: GrpcChannel;

  beforeAll(async () => {
    server = new grpc.Server({ 'grpc.max_receive_message_length': -1 });
    const pair = {
      cert_chain: Buffer.from(identity.certificateChain),
      private_key: Buffer.from(identity.privateKey),
    };
    const credentials = grpc.ServerCredentials.createSsl(null, [pair], false);
    const echo: grpc.handleBidiStreamingCall<Uint8Array, Uint8Array> = (call) => {
      call.on('data', (bytes: Uint8Array) => call.write(bytes));
      call.on('end', () => call.end());
    };
    const double: grpc.handleUnaryCall<Uint8Array, Uint8Array> = (call, callback) => {
      const { request } = call;
      if (request.length === 0) callback(REFUSED);
      else callback(null, Buffer.concat([request, request]));
    };
    server.addService(
      {
        stream: { path: STREAM, requestStream: true, responseStream: true, ...codec },
        unary: { path: UNARY, requestStream: false, responseStream: false, ...codec },
      },
      { stream: echo, unary: double },
    );
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    channel = openChannel(systemClock, {
      address: `127.0.0.1:${port}`,
      serverName: NAME,
      rootFile: join(folder, 'root.pem'),
      clusterId: 'Kubernetes',
    });
  });

  afterAll(() => {
    channel.close();
    server.forceShutdown();
  });

  test('unary: an answer, a large one, a refusal with its text', async () => {
    expect([...(await channel.unary(UNARY, new Uint8Array([1])))]).toEqual([1, 1]);
    const twice = await channel.unary(UNARY, LARGE);
    expect(Buffer.compare(twice, Buffer.concat([LARGE, LARGE]))).toBe(0);
    const refusal = await channel.unary(UNARY, new Uint8Array()).catch((error: MeshError) => error);
    expect(refusal).toMatchObject({
      code: 'GRPC_REFUSED',
      message: `control plane refused: ${REFUSED.details}`,
    });
  });

  test('a stream echoes', async () => {
    const got = Promise.withResolvers<Uint8Array>();
    const over = Promise.withResolvers<unknown>();
    const stream = channel.stream(STREAM, {
      onMessage: (bytes) => got.resolve(bytes),
      onClose: (error) => over.resolve(error),
    });
    stream.send(LARGE);
    expect(Buffer.compare(await got.promise, LARGE)).toBe(0);
    stream.cancel();
    await over.promise;
  });
});

describe('our server, a grpc-js client', () => {
  let server: GrpcServer;
  let client: grpc.Client;

  beforeAll(async () => {
    server = await startGrpcServer(
      systemClock,
      { address: '127.0.0.1', port: 0, ...identity },
      {
        streams: {
          [STREAM]: (stream) => ({
            onMessage: (bytes) => {
              if (bytes.length > 0) stream.send(bytes);
              else stream.close(REFUSED);
            },
            onClose: () => undefined,
          }),
        },
        unary: {
          async [UNARY](request, context) {
            if (request.length === 0) throw new GrpcStatusError(REFUSED);
            return Buffer.from(`${context.header('clusterid')} ${context.peer.split(':')[0]}`);
          },
        },
      },
    );
    client = new grpc.Client(
      `127.0.0.1:${server.port}`,
      grpc.credentials.createSsl(Buffer.from(root)),
      { 'grpc.ssl_target_name_override': NAME, 'grpc.max_receive_message_length': -1 },
    );
  });

  afterAll(async () => {
    client.close();
    await server.stop();
  });

  const unary = (method: string, request: Uint8Array) =>
    new Promise<string>((resolve) => {
      const metadata = new grpc.Metadata();
      metadata.set('clusterid', 'east');
      client.makeUnaryRequest(method, asBuffer, asBytes, request, metadata, (error, response) =>
        resolve(error === null ? `${response}` : `${error.code} ${error.details}`),
      );
    });

  test('unary: an answer, a refusal with its text, a method that is not there', async () => {
    expect(await unary(UNARY, new Uint8Array([1]))).toBe('east 127.0.0.1');
    expect(await unary(UNARY, new Uint8Array())).toBe(`7 ${REFUSED.details}`);
    expect(await unary('/a.Service/Else', new Uint8Array())).toBe('12 no method /a.Service/Else');
  });

  test('a stream echoes, ends in good order, or with the status of the server', async () => {
    const call = client.makeBidiStreamRequest(STREAM, asBuffer, asBytes);
    call.write(LARGE);
    const [echoed] = (await once(call, 'data')) as [Buffer];
    expect(Buffer.compare(echoed, LARGE)).toBe(0);
    call.end();
    call.on('data', () => undefined);
    expect((await once(call, 'status'))[0]).toMatchObject({ code: 0 });
    const other = client.makeBidiStreamRequest(STREAM, asBuffer, asBytes);
    other.on('error', () => undefined);
    other.on('data', () => undefined);
    other.write(new Uint8Array());
    expect((await once(other, 'status'))[0]).toMatchObject(REFUSED);
  });

  test('stop cuts streams that stay open', async () => {
    const own = await startGrpcServer(
      systemClock,
      { address: '127.0.0.1', port: 0, ...identity },
      {
        streams: {
          [STREAM]: (stream) => ({ onMessage: stream.send.bind(stream), onClose: closed.resolve }),
        },
        unary: {},
      },
    );
    const closed = Promise.withResolvers<void>();
    const another = new grpc.Client(
      `127.0.0.1:${own.port}`,
      grpc.credentials.createSsl(Buffer.from(root)),
      { 'grpc.ssl_target_name_override': NAME },
    );
    const call = another.makeBidiStreamRequest(STREAM, asBuffer, asBytes);
    call.on('error', () => undefined);
    call.write(new Uint8Array([1]));
    await once(call, 'data');
    const status = once(call, 'status');
    await own.stop();
    await closed.promise;
    expect((await status)[0]).not.toMatchObject({ code: 0 });
    another.close();
  });
});

const once = (call: grpc.ClientDuplexStream<Uint8Array, Uint8Array>, event: string) =>
  new Promise<unknown[]>((resolve) => call.once(event, (...values) => resolve(values)));
