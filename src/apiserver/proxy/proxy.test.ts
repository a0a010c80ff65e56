/** logs and exec by the real kubectl through the server to a node agent on a unix socket. */

import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Server } from 'bun';
import { startTestApiserver, type TestApiserver } from '#test/support/apiserver.ts';
import { missingFor } from '#test/support/lab.ts';

setDefaultTimeout(60_000);

const STDOUT = 1;
const STDERR = 2;
const ERROR_CHANNEL = 3;

const skip = missingFor({ programs: ['kubectl'] }) !== undefined;

interface Session {
  command: string[];
}

let server: TestApiserver;
let agent: Server<Session>;
let directory: string;
const asked: string[] = [];

function frame(channel: number, text: string): Uint8Array {
  return Buffer.concat([Buffer.from([channel]), Buffer.from(text)]);
}

/** Answers exec with the command on stdout, echoes stdin, and exits with 3 when told `fail`. */
function startAgent(unix: string): Server<Session> {
  return Bun.serve<Session>({
    unix,
    fetch(request, self) {
      const url = new URL(request.url);
      asked.push(url.pathname);
      if (url.pathname.startsWith('/containerLogs/'))
        return new Response(`line of ${url.pathname} tail=${url.searchParams.get('tailLines')}\n`);
      const command = url.searchParams.getAll('command');
      if (command[0] === 'refuse') return new Response('no', { status: 400 });
      return self.upgrade(request, { data: { command } })
        ? undefined
        : new Response('', { status: 400 });
    },
    websocket: {
      open(socket) {
        const { command } = socket.data;
        socket.send(frame(STDOUT, `${command.join(' ')}\n`));
        if (command[0] === 'cat') return;
        const failed = command[0] === 'fail';
        if (failed) socket.send(frame(STDERR, 'it failed\n'));
        const causes = [{ reason: 'ExitCode', message: '3' }];
        const status = failed
          ? {
              status: 'Failure',
              reason: 'NonZeroExitCode',
              message: 'command terminated',
              details: { causes },
            }
          : { status: 'Success' };
        socket.send(frame(ERROR_CHANNEL, JSON.stringify({ metadata: {}, ...status })));
        socket.close(1000);
      },
      message(socket, data) {
        const bytes = Buffer.from(data as Buffer);
        if (bytes[0] === 0) socket.send(frame(STDOUT, bytes.subarray(1).toString()));
        // v5: channel 255 closes another one, here stdin.
        if (bytes[0] !== 255) return;
        socket.send(frame(ERROR_CHANNEL, JSON.stringify({ metadata: {}, status: 'Success' })));
        socket.close(1000);
      },
    },
  });
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'tulle-agent-'));
  agent = startAgent(join(directory, 'node1.sock'));
  server = await startTestApiserver({
    schemas: false,
    kubeletUrlTemplate: `unix:${directory}/{node}.sock`,
  });
  await server.call('POST', '/api/v1/nodes', { metadata: { name: 'node1' } });
  for (const [name, containers] of [
    ['one', ['app']],
    ['two', ['app', 'side']],
  ] as const) {
    const spec = { containers: containers.map((item) => ({ name: item, image: 'host' })) };
    await server.call('POST', '/api/v1/namespaces/default/pods', { metadata: { name }, spec });
  }
  const binding = { target: { name: 'node1' } };
  await server.call('POST', '/api/v1/namespaces/default/pods/one/binding', binding);
});
afterAll(async () => {
  await agent.stop(true);
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

describe.skipIf(skip)('kubectl through the server', () => {
  test('logs come from the agent of the pod’s node', async () => {
    const { stdout } = await server.kubectl(['logs', 'one', '--tail=5']);
    expect(stdout).toBe('line of /containerLogs/default/one/app tail=5\n');
  });

  test('exec joins the streams and gives the exit code', async () => {
    const ok = await server.kubectl(['exec', 'one', '--', 'echo', 'hello world']);
    expect(ok).toMatchObject({ exitCode: 0, stdout: 'echo hello world\n' });
    expect(asked.at(-1)).toBe('/exec/default/one/app');
    const failed = await server.kubectl(['exec', 'one', '--', 'fail']);
    expect(failed.exitCode).toBe(3);
    expect(failed.stderr).toContain('it failed');
  });

  test('exec -i carries stdin to its end', async () => {
    const { stdout } = await server.kubectl(['exec', '-i', 'one', '--', 'cat'], {
      stdin: 'typed\n',
    });
    expect(stdout).toBe('cat\ntyped\n');
  });
});

test('a pod without a node, and a container that must be named, are said so', async () => {
  const base = '/api/v1/namespaces/default/pods';
  const unnamed = await server.call('GET', `${base}/two/log`);
  expect(unnamed.body.message).toBe(
    'a container name must be specified for pod two, choose one of: [app side]',
  );
  const unbound = await server.call('GET', `${base}/two/log?container=app`);
  expect(unbound.body.message).toBe('pod two does not have a host assigned');
});

test('exec without a WebSocket, or refused by the agent, is an HTTP answer', async () => {
  const path = '/api/v1/namespaces/default/pods/one/exec';
  const plain = await server.call('POST', `${path}?command=ls`);
  expect(plain.body.message).toContain('exec needs a WebSocket');
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-protocol': 'v5.channel.k8s.io',
  };
  const refused = await server.raw(`${path}?command=refuse`, { headers: upgrade });
  expect(refused.status).toBe(500);
  expect(await refused.text()).toContain('error dialing backend');
});
