/**
 * An upstream that lies, dies or talks nonsense: what the client gets, what the log line says, and that its connection is not
 * used again. Statuses, flags and details are those that Envoy 1.40 gave to the same bytes.
 */
import { describe, expect, test } from 'bun:test';
import { request } from 'node:http';
import { faultyH2Upstream, H2_FAULT_ROWS } from '#test/support/faulty-h2-upstream.ts';
import { FAULT_ROWS, faultyUpstream } from '#test/support/faulty-upstream.ts';
import { httpEngine } from '#test/support/http-engine.ts';

/** The status, and whether the response was whole. */
function get(port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const sent = request({ port, host: '127.0.0.1', path: '/', agent: false }, (response) => {
    const say = () => resolve(`${response.statusCode} ${response.complete ? 'whole' : 'broken'}`);
    response
      .on('data', () => undefined)
      .on('end', say)
      .on('error', say)
      .on('aborted', say);
  });
  sent.on('error', (error) => resolve(error.message));
  sent.end();
  return promise;
}

/** Code, flags and details of each access log line. */
function logged(log: string): string[] {
  return [...log.matchAll(/^\[[^\]]*\] "[^"]*" (\d+) (\S+) (\S+) /gm)].map((match) =>
    match.slice(1).join(' '),
  );
}

interface Fault {
  readonly client: string;
  readonly log: string;
  readonly connections: number;
  readonly requests?: number;
}

/** Two requests, one after the other: what each gets, its log line, and how many connections they took. */
async function judge(
  { client, log, connections, requests = 2 }: Fault,
  upstream: { readonly port: number; readonly connections: number; readonly requests: number },
  protocol: 'http' | 'http2',
): Promise<void> {
  using mesh = httpEngine({ upstreamPort: upstream.port, protocol });
  expect(await get(mesh.port)).toBe(client);
  // What comes behind a whole answer must have time to come.
  if (log.startsWith('-')) await Bun.sleep(20);
  expect(await get(mesh.port)).toBe(client);
  const line = `${client.split(' ')[0]} ${log}`;
  expect(logged(mesh.log())).toEqual([line, line]);
  expect([upstream.connections, upstream.requests]).toEqual([connections, requests]);
  expect(mesh.engine.active).toBe(0);
}

describe('an HTTP/1.1 upstream that sends', () => {
  test.each(FAULT_ROWS)('$title', async (row) => {
    await using upstream = await faultyUpstream(row.act);
    await judge(row, upstream, 'http');
  });
});

describe('an HTTP/2 upstream that sends', () => {
  test.each(H2_FAULT_ROWS)('$title', async (row) => {
    await using upstream = await faultyH2Upstream(row.act);
    await judge(row, upstream, 'http2');
  });
});

test('informational responses without end are a broken protocol', async () => {
  await using upstream = await faultyUpstream((socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write('HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n'));
      socket.once('drain', more);
    };
    more();
  });
  using mesh = httpEngine({ upstreamPort: upstream.port });
  expect(await get(mesh.port)).toBe('502 whole');
  expect(logged(mesh.log())[0]).toStartWith('502 UPE ');
});

test('no upstream is 503 UF, one that is silent 504 UT', async () => {
  const closed = await faultyUpstream(() => undefined);
  await closed[Symbol.asyncDispose]();
  using nobody = httpEngine({ upstreamPort: closed.port });
  expect(await get(nobody.port)).toBe('503 whole');
  expect(logged(nobody.log())[0]).toStartWith('503 UF ');
  await using silent = await faultyUpstream(() => undefined);
  using waiting = httpEngine({ upstreamPort: silent.port, timeoutMs: 50 });
  expect(await get(waiting.port)).toBe('504 whole');
  expect(logged(waiting.log())).toEqual(['504 UT response_timeout']);
});
