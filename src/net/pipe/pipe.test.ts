import { expect, test } from 'bun:test';
import fc from 'fast-check';
import type { MeshError } from '#base/errors.ts';
import { type MemoryConnection, memoryPair } from '#test/support/memory-connection.ts';
import { OUTBOX_HIGH_BYTES } from '../limits.ts';
import type { BufferAccount } from './outbox.ts';
import { Pipe, type PipeSide } from './pipe.ts';

interface Far {
  chunks: Uint8Array[];
  ended: boolean;
  closed: boolean;
  error: MeshError | undefined;
}

/** client ⇄ [downstream pipe upstream] ⇄ app */
function build(capacityBytes: number, account?: BufferAccount) {
  const [client, downstream] = memoryPair({ capacityBytes });
  const [upstream, app] = memoryPair({ capacityBytes });
  const counters = { receivedBytes: 0, sentBytes: 0 };
  const finished = Promise.withResolvers<{
    error: MeshError | undefined;
    side: PipeSide | undefined;
  }>();
  const pipe = new Pipe(downstream, upstream, {
    counters,
    account,
    onFinished: (error, side) => finished.resolve({ error, side }),
  });
  return {
    client,
    app,
    upstream,
    counters,
    finished: finished.promise,
    pipe,
    atClient: watch(client),
    atApp: watch(app),
  };
}

function watch(connection: MemoryConnection): Far {
  const far: Far = { chunks: [], ended: false, closed: false, error: undefined };
  connection.handler = {
    onData: (bytes) => void far.chunks.push(new Uint8Array(bytes)),
    onDrain: () => undefined,
    onEnd: () => {
      far.ended = true;
    },
    onClose: (error) => {
      far.closed = true;
      far.error = error;
    },
  };
  return far;
}

/** Writes everything, waiting for room as a real sender would. */
async function send(connection: MemoryConnection, bytes: Uint8Array): Promise<void> {
  let at = 0;
  while (at < bytes.length && !connection.closed) {
    at += connection.write(bytes.subarray(at));
    await Promise.resolve();
  }
}

test('Pipe carries any bytes through any buffer size, in order, and counts them', async () => {
  const cases = fc.asyncProperty(
    fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
    fc.integer({ min: 1, max: 200 }),
    async (chunks, capacity) => {
      const { client, app, counters, finished, atApp, atClient } = build(capacity);
      for (const chunk of chunks) await send(client, chunk);
      client.end();
      await send(app, Buffer.from('answer'));
      app.end();
      expect(await finished).toEqual({ error: undefined, side: 'downstream' });
      const sent = Buffer.concat(chunks);
      expect(Buffer.concat(atApp.chunks)).toEqual(sent);
      expect(Buffer.concat(atClient.chunks).toString()).toBe('answer');
      expect(counters).toEqual({ receivedBytes: sent.length, sentBytes: 6 });
    },
  );
  await fc.assert(cases, { numRuns: 50 });
});

test('Pipe keeps the other direction open after a half-close', async () => {
  const { client, app, atApp, atClient, finished } = build(1024);
  client.end();
  while (!atApp.ended) await Promise.resolve();
  await send(app, Buffer.from('late'));
  app.end();
  await finished;
  expect(Buffer.concat(atClient.chunks).toString()).toBe('late');
});

test('Pipe turns a reset of either side into a reset of the other', async () => {
  for (const side of ['client', 'app'] as const) {
    const built = build(1024);
    built[side].reset();
    const outcome = await built.finished;
    expect(outcome.side).toBe(side === 'client' ? 'downstream' : 'upstream');
    expect(outcome.error?.code).toBe('NET_RESET');
    while (!(built.atApp.closed && built.atClient.closed)) await Promise.resolve();
    const far = side === 'client' ? built.atApp : built.atClient;
    expect(far.error?.code).toBe('NET_RESET');
  }
});

test('Pipe pauses a source whose sink does not read, with bounded memory, and resumes it', async () => {
  const { client, app, counters, finished, atApp } = build(16 * 1024);
  app.pause();
  const total = OUTBOX_HIGH_BYTES * 3;
  const sending = send(client, new Uint8Array(total));
  for (let turn = 0; turn < 1000; turn++) await Promise.resolve();
  expect(counters.receivedBytes).toBeLessThan(OUTBOX_HIGH_BYTES + 64 * 1024);
  app.resume();
  await sending;
  client.end();
  app.end();
  await finished;
  expect(atApp.chunks.reduce((sum, chunk) => sum + chunk.length, 0)).toBe(total);
});

test('Pipe says who ended first', async () => {
  for (const first of ['downstream', 'upstream'] as const) {
    const { client, app, finished, atApp, atClient } = build(100);
    const [one, other, atOther] =
      first === 'downstream' ? [client, app, atApp] : [app, client, atClient];
    one.end();
    while (!atOther.ended) await Promise.resolve();
    other.end();
    expect(await finished).toEqual({ error: undefined, side: first });
  }
});

test('Pipe returns to the account what it can no longer send', async () => {
  const account = { bytes: 0, bytesMax: 1 << 30 };
  const { client, app, finished } = build(10, account);
  app.pause();
  const sending = send(client, new Uint8Array(OUTBOX_HIGH_BYTES));
  while (account.bytes === 0) await Promise.resolve();
  client.reset();
  await Promise.all([finished, sending]);
  expect(account.bytes).toBe(0);
});
