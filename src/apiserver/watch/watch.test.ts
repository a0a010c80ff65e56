/** Watches over real HTTP: what a selection sees, bookmarks, resuming, 410. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test';
import { startTestApiserver, type TestApiserver } from '#test/support/apiserver.ts';

setDefaultTimeout(60_000);

interface Event {
  type: string;
  object: {
    kind: string;
    code?: number;
    reason?: string;
    rows?: unknown[];
    columnDefinitions?: unknown;
    metadata: Record<string, unknown>;
  };
}

const BASE = '/api/v1/namespaces/default/configmaps';
const MERGE = { contentType: 'application/merge-patch+json' };

let server: TestApiserver;
beforeAll(async () => {
  server = await startTestApiserver({ schemas: false });
});
afterAll(() => server.stop());

/** The next events of a watch, one promise each. */
async function watch(query: string, accept = 'application/json') {
  const abort = new AbortController();
  const answer = await server.raw(`${BASE}?watch=true&${query}`, {
    signal: abort.signal,
    headers: { accept },
  });
  const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  return {
    answer,
    async next(): Promise<Event | undefined> {
      for (;;) {
        const end = rest.indexOf('\n');
        if (end >= 0) {
          const line = rest.slice(0, end);
          rest = rest.slice(end + 1);
          if (line !== '') return JSON.parse(line) as Event;
          continue;
        }
        const { done, value } = await reader.read();
        if (done) return undefined;
        rest += value;
      }
    },
    stop: () => abort.abort(),
  };
}

const named = (event: Event | undefined) => [event?.type, event?.object.metadata.name];

async function create(name: string, labels: Record<string, string> = {}): Promise<string> {
  const { body } = await server.call('POST', BASE, { metadata: { name, labels } });
  return body.metadata.resourceVersion;
}

test('a label selector turns changes into ADDED and DELETED at its edge', async () => {
  const start = await create('edge');
  const stream = await watch(`resourceVersion=${start}&labelSelector=on%3Dyes`);
  const label = (on: string | null) =>
    server.call('PATCH', `${BASE}/edge`, { metadata: { labels: { on } } }, MERGE);
  await label('yes');
  expect(named(await stream.next())).toEqual(['ADDED', 'edge']);
  await server.call('PATCH', `${BASE}/edge`, { data: { a: '1' } }, MERGE);
  expect(named(await stream.next())).toEqual(['MODIFIED', 'edge']);
  const { body } = await label(null);
  const last = await stream.next();
  expect(named(last)).toEqual(['DELETED', 'edge']);
  expect(last?.object.metadata.resourceVersion).toBe(body.metadata.resourceVersion);
  stream.stop();
});

test('a watch answers at once, even when nothing happens, and ends at timeoutSeconds', async () => {
  const stream = await watch(
    'resourceVersion=1&fieldSelector=metadata.name%3Dnothing&timeoutSeconds=1',
  );
  expect(stream.answer.status).toBe(200);
  expect(await stream.next()).toBeUndefined();
});

test('resuming from a revision gives what came after it, deletions with their revision', async () => {
  const start = await create('resumed');
  await server.call('PATCH', `${BASE}/resumed`, { data: { a: '1' } }, MERGE);
  await server.call('DELETE', `${BASE}/resumed`);
  const stream = await watch(`resourceVersion=${start}&fieldSelector=metadata.name%3Dresumed`);
  expect(named(await stream.next())).toEqual(['MODIFIED', 'resumed']);
  const deleted = await stream.next();
  expect(named(deleted)).toEqual(['DELETED', 'resumed']);
  expect(Number(deleted?.object.metadata.resourceVersion)).toBe(Number(start) + 2);
  stream.stop();
});

test('sendInitialEvents: the state, then a bookmark that says so', async () => {
  await create('initial');
  const query = 'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const stream = await watch(`${query}&fieldSelector=metadata.name%3Dinitial`);
  expect(named(await stream.next())).toEqual(['ADDED', 'initial']);
  const end = await stream.next();
  expect(end?.type).toBe('BOOKMARK');
  expect(end?.object.metadata.annotations).toEqual({ 'k8s.io/initial-events-end': 'true' });
  stream.stop();
  const refused = await server.raw(`${BASE}?watch=true&sendInitialEvents=true`);
  expect(refused.status).toBe(400);
});

test('as Table: columns come with the first event only', async () => {
  await create('tabled');
  const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
  const stream = await watch('fieldSelector=metadata.name%3Dtabled', accept);
  const first = await stream.next();
  expect(first?.object).toMatchObject({
    kind: 'Table',
    rows: [{ cells: ['tabled', 0, expect.any(String)] }],
  });
  expect(first?.object.columnDefinitions).toBeArray();
  await server.call('PATCH', `${BASE}/tabled`, { data: { a: '1' } }, MERGE);
  const second = await stream.next();
  expect(second?.object.rows).toMatchObject([{ cells: ['tabled', 1, expect.any(String)] }]);
  expect(second?.object.columnDefinitions).toBeNull();
  stream.stop();
});

test('list in pages stays at the revision of its first page', async () => {
  for (const name of ['page-a', 'page-b', 'page-c']) await create(name, { paged: 'yes' });
  const query = `${BASE}?labelSelector=paged%3Dyes&limit=2`;
  const first = (await server.call('GET', query)).body;
  expect(first.items).toHaveLength(2);
  await server.call('DELETE', `${BASE}/page-c`);
  const second = (await server.call('GET', `${query}&continue=${first.metadata.continue}`)).body;
  expect(second.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual([
    'page-c',
  ]);
  expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
  expect(second.metadata.continue).toBeUndefined();
});

test('a revision behind the log: 410 Expired, in the stream, for an exact list and for a page', async () => {
  const eventLog = { eventLogMax: 5, trimEvery: 1 };
  const small = await startTestApiserver({ schemas: false, eventLog });
  try {
    for (const name of ['a', 'b', 'c']) await small.call('POST', BASE, { metadata: { name } });
    const page = (await small.call('GET', `${BASE}?limit=1`)).body.metadata;
    const exact = `${BASE}?resourceVersionMatch=Exact&resourceVersion=${page.resourceVersion}`;
    expect((await small.call('GET', exact)).code).toBe(200);
    for (let index = 0; index < 10; index++)
      await small.call('POST', BASE, { metadata: { name: `more-${index}` } });
    const stream = await small.raw(`${BASE}?watch=true&resourceVersion=${page.resourceVersion}`);
    const event = JSON.parse(await stream.text()) as Event;
    expect(event).toMatchObject({
      type: 'ERROR',
      object: { kind: 'Status', code: 410, reason: 'Expired' },
    });
    expect((await small.call('GET', exact)).code).toBe(410);
    const next = await small.call('GET', `${BASE}?limit=1&continue=${page.continue}`);
    expect(next.body).toMatchObject({ code: 410, reason: 'Expired' });
  } finally {
    await small.stop();
  }
});
