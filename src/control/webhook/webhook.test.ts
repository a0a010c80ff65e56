import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { createLogger } from '#base/log.ts';
import { systemRandom } from '#base/random.ts';
import type { Finding } from '#config/compile/finding.ts';
import { createRoot, loadAuthority } from '#identity/ca/authority.ts';
import { SERVING_TTL_SECONDS } from '#identity/limits.ts';
import { FakeClock } from '#test/support/fake-clock.ts';
import { ServingCertificate } from '../ca/serving.ts';
import { REVIEW_FINDINGS_MAX } from '../limits.ts';
import { answerReview } from './review.ts';
import { startWebhook, type WebhookPort } from './server.ts';

const OPTIONS = { domain: 'cluster.local' };
const NAMES = ['istiod.istio-system.svc', 'localhost'];

function review(object: unknown) {
  return {
    apiVersion: 'admission.k8s.io/v1',
    kind: 'AdmissionReview',
    request: { uid: 'u-1', operation: 'CREATE', object },
  };
}

function policy(spec: object, kind = 'AuthorizationPolicy') {
  const metadata = { name: 'p', namespace: 'shop' };
  return { apiVersion: 'security.istio.io/v1', kind, metadata, spec };
}

function virtualService(http: object[]) {
  return {
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'VirtualService',
    metadata: { name: 'v', namespace: 'shop' },
    spec: { hosts: ['a'], http },
  };
}
const ROUTE = [{ destination: { host: 'a' } }];

describe('answerReview', () => {
  test('what is right is let in, what deletes is not judged, a kind that nobody knows is let in', () => {
    const right = virtualService([{ route: ROUTE }]);
    for (const object of [right, null, undefined, { ...right, kind: 'EnvoyFilter' }])
      expect(answerReview(review(object), OPTIONS)?.response).toEqual({
        uid: 'u-1',
        allowed: true,
      });
  });

  test('every field that is wrong is named, with what is wrong and what to do', () => {
    const refused: Finding[] = [];
    const answer = answerReview(
      review(virtualService([{ timeout: 'soon', route: ROUTE }, { route: [{ destination: {} }] }])),
      OPTIONS,
      (findings) => refused.push(...findings),
    );
    expect(answer?.response).toMatchObject({ allowed: false, status: { code: 422 } });
    const message = answer?.response.status?.message ?? '';
    expect(message).toContain('spec.http[0].timeout: "soon" is not a duration');
    expect(message).toContain('IST0106; correct the field and apply again');
    expect(message).toContain('spec.http[1].route[0].destination.host');
    expect(refused.length).toBeGreaterThan(1);
  });

  test('a warning lets the object in and is shown', () => {
    const answer = answerReview(
      review(virtualService([{ route: ROUTE }, { name: 'never', route: ROUTE }])),
      OPTIONS,
    );
    expect(answer?.response.allowed).toBe(true);
    expect(answer?.response.warnings?.join()).toContain('spec.http[1]');
  });

  test('of very many findings some are shown, and how many more there are', () => {
    const http = Array.from({ length: REVIEW_FINDINGS_MAX + 5 }, () => ({
      timeout: 'x',
      route: ROUTE,
    }));
    const message = answerReview(review(virtualService(http)), OPTIONS)?.response.status?.message;
    expect(message?.split('; spec.').length).toBe(REVIEW_FINDINGS_MAX);
    expect(message).toContain('and 5 more');
  });

  test.each(
    [
      undefined,
      null,
      'x',
      [],
      {},
      { request: null },
      { request: { uid: 7 } },
      { request: { uid: 'u', object: 'x' } },
      { request: { uid: 'u', object: { kind: 'X' } } },
    ].map((body) => [body]),
  )('%j is no AdmissionReview', (body) => {
    expect(answerReview(body, OPTIONS)).toBeUndefined();
  });

  test('an object that is yet to get its name is judged as well', () => {
    const { metadata: _, ...rest } = policy({ action: 'DENY' });
    const unnamed = { ...rest, metadata: { generateName: 'p-', namespace: 'shop' } };
    expect(answerReview(review(unnamed), OPTIONS)?.response.allowed).toBe(false);
  });
});

const SECURITY: [what: string, object: object, field: string | undefined][] = [
  ['DENY without rules', policy({ action: 'DENY' }), 'spec.rules'],
  ['DENY of everything', policy({ action: 'DENY', rules: [{}] }), undefined],
  ['ALLOW without rules', policy({ action: 'ALLOW' }), undefined],
  ['CUSTOM without a provider', policy({ action: 'CUSTOM', rules: [{}] }), 'spec.provider.name'],
  [
    'CUSTOM by principal',
    policy({
      action: 'CUSTOM',
      provider: { name: 'x' },
      rules: [{ from: [{ source: { principals: ['a'] } }] }],
    }),
    'spec.rules[0].from[0].source.principals',
  ],
  ['provider without CUSTOM', policy({ provider: { name: 'x' } }), 'spec.provider'],
  ['empty from', policy({ rules: [{ from: [] }] }), 'spec.rules[0].from'],
  ['no source', policy({ rules: [{ from: [{}] }] }), 'spec.rules[0].from[0].source'],
  [
    'accounts and principals',
    policy({ rules: [{ from: [{ source: { serviceAccounts: ['a'], principals: ['b'] } }] }] }),
    'spec.rules[0].from[0].source',
  ],
  [
    'account with too many parts',
    policy({ rules: [{ from: [{ source: { serviceAccounts: ['a/b/c'] } }] }] }),
    'spec.rules[0].from[0].source.serviceAccounts[0]',
  ],
  [
    'port out of range',
    policy({ rules: [{ to: [{ operation: { ports: ['80', '70000'] } }] }] }),
    'spec.rules[0].to[0].operation.ports[1]',
  ],
  [
    'path template',
    policy({ rules: [{ to: [{ operation: { paths: ['/a/{*}/b/{**}'] } }] }] }),
    undefined,
  ],
  [
    'path template with a part of a segment',
    policy({ rules: [{ to: [{ operation: { paths: ['/a/x{*}'] } }] }] }),
    'spec.rules[0].to[0].operation.paths[0]',
  ],
  [
    'path template that goes on after its end',
    policy({ rules: [{ to: [{ operation: { paths: ['/{**}/{*}'] } }] }] }),
    'spec.rules[0].to[0].operation.paths[0]',
  ],
  [
    'unknown attribute',
    policy({ rules: [{ when: [{ key: 'source.nme', values: ['a'] }] }] }),
    'spec.rules[0].when[0].key',
  ],
  [
    'a claim',
    policy({ rules: [{ when: [{ key: 'request.auth.claims[a][b]', values: ['a'] }] }] }),
    undefined,
  ],
  [
    'two ways of selection',
    policy({
      selector: { matchLabels: { a: 'b' } },
      targetRefs: [{ group: '', kind: 'Service', name: 's' }],
    }),
    'spec',
  ],
  [
    'a target that there is none of',
    policy({ targetRefs: [{ group: 'apps', kind: 'Deployment', name: 's' }] }),
    'spec.targetRefs[0].kind',
  ],
  [
    'a key set that is none',
    policy({ jwtRules: [{ issuer: 'a', jwks: '{}' }] }, 'RequestAuthentication'),
    'spec.jwtRules[0].jwks',
  ],
  [
    'neither issuer nor keys',
    policy({ jwtRules: [{}] }, 'RequestAuthentication'),
    'spec.jwtRules[0].issuer',
  ],
  [
    'ports without a selector',
    policy({ portLevelMtls: { '80': { mode: 'STRICT' } } }, 'PeerAuthentication'),
    'spec.portLevelMtls',
  ],
];

describe('policies', () => {
  test.each(SECURITY)('%s', (_what, object, field) => {
    const { allowed, status } = answerReview(review(object), OPTIONS)?.response ?? {};
    expect({ allowed, field: status?.message.split(': ')[0] }).toEqual({
      allowed: field === undefined,
      field,
    });
  });
});

describe('port 15017', () => {
  let clock: FakeClock;
  let serving: ServingCertificate;
  let webhook: WebhookPort;
  let root: string;

  beforeEach(async () => {
    // The second certificate is made now, and so is valid for who asks.
    clock = new FakeClock(Date.now() - (SERVING_TTL_SECONDS / 2) * 1000 - 3_600_000);
    const deps = {
      clock,
      random: systemRandom,
      log: createLogger('test', { clock, level: 'error' }),
    };
    const authority = await loadAuthority(deps, await createRoot(deps, 'cluster.local'));
    root = authority.root;
    serving = await ServingCertificate.create({ ...deps, authority }, NAMES);
    const address = { hostname: '127.0.0.1', port: 0 };
    webhook = startWebhook(serving, { ...OPTIONS, ...address }, () => undefined);
  });

  afterEach(async () => {
    serving.stop();
    await webhook.stop();
  });

  const ask = (path: string, init?: RequestInit) =>
    fetch(`https://localhost:${webhook.port}${path}`, {
      ...init,
      keepalive: false,
      tls: { ca: root },
    } as RequestInit);

  test('answers over TLS that the mesh’s root vouches for; other questions get a status that says what is wrong', async () => {
    const body = JSON.stringify(review(virtualService([{ route: ROUTE }])));
    const answer = await ask('/validate?timeout=5s', { method: 'POST', body });
    expect(await answer.json()).toMatchObject({ response: { uid: 'u-1', allowed: true } });
    expect((await ask('/validate', { method: 'POST', body: '{' })).status).toBe(400);
    expect((await ask('/validate')).status).toBe(405);
    expect((await ask('/mutate', { method: 'POST', body })).status).toBe(404);
  });

  test('half a year later it shows a new certificate on the same port, and was never away', async () => {
    const before = serving.current.certificateChain;
    const hours = (SERVING_TTL_SECONDS / 3600) * 0.5;
    for (let hour = 0; hour < hours - 1; hour++) clock.advance(3_600_000);
    expect(serving.current.certificateChain).toBe(before);
    const renewed = new Promise((resolve) => serving.onRenewed(resolve));
    clock.advance(2 * 3_600_000);
    await renewed;
    expect(serving.current.certificateChain).not.toBe(before);
    const answer = await ask('/validate', { method: 'POST', body: JSON.stringify(review(null)) });
    expect(answer.status).toBe(200);
  });
});
