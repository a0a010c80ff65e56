/** Keys by address: fetched, kept, refused, and what proxies are told of them. */
import { describe, expect, test } from 'bun:test';
import { silentLogger } from '#base/log.ts';
import { seededRandom } from '#base/random.ts';
import { Graph } from '#collections/graph.ts';
import type { KubeObject } from '#kube/client/kube-client.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { DEFAULT_MESH } from '../derive/mesh.ts';
import type { RequestAuthenticationObject } from '../derive/request-authentication.ts';
import {
  KEYS_BYTES_MAX,
  KEYS_REFRESH_MS,
  KEYS_RETRY_INITIAL_MS,
  KEYS_TIMEOUT_MS,
} from '../limits.ts';
import { createMeshGraph } from './mesh-graph.ts';
import { startKeyFetcher } from './policy-keys.ts';

const URI = 'https://issuer.test/keys';
const SET = JSON.stringify({ keys: [{ kty: 'RSA', kid: 'one' }] });

type Answer = () => Promise<Response>;
const says =
  (text: string, status = 200): Answer =>
  async () =>
    new Response(text, { status });
const refuses: Answer = async () => {
  throw new Error('refused');
};

async function rigOf(jwtRules: object[], answers: Record<string, Answer>) {
  const clock = new FakeClock();
  const graph = new Graph();
  const mesh = createMeshGraph(graph, DEFAULT_MESH);
  const { keys } = mesh.parts.policies;
  const put = (rules: object[]) =>
    mesh.sources.requestAuthentications.set('istio-system/jwt', {
      apiVersion: 'security.istio.io/v1',
      kind: 'RequestAuthentication',
      metadata: { name: 'jwt', namespace: 'istio-system' },
      spec: { jwtRules: rules },
    } as KubeObject & RequestAuthenticationObject);
  put(jwtRules);
  const asked: string[] = [];
  const fetch = (url: string, { signal }: { signal: AbortSignal }) => {
    asked.push(url);
    const given = (answers[url] ?? says('', 404))();
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason));
    });
    return Promise.race([given, aborted]);
  };
  const fetcher = startKeyFetcher(
    { clock, random: seededRandom(1), log: silentLogger, fetch },
    mesh.parts.policies,
  );
  return { clock, keys, put, asked, fetcher, answers, mesh };
}

const turns = async () => {
  for (let turn = 0; turn < 50; turn += 1) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
};

describe('startKeyFetcher', () => {
  test('hands the keys of an address on, and looks for new ones', async () => {
    const { clock, keys, asked, fetcher, answers } = await rigOf([{ issuer: 'i', jwksUri: URI }], {
      [URI]: says(SET),
    });
    await fetcher.settled;
    expect(keys.get(URI)).toEqual({ jwks: SET });
    answers[URI] = says('{"keys":[]}');
    clock.advance(KEYS_REFRESH_MS);
    await turns();
    // Keys that an issuer takes back are taken back.
    expect([keys.get(URI), asked.length]).toEqual([{ jwks: '{"keys":[]}' }, 2]);
    fetcher.stop();
    expect(clock.pending).toBe(0);
  });

  test('asks an issuer without address where its keys are', async () => {
    const metadata = 'https://issuer.test/.well-known/openid-configuration';
    const { keys, asked, fetcher } = await rigOf([{ issuer: 'https://issuer.test/' }], {
      [metadata]: says(JSON.stringify({ jwks_uri: URI })),
      [URI]: says(SET),
    });
    await fetcher.settled;
    expect([keys.get(metadata), asked]).toEqual([{ jwks: SET }, [metadata, URI]]);
    fetcher.stop();
  });

  const WRONG: [string, Answer, string][] = [
    ['an answer that says no', says('', 500), 'answered 500'],
    ['no answer', refuses, 'refused'],
    ['text', says('hello'), 'JSON'],
    ['another document', says('{"key":[]}'), 'has no keys'],
    ['a list', says('[]'), 'has no keys'],
    ['nothing', says('null'), 'has no keys'],
    ['a document without end', says(' '.repeat(KEYS_BYTES_MAX + 1)), 'more than 262144 bytes'],
    ['keys in a file', says('{"jwks_uri":"file:///etc/passwd"}'), 'no http or https URL'],
  ];
  test.each(WRONG)('has no keys from %s, says so, and tries again', async (_title, answer, why) => {
    const { clock, keys, fetcher, answers } = await rigOf([{ issuer: 'i', jwksUri: URI }], {
      [URI]: answer,
    });
    await fetcher.settled;
    expect(keys.get(URI)?.jwks).toBeUndefined();
    expect(keys.get(URI)?.problem).toContain(`no keys from ${URI}: `);
    expect(keys.get(URI)?.problem).toContain(why);
    answers[URI] = says(SET);
    clock.advance(KEYS_RETRY_INITIAL_MS);
    await turns();
    expect(keys.get(URI)).toEqual({ jwks: SET });
    fetcher.stop();
  });

  test('waits no longer than it says, and does not read files', async () => {
    const never: Answer = () => new Promise(() => undefined);
    const file = 'file:///etc/hostname';
    const rules = [
      { issuer: 'i', jwksUri: URI },
      { issuer: 'j', jwksUri: file },
    ];
    const { clock, keys, asked, fetcher } = await rigOf(rules, { [URI]: never });
    clock.advance(KEYS_TIMEOUT_MS);
    await fetcher.settled;
    expect(keys.get(URI)?.problem).toContain('no answer within 5000 ms');
    expect([keys.get(file)?.problem, asked]).toEqual([
      `no keys from ${file}: ${file} is no http or https URL`,
      [URI],
    ]);
    fetcher.stop();
  });

  test('keeps the last good keys while an address is broken', async () => {
    const { clock, keys, fetcher, answers } = await rigOf([{ issuer: 'i', jwksUri: URI }], {
      [URI]: says(SET),
    });
    await fetcher.settled;
    answers[URI] = refuses;
    clock.advance(KEYS_REFRESH_MS);
    await turns();
    expect(keys.get(URI)).toMatchObject({ jwks: SET, problem: expect.stringContaining('refused') });
    fetcher.stop();
  });

  test('follows the policies: new addresses are asked, old ones forgotten', async () => {
    const other = 'https://other.test/keys';
    const { clock, keys, put, fetcher } = await rigOf([{ issuer: 'i', jwksUri: URI }], {
      [URI]: says(SET),
      [other]: says(SET),
    });
    await fetcher.settled;
    put([{ issuer: 'o', jwksUri: other }]);
    await turns();
    expect([keys.get(URI), keys.get(other)]).toEqual([undefined, { jwks: SET }]);
    put([{ issuer: 'o', jwks: SET }]);
    await turns();
    expect([keys.size, clock.pending]).toEqual([0, 0]);
    fetcher.stop();
  });
});

test('proxies are told the keys, or why there are none', async () => {
  const { mesh, keys, fetcher } = await rigOf(
    [
      { issuer: 'i', jwksUri: URI },
      { issuer: 'someone', outputPayloadToHeader: 'x' },
    ],
    { [URI]: says(SET) },
  );
  const told = () =>
    mesh.parts.policies.bySelector
      .get('istio-system')
      ?.flatMap(({ judged }) => ('tokens' in judged ? judged.tokens.rules : []));
  const unknown = { issuer: 'someone', keysMissing: expect.stringContaining('neither jwks nor') };
  const pending = `the keys at ${URI} have not come yet`;
  expect(told()).toMatchObject([{ issuer: 'i', keysMissing: pending }, unknown]);
  await fetcher.settled;
  expect(told()).toMatchObject([{ issuer: 'i', jwks: SET }, unknown]);
  keys.set(URI, { problem: 'it is down' });
  expect(told()).toMatchObject([{ issuer: 'i', keysMissing: 'it is down' }, unknown]);
  fetcher.stop();
});
