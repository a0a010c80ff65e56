/** A pod's loopback port through the whole chain: API server, node agent, and an HTTP server behind it. Needs root. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Server } from 'bun';
import { systemClock } from '#base/clock.ts';
import { loadKubeconfig } from '#kube/client/kubeconfig.ts';
import { type Fetch, RestClient } from '#kube/client/rest-client.ts';
import { PortSession } from '#lab/kubelet/port-session.ts';
import { BunNetwork } from '#net/bun/bun-network.ts';
import { startTestApiserver, type TestApiserver } from '#test/support/apiserver.ts';
import { missingFor } from '#test/support/lab.ts';
import type { Cluster } from './cluster.ts';
import { openPodPort } from './pod-port.ts';

const skip = missingFor({ programs: [], root: true }) !== undefined;
const LARGE_BYTES = 5 << 20;

describe.skipIf(skip)('openPodPort', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tulle-agent-'));
  const network = new BunNetwork({ clock: systemClock });
  let pod: Server<undefined>;
  let agent: Server<PortSession>;
  let apiserver: TestApiserver;
  let cluster: Cluster;

  beforeAll(async () => {
    pod = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      async fetch(request) {
        const { pathname } = new URL(request.url);
        if (pathname === '/large') return new Response(Buffer.alloc(LARGE_BYTES, 'x'));
        if (pathname === '/echo') return new Response(`${request.method} ${await request.text()}`);
        return new Response('nothing here\n', { status: 404 });
      },
    });
    agent = Bun.serve<PortSession>({
      unix: join(directory, 'node1.sock'),
      fetch(request, self) {
        const { pathname, searchParams } = new URL(request.url);
        if (pathname !== '/portForward/default/one') return new Response('no', { status: 404 });
        const port = Number(searchParams.get('port'));
        const data = new PortSession(network, { pid: process.pid, port });
        return self.upgrade(request, { data }) ? undefined : new Response('no', { status: 400 });
      },
      websocket: {
        open: (socket) => socket.data.run(socket),
        message: (socket, frame) => socket.data.receive(frame as Buffer),
        drain: (socket) => socket.data.drained(),
        close: (socket) => socket.data.abandon(),
      },
    });
    apiserver = await startTestApiserver({
      schemas: false,
      kubeletUrlTemplate: `unix:${directory}/{node}.sock`,
    });
    await apiserver.call('POST', '/api/v1/nodes', { metadata: { name: 'node1' } });
    const spec = { containers: [{ name: 'app', image: 'host' }] };
    const path = '/api/v1/namespaces/default/pods';
    for (const name of ['one', 'two']) {
      await apiserver.call('POST', path, { metadata: { name }, spec });
      await apiserver.call('POST', `${path}/${name}/binding`, { target: { name: 'node1' } });
    }
    const connection = loadKubeconfig(join(apiserver.directory, 'kubeconfig'));
    const client = new RestClient({ fetch: fetch as Fetch }, connection);
    cluster = { client, connection, namespace: 'default' };
  });

  afterAll(async () => {
    await Promise.all([pod.stop(true), agent.stop(true), apiserver.stop()]);
    rmSync(directory, { recursive: true, force: true });
  });

  const port = (name = 'one', number = pod.port ?? 0) =>
    openPodPort(cluster, { namespace: 'default', name, port: number });

  test('asks again and again, with a method and a body', async () => {
    using open = port();
    for (const body of ['a', 'b']) {
      const answer = await open.ask('/echo', { method: 'POST', body });
      expect(await answer.text()).toBe(`POST ${body}`);
    }
  });

  test('a large answer arrives whole', async () => {
    using open = port();
    const bytes = await (await open.ask('/large')).arrayBuffer();
    expect(bytes.byteLength).toBe(LARGE_BYTES);
  });

  test('a status that is not of the 200s is an error with what the pod said', async () => {
    using open = port();
    await expect(open.ask('/gone')).rejects.toMatchObject({
      code: 'CLI_POD_PORT',
      cause: '404 nothing here',
    });
  });

  test('a port where nobody listens, and a pod that the agent does not have, are said so', async () => {
    const closed = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: () => undefined },
    });
    closed.stop();
    using silent = port('one', closed.port);
    await expect(silent.ask('/echo')).rejects.toMatchObject({
      code: 'CLI_POD_PORT',
      cause: expect.stringContaining('refused'),
    });
    using absent = port('two');
    await expect(absent.ask('/echo')).rejects.toMatchObject({ code: 'CLI_POD_PORT' });
  });
});
