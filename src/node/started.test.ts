import { afterEach, expect, test } from 'bun:test';
import { whyNotStarted } from './started.ts';
import { STARTED_PATH } from './status/servers.ts';

let server: ReturnType<typeof Bun.serve> | undefined;
afterEach(() => server?.stop(true));

function serve(podName: string): number {
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) =>
      new URL(request.url).pathname === STARTED_PATH
        ? new Response(`${podName}\n`)
        : new Response('', { status: 404 }),
  });
  return server.port ?? 0;
}

test('its own name: it has the ports', async () => {
  expect(await whyNotStarted(serve('ztunnel-new'), 'ztunnel-new')).toBeUndefined();
});

test('the name of the one before, or no answer: not yet, and why', async () => {
  const port = serve('ztunnel-old');
  expect(await whyNotStarted(port, 'ztunnel-new')).toContain('still answered by ztunnel-old');
  await server?.stop(true);
  expect(await whyNotStarted(port, 'ztunnel-new')).toContain('not answered yet');
});
