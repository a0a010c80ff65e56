/** The REST rules over real HTTP: errors, metadata, deletion, ownership, namespaces, revisions, watches. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { startTestApiserver, type TestApiserver, until } from '#test/support/apiserver.ts';

setDefaultTimeout(60_000);

const CORE = '/api/v1/namespaces/default';
const MERGE = { contentType: 'application/merge-patch+json' };

let server: TestApiserver;
beforeAll(async () => {
  server = await startTestApiserver({ schemas: false });
});
afterAll(() => server.stop());

function configMap(name: string, extra: object = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...extra };
}

function pod(name: string, extra: object = {}) {
  const spec = { containers: [{ name: 'c', image: 'host' }] };
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec, ...extra };
}

async function create(path: string, object: object) {
  const { code, body } = await server.call('POST', path, object);
  expect({ code, message: body.message }).toEqual({ code: 201, message: undefined });
  return body;
}

describe('refusals are Status objects with Kubernetes words', () => {
  const rows: {
    title: string;
    request: [method: string, path: string, body?: unknown];
    token?: string;
    contentType?: string;
    want: { code: number; reason: string; message: string | RegExp };
  }[] = [
    {
      title: 'get of what is not there',
      request: ['GET', `${CORE}/pods/none`],
      want: { code: 404, reason: 'NotFound', message: 'pods "none" not found' },
    },
    {
      title: 'a path that is not served',
      request: ['GET', '/api/v1/gadgets'],
      want: {
        code: 404,
        reason: 'NotFound',
        message: 'the server could not find the requested resource',
      },
    },
    {
      title: 'create twice',
      request: ['POST', `${CORE}/serviceaccounts`, { metadata: { name: 'default' } }],
      want: {
        code: 409,
        reason: 'AlreadyExists',
        message: 'serviceaccounts "default" already exists',
      },
    },
    {
      title: 'create in a namespace that is not there',
      request: ['POST', '/api/v1/namespaces/none/configmaps', configMap('a')],
      want: { code: 404, reason: 'NotFound', message: 'namespaces "none" not found' },
    },
    {
      title: 'a name against the rules',
      request: ['POST', `${CORE}/configmaps`, configMap('Not_Good')],
      want: {
        code: 422,
        reason: 'Invalid',
        message:
          /^ConfigMap "Not_Good" is invalid: metadata.name: Invalid value: "Not_Good": a lowercase RFC 1123 subdomain/,
      },
    },
    {
      title: 'a label value against the rules',
      request: [
        'POST',
        `${CORE}/configmaps`,
        configMap('a', { metadata: { name: 'a', labels: { a: 'b c' } } }),
      ],
      want: { code: 422, reason: 'Invalid', message: /metadata.labels: Invalid value: "b c"/ },
    },
    {
      title: 'another kind in the body',
      request: ['POST', `${CORE}/configmaps`, { ...configMap('a'), kind: 'Secret' }],
      want: {
        code: 400,
        reason: 'BadRequest',
        message: /Secret in version "v1" cannot be handled as a ConfigMap/,
      },
    },
    {
      title: 'another namespace in the body',
      request: [
        'POST',
        `${CORE}/configmaps`,
        configMap('a', { metadata: { name: 'a', namespace: 'b' } }),
      ],
      want: {
        code: 400,
        reason: 'BadRequest',
        message:
          'the namespace of the provided object does not match the namespace sent on the request',
      },
    },
    {
      title: 'no name at all',
      request: ['POST', `${CORE}/configmaps`, { metadata: {} }],
      want: { code: 422, reason: 'Invalid', message: /name or generateName is required/ },
    },
    {
      title: 'a resource version on create',
      request: [
        'POST',
        `${CORE}/configmaps`,
        configMap('a', { metadata: { name: 'a', resourceVersion: '1' } }),
      ],
      want: {
        code: 400,
        reason: 'BadRequest',
        message: 'resourceVersion should not be set on objects to be created',
      },
    },
    {
      title: 'a body that is no JSON',
      request: ['POST', `${CORE}/configmaps`, undefined],
      want: { code: 400, reason: 'BadRequest', message: 'the request has no body' },
    },
    {
      title: 'a media type that is not known',
      request: ['PATCH', `${CORE}/serviceaccounts/default`, {}],
      contentType: 'text/plain',
      want: { code: 415, reason: 'UnsupportedMediaType', message: /accepted media types include/ },
    },
    {
      title: 'a JSON patch whose test fails',
      request: [
        'PATCH',
        `${CORE}/serviceaccounts/default`,
        [{ op: 'test', path: '/kind', value: 'x' }],
      ],
      contentType: 'application/json-patch+json',
      want: { code: 422, reason: 'Invalid', message: /testing value \/kind failed/ },
    },
    {
      title: 'an unknown field selector',
      request: ['GET', `${CORE}/pods?fieldSelector=spec.colour=red`],
      want: { code: 400, reason: 'BadRequest', message: 'field label not supported: spec.colour' },
    },
    {
      title: 'a broken label selector',
      request: ['GET', `${CORE}/pods?labelSelector=a%20in%20(b`],
      want: { code: 400, reason: 'BadRequest', message: /unbalanced parentheses/ },
    },
    {
      title: 'a revision of the future',
      request: ['GET', `${CORE}/pods?resourceVersion=99999999`],
      want: { code: 504, reason: 'Timeout', message: /Too large resource version/ },
    },
    {
      title: 'nobody in particular',
      request: ['GET', `${CORE}/pods`],
      token: '',
      want: {
        code: 403,
        reason: 'Forbidden',
        message:
          'pods is forbidden: User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"',
      },
    },
    {
      title: 'a token that is none',
      request: ['GET', '/readyz'],
      token: 'forged',
      want: { code: 401, reason: 'Unauthorized', message: 'Unauthorized' },
    },
    {
      title: 'a method that the resource lacks',
      request: ['PUT', `${CORE}/configmaps`, configMap('a')],
      want: {
        code: 405,
        reason: 'MethodNotAllowed',
        message: 'the server does not allow this method on the requested resource',
      },
    },
    {
      title: 'deleting the default namespace',
      request: ['DELETE', '/api/v1/namespaces/default'],
      want: {
        code: 403,
        reason: 'Forbidden',
        message: 'namespaces "default" is forbidden: this namespace may not be deleted',
      },
    },
  ];
  for (const { title, request, token, contentType, want } of rows)
    test(title, async () => {
      const [method, path, sent] = request;
      const { code, body } = await server.call(method, path, sent, { token, contentType });
      expect(body).toMatchObject({
        kind: 'Status',
        status: 'Failure',
        code: want.code,
        reason: want.reason,
      });
      expect(code).toBe(want.code);
      if (typeof want.message === 'string') expect(body.message).toBe(want.message);
      else expect(body.message).toMatch(want.message);
    });
});

describe('writes', () => {
  test('generateName adds five characters; uid, time and revision are the server’s', async () => {
    const body = {
      metadata: { generateName: 'made-', uid: 'mine', creationTimestamp: '2000-01-01T00:00:00Z' },
    };
    const { metadata } = await create(`${CORE}/configmaps`, body);
    expect(metadata.name).toMatch(/^made-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    expect(metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
    expect(metadata.creationTimestamp).not.toBe('2000-01-01T00:00:00Z');
  });

  test('dryRun=All answers as if and stores nothing', async () => {
    const { code } = await server.call('POST', `${CORE}/configmaps?dryRun=All`, configMap('dry'));
    expect(code).toBe(201);
    expect((await server.call('GET', `${CORE}/configmaps/dry`)).code).toBe(404);
  });

  test('an update with an old resourceVersion conflicts; an equal one is no write', async () => {
    const first = await create(`${CORE}/configmaps`, configMap('raced', { data: { a: '1' } }));
    const path = `${CORE}/configmaps/raced`;
    const second = (await server.call('PUT', path, { ...first, data: { a: '2' } })).body;
    expect(Number(second.metadata.resourceVersion)).toBeGreaterThan(
      Number(first.metadata.resourceVersion),
    );
    const stale = await server.call('PUT', path, { ...first, data: { a: '3' } });
    expect(stale.body.message).toBe(
      'Operation cannot be fulfilled on configmaps "raced": the object has been modified; please apply your changes to the latest version and try again',
    );
    const same = (await server.call('PUT', path, second)).body;
    expect(same.metadata.resourceVersion).toBe(second.metadata.resourceVersion);
  });

  test('status and spec are written apart; generation counts specs only', async () => {
    const spec = {
      selector: { matchLabels: { app: 'a' } },
      template: {
        metadata: { labels: { app: 'a' } },
        spec: { containers: [{ name: 'c', image: 'host' }] },
      },
    };
    const base = '/apis/apps/v1/namespaces/default/deployments';
    const body = { metadata: { name: 'apart' }, spec, status: { replicas: 9 } };
    const made = await create(base, body);
    expect(made.status).toEqual({});
    expect(made.metadata.generation).toBe(1);
    expect(made.spec).toMatchObject({ replicas: 1, strategy: { type: 'RollingUpdate' } });
    const patch = { status: { replicas: 2 }, spec: { replicas: 7 } };
    const status = (await server.call('PATCH', `${base}/apart/status`, patch, MERGE)).body;
    expect([status.status.replicas, status.spec.replicas, status.metadata.generation]).toEqual([
      2, 1, 1,
    ]);
    const main = (await server.call('PATCH', `${base}/apart`, patch, MERGE)).body;
    expect([main.status.replicas, main.spec.replicas, main.metadata.generation]).toEqual([2, 7, 2]);
    const scale = (
      await server.call('PATCH', `${base}/apart/scale`, { spec: { replicas: 4 } }, MERGE)
    ).body;
    expect(scale).toMatchObject({
      kind: 'Scale',
      spec: { replicas: 4 },
      status: { replicas: 2, selector: 'app=a' },
    });
  });

  test('services get an address for life, headless ones none', async () => {
    const service = (name: string, spec: object) => ({
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...spec },
    });
    const made = await create(`${CORE}/services`, service('addressed', {}));
    expect(made.spec.clusterIP).toMatch(/^198\.19\.\d+\.\d+$/);
    expect(made.spec.ports[0]).toEqual({ port: 80, protocol: 'TCP', targetPort: 80 });
    const headless = await create(`${CORE}/services`, service('headless', { clusterIP: 'None' }));
    expect(headless.spec.clusterIPs).toEqual(['None']);
    const taken = await server.call(
      'POST',
      `${CORE}/services`,
      service('taken', { clusterIP: made.spec.clusterIP }),
    );
    expect(taken.body.message).toContain('provided IP is already allocated');
    const moved = { spec: { clusterIP: '198.19.9.9' } };
    const change = await server.call('PATCH', `${CORE}/services/addressed`, moved, MERGE);
    expect(change.body.message).toContain('may not change once set');
  });

  test('secrets: stringData becomes data', async () => {
    const made = await create(`${CORE}/secrets`, {
      metadata: { name: 'plain' },
      stringData: { k: 'v' },
    });
    expect(made).toMatchObject({ type: 'Opaque', data: { k: 'dg==' } });
    expect(made.stringData).toBeUndefined();
  });

  test('pods/binding gives a pod its node once', async () => {
    await create(`${CORE}/pods`, pod('bound'));
    const binding = { target: { kind: 'Node', name: 'node1' } };
    expect((await server.call('POST', `${CORE}/pods/bound/binding`, binding)).code).toBe(201);
    const { body } = await server.call('GET', `${CORE}/pods?fieldSelector=spec.nodeName=node1`);
    expect(body.items.map((item: { metadata: { name: string } }) => item.metadata.name)).toEqual([
      'bound',
    ]);
    expect((await server.call('POST', `${CORE}/pods/bound/binding`, binding)).code).toBe(409);
  });
});

describe('deletion', () => {
  test('a scheduled pod is marked, and goes when its node says so', async () => {
    await create(`${CORE}/pods`, pod('graceful'));
    await server.call('POST', `${CORE}/pods/graceful/binding`, { target: { name: 'node1' } });
    const { body } = await server.call('DELETE', `${CORE}/pods/graceful`);
    expect(body.metadata).toMatchObject({ deletionGracePeriodSeconds: 30 });
    expect(body.metadata.deletionTimestamp).toBeString();
    const path = `${CORE}/pods/graceful?gracePeriodSeconds=0`;
    expect((await server.call('DELETE', path)).body).toMatchObject({
      kind: 'Status',
      status: 'Success',
    });
    expect((await server.call('GET', `${CORE}/pods/graceful`)).code).toBe(404);
  });

  test('finalizers hold an object until the last one is taken off', async () => {
    await create(
      `${CORE}/configmaps`,
      configMap('held', { metadata: { name: 'held', finalizers: ['a.b/c'] } }),
    );
    expect(
      (await server.call('DELETE', `${CORE}/configmaps/held`)).body.metadata.deletionTimestamp,
    ).toBeString();
    const path = `${CORE}/configmaps/held`;
    expect((await server.call('GET', path)).code).toBe(200);
    await server.call('PATCH', path, { metadata: { finalizers: null } }, MERGE);
    expect((await server.call('GET', path)).code).toBe(404);
  });

  async function family(name: string, block = true) {
    const owner = await create(`${CORE}/configmaps`, configMap(name));
    const reference = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name,
      uid: owner.metadata.uid,
      blockOwnerDeletion: block,
    };
    const metadata = { name: `${name}-child`, ownerReferences: [reference] };
    await create(`${CORE}/configmaps`, configMap('', { metadata }));
  }
  const gone = (name: string) =>
    until(async () =>
      (await server.call('GET', `${CORE}/configmaps/${name}`)).code === 404 ? true : undefined,
    );

  test('dependents go after their owner (background) and before it (foreground)', async () => {
    await family('background');
    await server.call('DELETE', `${CORE}/configmaps/background`);
    await gone('background-child');
    await family('foreground');
    const options = { propagationPolicy: 'Foreground' };
    const { body } = await server.call('DELETE', `${CORE}/configmaps/foreground`, options);
    expect(body.metadata.finalizers).toEqual(['foregroundDeletion']);
    await gone('foreground');
    expect((await server.call('GET', `${CORE}/configmaps/foreground-child`)).code).toBe(404);
  });

  test('Orphan sets dependents free', async () => {
    await family('parent');
    await server.call('DELETE', `${CORE}/configmaps/parent`, { propagationPolicy: 'Orphan' });
    await gone('parent');
    const child = (await server.call('GET', `${CORE}/configmaps/parent-child`)).body;
    expect(child.metadata.ownerReferences).toBeUndefined();
  });

  test('an object whose owner never was is collected', async () => {
    const reference = { apiVersion: 'v1', kind: 'ConfigMap', name: 'never', uid: 'no-such-uid' };
    await create(
      `${CORE}/configmaps`,
      configMap('', { metadata: { name: 'lost', ownerReferences: [reference] } }),
    );
    await gone('lost');
  });

  test('a namespace takes its content with it, and refuses more meanwhile', async () => {
    await create('/api/v1/namespaces', { metadata: { name: 'doomed' } });
    const inside = '/api/v1/namespaces/doomed/configmaps';
    const names = await until(async () => {
      const { items } = (await server.call('GET', inside)).body;
      return items.length === 1
        ? items.map((item: { metadata: { name: string } }) => item.metadata.name)
        : undefined;
    });
    expect(names).toEqual(['kube-root-ca.crt']);
    await create(inside, configMap('', { metadata: { name: 'last', finalizers: ['a.b/c'] } }));
    const { body } = await server.call('DELETE', '/api/v1/namespaces/doomed');
    expect(body.status.phase).toBe('Terminating');
    const more = await server.call('POST', inside, configMap('more'));
    expect(more.body.details.causes[0].reason).toBe('NamespaceTerminating');
    await until(async () =>
      (await server.call('GET', inside)).body.items.length === 1 ? true : undefined,
    );
    await server.call('PATCH', `${inside}/last`, { metadata: { finalizers: null } }, MERGE);
    await until(async () =>
      (await server.call('GET', '/api/v1/namespaces/doomed')).code === 404 ? true : undefined,
    );
  });
});
