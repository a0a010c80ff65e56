import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { inClusterConnection } from './in-cluster.ts';
import type { KubeObject, WatchEvent } from './kube-client.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { RESOURCES } from './resources.ts';
import type { Fetch } from './rest-client.ts';
import { errorCode, RestClient } from './rest-client.ts';
import { readWatchStream } from './watch-stream.ts';

interface Seen {
  method: string;
  path: string;
  authorization: string | null;
  contentType: string | null;
  body: string;
}
let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'kube-client-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function serve(answer: (request: Request) => Response | Promise<Response>) {
  const seen: Seen[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      seen.push({
        method: request.method,
        path: pathname + search,
        authorization: request.headers.get('authorization'),
        contentType: request.headers.get('content-type'),
        body: await request.clone().text(),
      });
      return answer(request);
    },
  });
  const client = (token?: () => string) =>
    new RestClient({ fetch: fetch as Fetch }, { server: `http://127.0.0.1:${server.port}`, token });
  return { seen, client, [Symbol.asyncDispose]: () => server.stop(true) };
}

const POD = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' } };

describe('RestClient', () => {
  test('builds the path, verb and content type of each call', async () => {
    await using server = serve(() => Response.json(POD));
    const client = server.client(() => 'secret');
    const key = { namespace: 'shop', name: 'web' };
    await client.get(RESOURCES.pods, key);
    await client.create(RESOURCES.deployments, { ...POD, kind: 'Deployment' });
    await client.update(RESOURCES.pods, POD, { subresource: 'status' });
    await client.patch(RESOURCES.nodes, { name: 'n1' }, { type: 'merge', body: {} });
    const apply = { fieldManager: 'tulle', force: true };
    await client.patch(RESOURCES.gateways, key, { type: 'apply', body: POD }, apply);
    await client.delete(RESOURCES.pods, key, { propagation: 'Foreground' });
    expect(server.seen.map((each) => `${each.method} ${each.path} ${each.contentType}`)).toEqual([
      'GET /api/v1/namespaces/shop/pods/web null',
      'POST /apis/apps/v1/namespaces/shop/deployments application/json',
      'PUT /api/v1/namespaces/shop/pods/web/status application/json',
      'PATCH /api/v1/nodes/n1 application/merge-patch+json',
      'PATCH /apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways/web?fieldManager=tulle&force=true application/apply-patch+yaml',
      'DELETE /api/v1/namespaces/shop/pods/web application/json',
    ]);
    expect(server.seen[0].authorization).toBe('Bearer secret');
    expect(JSON.parse(server.seen[5].body).propagationPolicy).toBe('Foreground');
  });

  test('follows list pages and fills in the kind', async () => {
    const metadata = (name: string) => ({ metadata: { name } });
    await using server = serve((request) =>
      request.url.includes('continue=next')
        ? Response.json({ items: [metadata('b')], metadata: { resourceVersion: '9' } })
        : Response.json({
            items: [metadata('a')],
            metadata: { resourceVersion: '7', continue: 'next' },
          }),
    );
    const result = await server.client().list(RESOURCES.pods, { labelSelector: 'app=x' });
    expect(result.items.map((item) => `${item.kind} ${item.metadata.name}`)).toEqual([
      'Pod a',
      'Pod b',
    ]);
    expect(result.resourceVersion).toBe('7');
    expect(server.seen[0].path).toBe('/api/v1/pods?labelSelector=app%3Dx&limit=500');
  });

  const STATUSES: [number, string | undefined, string][] = [
    [401, undefined, 'KUBE_UNAUTHORIZED'],
    [403, 'Forbidden', 'KUBE_FORBIDDEN'],
    [404, 'NotFound', 'KUBE_NOT_FOUND'],
    [409, 'AlreadyExists', 'KUBE_ALREADY_EXISTS'],
    [409, 'Conflict', 'KUBE_CONFLICT'],
    [410, 'Expired', 'KUBE_GONE'],
    [422, 'Invalid', 'KUBE_INVALID'],
    [400, 'BadRequest', 'KUBE_INVALID'],
    [429, 'TooManyRequests', 'KUBE_UNAVAILABLE'],
    [500, 'InternalError', 'KUBE_UNAVAILABLE'],
    [503, undefined, 'KUBE_UNAVAILABLE'],
  ];
  test.each(STATUSES)('errorCode maps %p %p to %p', (status, reason, want) => {
    expect(errorCode(status, reason)).toBe(want as ReturnType<typeof errorCode>);
  });

  test('keeps the message of a Status, and of an answer that is none', async () => {
    const bodies = ['{"message":"pods \\"web\\" not found","reason":"NotFound"}', '<html>gateway'];
    await using server = serve(() => new Response(bodies.shift(), { status: 404 }));
    const get = () => server.client().get(RESOURCES.pods, { namespace: 'shop', name: 'web' });
    await expect(get()).rejects.toMatchObject({
      code: 'KUBE_NOT_FOUND',
      message: expect.stringContaining('pods "web" not found'),
    });
    await expect(get()).rejects.toMatchObject({
      message: expect.stringContaining('<html>gateway'),
    });
  });

  test('reports a refused connection as unavailable, safe to retry only when reading', async () => {
    const client = new RestClient({ fetch: fetch as Fetch }, { server: 'http://127.0.0.1:1' });
    const key = { namespace: 'a', name: 'b' };
    const unavailable = { code: 'KUBE_UNAVAILABLE' };
    await expect(client.get(RESOURCES.pods, key)).rejects.toMatchObject({
      ...unavailable,
      retry: 'safe',
    });
    await expect(client.delete(RESOURCES.pods, key)).rejects.toMatchObject({
      ...unavailable,
      retry: 'never',
    });
  });

  test('streams watch events and tells the end', async () => {
    const lines = `${JSON.stringify({ type: 'ADDED', object: POD })}\n{"type":"ERROR","object":{"code":410,"message":"old"}}\n`;
    await using server = serve(() => new Response(lines));
    const events: string[] = [];
    await new Promise<unknown>((resolve) => {
      server
        .client()
        .watch(
          RESOURCES.pods,
          { resourceVersion: '5', allowBookmarks: true },
          (event) => events.push(event.type),
          resolve,
        );
    });
    expect(events).toEqual(['ADDED', 'ERROR']);
    expect(server.seen[0].path).toBe(
      '/api/v1/pods?watch=true&resourceVersion=5&allowWatchBookmarks=true&timeoutSeconds=300',
    );
  });

  test('is silent after its disposer was called', async () => {
    const stream = new ReadableStream({
      start: (controller) =>
        controller.enqueue(`${JSON.stringify({ type: 'ADDED', object: POD })}\n`),
    });
    await using server = serve(() => new Response(stream));
    const ends: unknown[] = [];
    await new Promise<void>((resolve) => {
      const dispose = server.client().watch(
        RESOURCES.pods,
        {},
        () => {
          dispose();
          resolve();
        },
        (error) => ends.push(error),
      );
    });
    await Bun.sleep(0);
    expect(ends).toEqual([]);
  });
});

describe('readWatchStream', () => {
  test('gives the same events however the bytes are cut', async () => {
    const events = ['ä', 'x\u2028y', '😀'].map((name) => ({
      type: 'ADDED' as const,
      object: { ...POD, metadata: { name } },
    }));
    const bytes = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        async (cuts) => {
          const got: WatchEvent<KubeObject>[] = [];
          await readWatchStream(new Response(pieces(bytes, cuts)), (event) => got.push(event));
          expect(got).toEqual(events);
        },
      ),
      { numRuns: 50 },
    );
  });

  test.each([['not json\n'], ['{"type":1}\n'], ['null\n']])('refuses %p', async (line) => {
    const done = readWatchStream(new Response(line), () => undefined);
    await expect(done).rejects.toMatchObject({ code: 'KUBE_UNAVAILABLE' });
  });
});

function pieces(bytes: Uint8Array, cuts: number[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0, turn = 0; at < bytes.length; turn++) {
        const end = at + cuts[turn % cuts.length];
        controller.enqueue(bytes.slice(at, end));
        at = end;
      }
      controller.close();
    },
  });
}

describe('kubeconfig', () => {
  const CONFIG = {
    'current-context': 'lab',
    contexts: [{ name: 'lab', context: { cluster: 'c', user: 'u', namespace: 'shop' } }],
    clusters: [
      {
        name: 'c',
        cluster: { server: 'https://127.0.0.1:6443/', 'certificate-authority-data': btoa('CA') },
      },
    ],
    users: [{ name: 'u', user: { tokenFile: 'token', 'client-key-data': btoa('KEY') } }],
  };

  test('parseKubeconfig reads the context; the token file is read again each time', () => {
    writeFileSync(join(directory, 'token'), 'one\n');
    const connection = parseKubeconfig(JSON.stringify(CONFIG), { directory });
    expect(connection).toMatchObject({
      server: 'https://127.0.0.1:6443',
      namespace: 'shop',
      tls: { ca: 'CA', key: 'KEY' },
    });
    expect(connection.token?.()).toBe('one');
    writeFileSync(join(directory, 'token'), 'two\n');
    expect(connection.token?.()).toBe('two');
  });

  const BROKEN: [string, string][] = [
    ['', 'not a mapping'],
    ['a: [', 'kubeconfig:'],
    [JSON.stringify({ ...CONFIG, 'current-context': 'x' }), 'no context "x"'],
    [JSON.stringify({ ...CONFIG, clusters: [] }), 'no server'],
    [
      JSON.stringify({ ...CONFIG, users: [{ name: 'u', user: { exec: {} } }] }),
      'credential plugin',
    ],
  ];
  test.each(BROKEN)('parseKubeconfig refuses %p', (text, message) => {
    expect(() => parseKubeconfig(text, { directory })).toThrow(message);
  });

  test('inClusterConnection reads the mounted service account', () => {
    for (const [name, content] of Object.entries({ 'ca.crt': 'CA', token: 'T', namespace: 'ns' }))
      writeFileSync(join(directory, name), content);
    expect(inClusterConnection({}, directory)).toBeUndefined();
    const env = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
    const connection = inClusterConnection(env, directory);
    expect(connection).toMatchObject({ server: 'https://[fd00::1]:443', namespace: 'ns' });
    expect(connection?.token?.()).toBe('T');
  });
});
