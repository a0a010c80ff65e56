/** Who may: tokens of service accounts, their audiences and bonds, reviews, and what each identity can reach. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { startTestApiserver, type TestApiserver } from '#test/support/apiserver.ts';

setDefaultTimeout(60_000);

const CORE = '/api/v1/namespaces/default';
let server: TestApiserver;
let defaultToken: string;
let systemToken: string;

beforeAll(async () => {
  server = await startTestApiserver({ schemas: false });
  defaultToken = await token('default', 'default');
  systemToken = await token('kube-system', 'default');
});
afterAll(() => server.stop());

async function token(namespace: string, name: string, spec: object = {}): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
  const { code, body } = await server.call('POST', path, { spec });
  expect(code).toBe(201);
  return body.status.token;
}

async function review(text: string, audiences?: string[]) {
  const path = '/apis/authentication.k8s.io/v1/tokenreviews';
  return (await server.call('POST', path, { spec: { token: text, audiences } })).body.status;
}

describe('what each identity can reach', () => {
  type Who = 'anonymous' | 'default' | 'system' | 'admin';
  const rows: { method: string; path: string; body?: object; allowed: Who[] }[] = [
    { method: 'GET', path: '/readyz', allowed: ['anonymous', 'default', 'system', 'admin'] },
    { method: 'GET', path: '/version', allowed: ['anonymous', 'default', 'system', 'admin'] },
    { method: 'GET', path: '/apis', allowed: ['default', 'system', 'admin'] },
    { method: 'GET', path: `${CORE}/secrets`, allowed: ['system', 'admin'] },
    {
      method: 'POST',
      path: `${CORE}/configmaps?dryRun=All`,
      body: { metadata: { name: 'a' } },
      allowed: ['system', 'admin'],
    },
    {
      method: 'POST',
      path: `${CORE}/serviceaccounts/default/token`,
      body: {},
      allowed: ['system', 'admin'],
    },
    {
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      body: {},
      allowed: ['default', 'system', 'admin'],
    },
    {
      method: 'POST',
      path: '/apis/authentication.k8s.io/v1/tokenreviews',
      body: { spec: {} },
      allowed: ['system', 'admin'],
    },
    { method: 'GET', path: '/nowhere', allowed: ['system', 'admin'] },
  ];
  for (const { method, path, body, allowed } of rows)
    test(`${method} ${path}: ${allowed.join(', ')}`, async () => {
      const tokens: Record<Who, string | undefined> = {
        anonymous: '',
        default: defaultToken,
        system: systemToken,
        admin: undefined,
      };
      for (const who of Object.keys(tokens) as Who[]) {
        const { code } = await server.call(method, path, body, { token: tokens[who] });
        expect([who, code === 403]).toEqual([who, !allowed.includes(who)]);
      }
    });
});

test('a token is for its audiences only, and the review says which matched', async () => {
  const forIstio = await token('default', 'default', { audiences: ['istio-ca', 'other'] });
  expect((await server.call('GET', '/apis', undefined, { token: forIstio })).code).toBe(401);
  expect((await review(forIstio)).authenticated).toBeUndefined();
  expect(await review(forIstio, ['istio-ca', 'unasked'])).toMatchObject({
    authenticated: true,
    audiences: ['istio-ca'],
    user: {
      username: 'system:serviceaccount:default:default',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:default', 'system:authenticated'],
    },
  });
});

test('the admin is reviewed as whom requests are made by, for the API server alone', async () => {
  expect(await review(server.adminToken)).toMatchObject({
    authenticated: true,
    user: { groups: expect.arrayContaining(['system:masters']) },
  });
  expect((await review(server.adminToken, ['istio-ca'])).authenticated).toBeUndefined();
});

test('a bound token says its pod, and ends with it', async () => {
  const spec = { containers: [{ name: 'c', image: 'host' }] };
  const { body: pod } = await server.call('POST', `${CORE}/pods`, {
    metadata: { name: 'bound' },
    spec,
  });
  const boundObjectRef = { kind: 'Pod', apiVersion: 'v1', name: 'bound', uid: pod.metadata.uid };
  const bound = await token('default', 'default', { boundObjectRef });
  const { user } = await review(bound);
  expect(user.extra).toEqual({
    'authentication.kubernetes.io/pod-name': ['bound'],
    'authentication.kubernetes.io/pod-uid': [pod.metadata.uid],
  });
  await server.call('DELETE', `${CORE}/pods/bound`);
  expect((await review(bound)).authenticated).toBeUndefined();
  expect((await server.call('GET', '/apis', undefined, { token: bound })).code).toBe(401);
});

test('a token of a service account that was deleted and made again is no good', async () => {
  const account = `${CORE}/serviceaccounts`;
  await server.call('POST', account, { metadata: { name: 'twice' } });
  const old = await token('default', 'twice');
  expect((await review(old)).authenticated).toBe(true);
  await server.call('DELETE', `${account}/twice`);
  await server.call('POST', account, { metadata: { name: 'twice' } });
  expect((await review(old)).authenticated).toBeUndefined();
});

test('tokens that were tampered with, are unsigned or foreign are refused', async () => {
  const [head, payload, signature] = defaultToken.split('.');
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const raised = encode({ ...claims, sub: 'system:serviceaccount:kube-system:default' });
  const forged = [
    `${head}.${raised}.${signature}`,
    `${encode({ alg: 'none' })}.${payload}.`,
    `${head}.${payload}.`,
    `${head}.${payload}`,
  ];
  for (const text of forged)
    expect((await server.call('GET', '/apis', undefined, { token: text })).code).toBe(401);
});

test('TokenRequest refuses lifetimes and pods that cannot be', async () => {
  const path = `${CORE}/serviceaccounts/default/token`;
  const short = await server.call('POST', path, { spec: { expirationSeconds: 60 } });
  expect(short.body.message).toContain('may not specify a duration less than 10 minutes');
  const boundObjectRef = { kind: 'Pod', name: 'none' };
  expect((await server.call('POST', path, { spec: { boundObjectRef } })).code).toBe(404);
});

test('keys and tokens are readable by their owner only', () => {
  for (const file of ['admin.token', 'serving.key', 'service-account.key'])
    expect(statSync(join(server.directory, file)).mode & 0o777).toBe(0o600);
});
