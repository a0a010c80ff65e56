import { describe, expect, test } from 'bun:test';
import { createTestCa } from '#test/support/certificates.ts';
import type { World } from '#test/support/gateway-api-fixtures.ts';
import { compileWorld, HTTP } from '#test/support/gateway-api-fixtures.ts';
import type { GatewaySpec, ListenerSpec } from './kinds.ts';

const ca = await createTestCa();
const identity = await ca.issue('web', { dns: 'web.example.com' });
const other = await ca.issue('other', { dns: 'web.example.com' });
const base64 = (text: string) => Buffer.from(text).toString('base64');
const SECRETS = {
  'shop/good': {
    data: { 'tls.crt': base64(identity.certificateChain), 'tls.key': base64(identity.privateKey) },
  },
  'shop/swapped': {
    data: { 'tls.crt': base64(identity.certificateChain), 'tls.key': base64(other.privateKey) },
  },
  'shop/garbage': { data: { 'tls.crt': base64('Hello'), 'tls.key': base64('Hello') } },
  'shop/empty': { data: {} },
  'certs/far': {
    data: { cert: base64(identity.certificateChain), key: base64(identity.privateKey) },
  },
};
const CONFIG_MAPS = {
  'shop/ca': { data: { 'ca.crt': ca.rootPem } },
  'shop/bad': { data: { 'ca.crt': 'x' } },
  'shop/none': { data: { other: 'x' } },
};
const GRANT = {
  metadata: { name: 'g', namespace: 'certs' },
  spec: {
    from: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: 'shop' }],
    to: [{ group: '', kind: 'Secret' }],
  },
};
const HTTPS: ListenerSpec = {
  name: 'https',
  port: 443,
  protocol: 'HTTPS',
  tls: { certificateRefs: [{ name: 'good' }] },
};

const compile = (world: World) =>
  compileWorld({ secrets: SECRETS, configMaps: CONFIG_MAPS, ...world });
/** `name: condition reason, …` of all but what is well. */
function faultsOf(world: World): string[] {
  return compile(world).listenerStatuses.map(({ name, conditions }) => {
    const bad = conditions.filter(
      ({ type, status }) => (status === 'True') === (type === 'Conflicted'),
    );
    return [name, ...bad.map(({ type, reason }) => `${type} ${reason}`)].join(' ');
  });
}
const serverTls = (world: World) => compile(world).config.listeners[0]?.servers[0]?.tls;

describe('compileListeners, conflicts', () => {
  const at = (name: string, protocol: string, port: number, hostname?: string): ListenerSpec => ({
    name,
    protocol,
    port,
    ...(hostname && { hostname }),
    ...(protocol === 'TLS' && { tls: { mode: 'Passthrough' } }),
    ...(protocol === 'HTTPS' && { tls: HTTPS.tls }),
  });
  /** [title, listeners, what is told] */
  const rows: [string, ListenerSpec[], string[]][] = [
    ['ports', [at('a', 'HTTP', 80), at('b', 'HTTP', 81)], ['a', 'b']],
    [
      'hosts of one port',
      [at('a', 'HTTP', 80, 'a.com'), at('b', 'HTTP', 80, '*.com'), at('c', 'HTTP', 80)],
      ['a', 'b', 'c'],
    ],
    [
      'one host twice',
      [at('a', 'HTTP', 80, 'a.com'), at('b', 'HTTP', 80, 'A.com')],
      ['a', 'b Accepted HostnameConflict Conflicted HostnameConflict Programmed HostnameConflict'],
    ],
    [
      'no host twice',
      [at('a', 'HTTP', 80), at('b', 'HTTP', 80)],
      ['a', 'b Accepted HostnameConflict Conflicted HostnameConflict Programmed HostnameConflict'],
    ],
    [
      'HTTPS beside TLS by host',
      [at('a', 'HTTPS', 443, 'a.com'), at('b', 'TLS', 443, 'b.com')],
      ['a', 'b'],
    ],
    [
      'HTTPS and TLS for one host',
      [at('a', 'HTTPS', 443, 'a.com'), at('b', 'TLS', 443, 'a.com')],
      ['a', 'b Accepted ProtocolConflict Conflicted ProtocolConflict Programmed ProtocolConflict'],
    ],
    [
      'plaintext beside TLS',
      [at('a', 'HTTPS', 443, 'a.com'), at('b', 'HTTP', 443, 'b.com')],
      ['a', 'b Accepted ProtocolConflict Conflicted ProtocolConflict Programmed ProtocolConflict'],
    ],
    [
      'TCP shares a port with nobody',
      [at('a', 'TCP', 9), at('b', 'HTTP', 9, 'b.com'), at('c', 'TCP', 9)],
      [
        'a',
        'b Accepted ProtocolConflict Conflicted ProtocolConflict Programmed ProtocolConflict',
        'c Accepted ProtocolConflict Conflicted ProtocolConflict Programmed ProtocolConflict',
      ],
    ],
    [
      'an unknown protocol',
      [at('a', 'http', 80)],
      ['a Accepted UnsupportedProtocol Programmed Invalid'],
    ],
    ['UDP', [at('a', 'UDP', 80)], ['a Accepted UnsupportedProtocol Programmed Invalid']],
  ];
  for (const [title, listeners, told] of rows)
    test(title, () => expect(faultsOf({ listeners })).toEqual(told));

  test('of ListenerSets the older comes first, after the Gateway', () => {
    const listenerSets = [
      { name: 'b', created: '2026-01-01T00:00:00Z', listeners: [at('x', 'HTTP', 82)] },
      {
        name: 'a',
        created: '2026-01-02T00:00:00Z',
        listeners: [at('x', 'HTTP', 82), at('y', 'HTTP', 80)],
      },
    ];
    const conflict =
      'Accepted HostnameConflict Conflicted HostnameConflict Programmed HostnameConflict';
    expect(faultsOf({ listenerSets })).toEqual(['http', 'x', `x ${conflict}`, `y ${conflict}`]);
  });
});

test('a listener that is not served says which certificate is the matter', () => {
  const listener = { ...HTTPS, tls: { certificateRefs: [{ name: 'mistyped' }] } };
  const { conditions } = compile({ listeners: [listener] }).listenerStatuses[0];
  const of = (wanted: string) => conditions.find(({ type }) => type === wanted);
  expect(of('Programmed')).toMatchObject({ status: 'False', reason: 'Invalid' });
  expect(of('Programmed')?.message).toContain('mistyped');
});

describe('compileListeners, kinds', () => {
  /** [title, listener, supported kinds, fault] */
  const rows: [string, ListenerSpec, string[], string][] = [
    ['HTTP', HTTP, ['HTTPRoute', 'GRPCRoute'], ''],
    ['some', { ...HTTP, allowedRoutes: { kinds: [{ kind: 'GRPCRoute' }] } }, ['GRPCRoute'], ''],
    [
      'some and unknown ones',
      { ...HTTP, allowedRoutes: { kinds: [{ kind: 'HTTPRoute' }, { kind: 'Magic' }] } },
      ['HTTPRoute'],
      ' ResolvedRefs InvalidRouteKinds',
    ],
    [
      'only unknown ones',
      { ...HTTP, allowedRoutes: { kinds: [{ group: 'x.io', kind: 'HTTPRoute' }] } },
      [],
      ' ResolvedRefs InvalidRouteKinds',
    ],
    ['TCP', { name: 'http', port: 9, protocol: 'TCP' }, ['TCPRoute'], ''],
    [
      'TLS passed through',
      { name: 'http', port: 9, protocol: 'TLS', tls: { mode: 'Passthrough' } },
      ['TLSRoute'],
      '',
    ],
    [
      'TLS terminated',
      {
        name: 'http',
        port: 9,
        protocol: 'TLS',
        tls: { mode: 'Terminate', certificateRefs: [{ name: 'good' }] },
      },
      ['TLSRoute', 'TCPRoute'],
      '',
    ],
  ];
  for (const [title, listener, kinds, fault] of rows)
    test(title, () => {
      expect(
        compile({ listeners: [listener] }).listenerStatuses[0].supportedKinds.map(
          ({ kind }) => kind,
        ),
      ).toEqual(kinds);
      expect(faultsOf({ listeners: [listener] })).toEqual([`http${fault}`]);
    });
});

describe('compileListeners, TLS', () => {
  const BAD_CERTIFICATE = 'https Programmed Invalid ResolvedRefs InvalidCertificateRef';
  const https = (tls: ListenerSpec['tls']): ListenerSpec => ({ ...HTTPS, tls });
  /** [title, tls, ServerTls, what is told] */
  const rows: [string, ListenerSpec['tls'], object | undefined, string, World?][] = [
    [
      'a certificate',
      HTTPS.tls,
      { mode: 'simple', certificates: ['kubernetes://shop/good'] },
      'https',
    ],
    [
      'two certificates, one of them bad',
      { certificateRefs: [{ name: 'garbage' }, { name: 'good' }] },
      { mode: 'simple', certificates: ['kubernetes://shop/good'] },
      'https ResolvedRefs InvalidCertificateRef',
    ],
    ['none', undefined, undefined, BAD_CERTIFICATE],
    ['no such Secret', { certificateRefs: [{ name: 'x' }] }, undefined, BAD_CERTIFICATE],
    [
      'a Secret without certificate',
      { certificateRefs: [{ name: 'empty' }] },
      undefined,
      BAD_CERTIFICATE,
    ],
    ['no PEM', { certificateRefs: [{ name: 'garbage' }] }, undefined, BAD_CERTIFICATE],
    ['another key', { certificateRefs: [{ name: 'swapped' }] }, undefined, BAD_CERTIFICATE],
    [
      'another group',
      { certificateRefs: [{ group: 'x.io', name: 'good' }] },
      undefined,
      BAD_CERTIFICATE,
    ],
    [
      'another kind',
      { certificateRefs: [{ kind: 'Vault', name: 'good' }] },
      undefined,
      BAD_CERTIFICATE,
    ],
    [
      'another namespace',
      { certificateRefs: [{ name: 'far', namespace: 'certs' }] },
      undefined,
      'https Programmed Invalid ResolvedRefs RefNotPermitted',
    ],
    [
      'another namespace that grants it',
      { certificateRefs: [{ name: 'far', namespace: 'certs' }] },
      { mode: 'simple', certificates: ['kubernetes://certs/far'] },
      'https',
      { grants: [GRANT] },
    ],
    [
      'mode Passthrough of HTTPS',
      { mode: 'Passthrough' },
      undefined,
      'https Accepted UnsupportedValue Programmed Invalid',
    ],
    [
      "Istio's mutual TLS",
      { ...HTTPS.tls, options: { 'gateway.istio.io/tls-terminate-mode': 'MUTUAL' } },
      {
        mode: 'mutual',
        certificates: ['kubernetes://shop/good'],
        clientRoots: 'kubernetes://shop/good',
      },
      'https',
    ],
    [
      "the mesh's certificates",
      { options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_MUTUAL' } },
      { mode: 'istio-mutual', certificates: [] },
      'https',
    ],
    [
      'an unknown mode',
      { ...HTTPS.tls, options: { 'gateway.istio.io/tls-terminate-mode': 'ISTIO_SIMPLE' } },
      undefined,
      'https Accepted UnsupportedValue Programmed Invalid',
    ],
    [
      'ciphers',
      { ...HTTPS.tls, options: { 'gateway.istio.io/tls-cipher-suites': 'A, B' } },
      { mode: 'simple', certificates: ['kubernetes://shop/good'], cipherSuites: ['A', 'B'] },
      'https',
    ],
  ];
  for (const [title, tls, server, told, world = {}] of rows)
    test(title, () => {
      expect(faultsOf({ listeners: [https(tls)], ...world })).toEqual([told]);
      expect(serverTls({ listeners: [https(tls)], ...world })).toEqual(server as never);
    });
});

describe('compileListeners, certificates of clients', () => {
  type Frontend = NonNullable<NonNullable<GatewaySpec['tls']>['frontend']>;
  const validation = (name: string, rest: object = {}) => ({
    validation: { caCertificateRefs: [{ group: '', kind: 'ConfigMap', name, ...rest }] },
  });
  const certificates = ['kubernetes://shop/good'];
  const NO_ROOTS = 'https Accepted NoValidCACertificate Programmed Invalid ResolvedRefs';
  /** [title, frontend, ServerTls, what is told] */
  const rows: [string, Frontend, object | undefined, string][] = [
    [
      'the default',
      { default: validation('ca') },
      { mode: 'mutual', certificates, clientRoots: 'configmap://shop/ca' },
      'https',
    ],
    [
      'of a port, instead of the default',
      { default: validation('none'), perPort: [{ port: 443, tls: validation('ca') }] },
      { mode: 'mutual', certificates, clientRoots: 'configmap://shop/ca' },
      'https',
    ],
    [
      'of a port: none',
      { default: validation('ca'), perPort: [{ port: 443, tls: {} }] },
      { mode: 'simple', certificates },
      'https',
    ],
    [
      'whatever is presented',
      {
        default: { validation: { ...validation('ca').validation, mode: 'AllowInsecureFallback' } },
      },
      { mode: 'unverified', certificates },
      'https',
    ],
    [
      'roots that do not exist',
      { default: validation('x') },
      undefined,
      `${NO_ROOTS} InvalidCACertificateRef`,
    ],
    [
      'roots without ca.crt',
      { default: validation('none') },
      undefined,
      `${NO_ROOTS} InvalidCACertificateRef`,
    ],
    [
      'malformed roots',
      { default: validation('bad') },
      undefined,
      `${NO_ROOTS} InvalidCACertificateRef`,
    ],
    [
      'roots of an unknown kind',
      { default: validation('ca', { kind: 'Vault' }) },
      undefined,
      `${NO_ROOTS} InvalidCACertificateKind`,
    ],
    [
      'roots of another namespace',
      { default: validation('ca', { namespace: 'certs' }) },
      undefined,
      `${NO_ROOTS} RefNotPermitted`,
    ],
    [
      'two roots',
      {
        default: {
          validation: {
            caCertificateRefs: [
              { kind: 'ConfigMap', name: 'ca' },
              { kind: 'ConfigMap', name: 'ca' },
            ],
          },
        },
      },
      undefined,
      `${NO_ROOTS} InvalidCACertificateRef`,
    ],
  ];
  for (const [title, frontend, server, told] of rows)
    test(title, () => {
      const world = { listeners: [HTTPS], spec: { tls: { frontend } } };
      expect(faultsOf(world)).toEqual([told]);
      expect(serverTls(world)).toEqual(server as never);
    });
});
