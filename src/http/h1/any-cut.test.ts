/**
 * The HTTP/1.1 drivers under any cut: a stream of messages gives the same events and the same bytes back however it is cut; and
 * under mutation: no bytes make a driver throw, hang, or pass on what a strict reader would refuse.
 */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { MeshError } from '#base/errors.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ScriptedConnection } from '#test/support/scripted-connection.ts';
import type { ResponseHandler, ServerExchange } from '../dispatch/dispatch.ts';
import { MessageHead } from '../dispatch/message-head.ts';
import { H1ClientConnection } from './client.ts';
import { H1ServerConnection } from './server.ts';

const turn = () => new Promise((resolve) => setImmediate(resolve));

function headText(head: MessageHead): string {
  const fields: string[] = [];
  head.forEach((name, value) => void fields.push(`${name}=${value}`));
  const { method, authority, path, status, upgrade } = head;
  return [method, authority, path, status, upgrade, ...fields].join(' ');
}

/** What an application sees of the requests in `pieces`, and what the client gets back. */
async function serve(pieces: readonly string[]): Promise<string[]> {
  const socket = new ScriptedConnection();
  const events: string[] = [];
  const onExchange = (exchange: ServerExchange) => {
    events.push(`request ${headText(exchange.request)} ${exchange.requestEnded}`);
    let body = '';
    const answer = (trailers: MessageHead | undefined) => {
      events.push(`body ${body}`);
      if (trailers !== undefined) events.push(`trailers ${headText(trailers)}`);
      const head = MessageHead.response(200);
      head.set('content-length', '2');
      exchange.sendHead(head, false);
      exchange.sendBody(Buffer.from('ok'));
      exchange.sendEnd();
    };
    exchange.handler = {
      onBody: (bytes) => {
        body += Buffer.from(bytes).toString('latin1');
      },
      onEnd: answer,
      onAbort: (error: MeshError, answered) => events.push(`abort ${error.code} ${answered}`),
      onDrain: () => undefined,
    };
    if (exchange.requestEnded) answer(undefined);
  };
  const clock = new FakeClock();
  const options = {
    onClose: (error: MeshError | undefined) => events.push(`close ${error?.code}`),
  };
  const server = new H1ServerConnection(socket, { clock }, options, onExchange);
  socket.handler = server;
  for (const piece of pieces) if (!server.closed) socket.receive(piece);
  await turn();
  events.push(`answers ${socket.take()}`);
  server.close();
  return events;
}

/** What a caller hears of the responses in `pieces` to requests one after the other. */
async function call(pieces: readonly string[], method: string): Promise<string[]> {
  const socket = new ScriptedConnection();
  const events: string[] = [];
  const client = new H1ClientConnection(socket, { clock: new FakeClock() });
  socket.handler = client;
  const send = () => {
    let body = '';
    const handler: ResponseHandler = {
      onHead: (head, end) => {
        events.push(`response ${headText(head)} ${end}`);
        if (end && head.status >= 200) queueMicrotask(send);
      },
      onBody: (bytes) => {
        body += Buffer.from(bytes).toString('latin1');
      },
      onEnd: (trailers) => {
        events.push(`body ${body}`);
        if (trailers !== undefined) events.push(`trailers ${headText(trailers)}`);
      },
      onError: (error) => events.push(`error ${error.code}`),
      onDrain: () => undefined,
    };
    if (client.capacity > 0) client.dispatch(MessageHead.request(method, 'a', '/'), true, handler);
  };
  send();
  for (const piece of pieces) if (!client.closed) socket.receive(piece);
  await turn();
  events.push(`closed ${client.closed}`);
  client.close();
  return events;
}

function cutAt(text: string, cuts: readonly number[]): string[] {
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].sort(
    (a, b) => a - b,
  );
  return places.slice(1).map((end, index) => text.slice(places[index], end));
}

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,8}$/);
const value = fc.stringMatching(/^[!-~\x80-\xff]([ -~\x80-\xff]{0,8}[!-~])?$/);
const fields = fc
  .array(fc.tuple(token, value), { maxLength: 5 })
  .map((list) => list.map(([name, text]) => `x-${name}: ${text}\r\n`).join(''));
const text = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ':'), maxLength: 60 });
const chunked = fc.tuple(fc.array(text, { maxLength: 4 }), fields).map(([parts, trailers]) => {
  const chunks = parts.filter((part) => part !== '');
  const coded = chunks.map((part) => `${part.length.toString(16)};e=1\r\n${part}\r\n`);
  return `Transfer-Encoding: chunked\r\n\r\n${coded.join('')}0\r\n${trailers}\r\n`;
});
const byLength = text.map((body) => `Content-Length: ${body.length}\r\n\r\n${body}`);
const bare = fc.constant('\r\n');

const request = fc
  .tuple(token, fields, fc.oneof(chunked, byLength, bare))
  .map(([method, lines, rest]) => {
    const name = method === 'CONNECT' ? 'GET' : method;
    return `${name} /p?q HTTP/1.1\r\nHost: a\r\n${lines}${rest}`;
  });
const response = fc
  .tuple(fc.constantFrom(200, 404, 503), fields, fc.oneof(chunked, byLength))
  .map(([status, lines, rest]) => `HTTP/1.1 ${status} Words here\r\n${lines}${rest}`);
const informational = fields.map((lines) => `HTTP/1.1 103 Early Hints\r\n${lines}\r\n`);
const requests = fc.array(request, { minLength: 1, maxLength: 3 }).map((all) => all.join(''));
const answer = fc
  .tuple(fc.array(informational, { maxLength: 2 }), response)
  .map(([hints, final]) => hints.join('') + final);
const cuts = fc.array(fc.nat(4000), { maxLength: 12 });

/** One change to a message: a byte replaced, put in, or a piece dropped or doubled. */
const mutation = fc.record({
  at: fc.nat(4000),
  length: fc.nat(20),
  how: fc.constantFrom('replace', 'insert', 'drop', 'double'),
  bytes: fc.constantFrom(
    '\r',
    '\n',
    '\r\n',
    ' ',
    '\t',
    ':',
    '\0',
    '0',
    'f',
    ';',
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    '\x7f',
    '\xff',
  ),
});
type Mutation = typeof mutation extends fc.Arbitrary<infer Value> ? Value : never;

function mutate(original: string, { at, length, how, bytes }: Mutation): string {
  const place = at % (original.length + 1);
  const [before, after] = [original.slice(0, place), original.slice(place)];
  if (how === 'insert') return before + bytes + after;
  if (how === 'replace') return before + bytes + after.slice(bytes.length);
  if (how === 'drop') return before + after.slice(length);
  return before + after.slice(0, length) + after;
}

describe('any cut of', () => {
  test('requests gives the same events and answers', async () => {
    await fc.assert(
      fc.asyncProperty(requests, cuts, async (bytes, places) => {
        expect(await serve(cutAt(bytes, places))).toEqual(await serve([bytes]));
      }),
      { numRuns: 300 },
    );
  });

  test('a response gives the same events', async () => {
    await fc.assert(
      fc.asyncProperty(answer, cuts, async (bytes, places) => {
        expect(await call(cutAt(bytes, places), 'GET')).toEqual(await call([bytes], 'GET'));
      }),
      { numRuns: 300 },
    );
  });

  test('requests that were changed gives the same events and answers, and none throws', async () => {
    await fc.assert(
      fc.asyncProperty(
        requests,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        cuts,
        async (bytes, changes, places) => {
          const changed = changes.reduce(mutate, bytes);
          expect(await serve(cutAt(changed, places))).toEqual(await serve([changed]));
        },
      ),
      { numRuns: 600 },
    );
  });

  test('a response that was changed gives the same events, and none throws', async () => {
    await fc.assert(
      fc.asyncProperty(
        answer,
        fc.array(mutation, { minLength: 1, maxLength: 3 }),
        cuts,
        async (bytes, changes, places) => {
          const changed = changes.reduce(mutate, bytes);
          const [whole, cut] = [
            await call([changed], 'GET'),
            await call(cutAt(changed, places), 'GET'),
          ];
          expect(cut).toEqual(whole);
        },
      ),
      { numRuns: 600 },
    );
  });
});

test('requests come out as they were written', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(byLength, { minLength: 1, maxLength: 3 }), async (bodies) => {
      const events = await serve([
        bodies.map((rest) => `PUT /p HTTP/1.1\r\nHost: a\r\n${rest}`).join(''),
      ]);
      const got = events.filter((event) => event.startsWith('body '));
      expect(got).toEqual(bodies.map((rest) => `body ${rest.slice(rest.indexOf('\r\n\r\n') + 4)}`));
    }),
  );
});
