import { describe, expect, test } from 'bun:test';
import type { MetaOptions } from '#test/support/compile-fixtures.ts';
import { sidecarObject } from '#test/support/compile-fixtures.ts';
import type { SidecarSpec } from './gateway-kinds.ts';
import type { SidecarScopeInput } from './sidecar.ts';
import { compileSidecar, sidecarScope } from './sidecar.ts';

const CLIENT = { namespace: 'shop', labels: { app: 'web', tier: 'front' } };

function scope(specs: [SidecarSpec, MetaOptions?][], more: Partial<SidecarScopeInput> = {}) {
  const sidecars = specs.map(([spec, meta], at) => {
    const created = `2026-01-0${at + 1}T00:00:00Z`;
    const object = sidecarObject(spec, { name: `s${at}`, created, ...meta });
    const { value, findings } = compileSidecar(object, { domain: 'cluster.local' });
    if (value === undefined) throw new Error(JSON.stringify(findings));
    return value;
  });
  return sidecarScope({ client: CLIENT, sidecars, rootNamespace: 'istio-system', ...more });
}
const egress = (...hosts: string[]): SidecarSpec => ({ egress: [{ hosts }] });

describe('sidecarScope chooses', () => {
  const rows: [string, [SidecarSpec, MetaOptions?][], string | undefined][] = [
    ['none where there is none', [], undefined],
    ['none of another namespace', [[egress('*/*'), { namespace: 'other' }]], undefined],
    ['the namespace’s', [[egress('*/*')]], 's0'],
    [
      'the one that selects the workload before the namespace’s',
      [[egress('*/*')], [{ ...egress('*/*'), workloadSelector: { labels: { app: 'web' } } }]],
      's1',
    ],
    [
      'none that selects others',
      [[{ ...egress('*/*'), workloadSelector: { labels: { app: 'db' } } }]],
      undefined,
    ],
    [
      'the root namespace’s last',
      [[egress('*/*'), { namespace: 'istio-system', name: 'root' }]],
      'root',
    ],
    ['the older of two', [[egress('a/*')], [egress('b/*')]], 's0'],
  ];
  test.each(rows)('%s', (_title, specs, want) => {
    expect(scope(specs).provenance?.name).toBe(want as string);
  });
});

describe('sidecarScope shows services', () => {
  const reviews = { namespace: 'books', hostname: 'reviews.books.svc.cluster.local' };
  const rows: [string, string[], boolean][] = [
    ['everything', ['*/*'], true],
    ['a namespace', ['books/*'], true],
    ['another namespace', ['other/*'], false],
    ['its own namespace', ['./*'], false],
    ['an exact host', ['*/reviews.books.svc.cluster.local'], true],
    ['a suffix', ['books/*.svc.cluster.local'], true],
    ['another suffix', ['books/*.example.com'], false],
    ['nothing', ['~/*'], false],
    ['all but a namespace', ['*/*', '~books/*'], false],
    ['all but another namespace', ['*/*', '~other/*'], true],
    ['all but a host of every namespace', ['*/*', '~/reviews.books.svc.cluster.local'], false],
    ['all but another host', ['*/*', '~/foo.com'], true],
    ['all but a host', ['*/*', '~*/reviews.books.svc.cluster.local'], false],
  ];
  test.each(rows)('of %s', (_title, hosts, visible) => {
    const verdict = scope([[egress(...hosts)]]).seesService(reviews, 80);
    expect(verdict.visible).toBe(visible);
    expect(verdict.reason).toContain('Sidecar shop/s0');
  });

  test('by the listener of the port, else by the one without a port', () => {
    const spec: SidecarSpec = {
      egress: [
        { port: { number: 80, protocol: 'HTTP', name: 'http' }, hosts: ['books/*'] },
        { hosts: ['other/*'] },
      ],
    };
    const { seesService } = scope([[spec]]);
    expect([80, 81].map((port) => seesService(reviews, port).visible)).toEqual([true, false]);
    const [onlyPort] = spec.egress ?? [];
    const alone = scope([[{ egress: [onlyPort] }]]);
    expect(alone.seesService(reviews, 81).reason).toContain('no egress listener for port 81');
  });

  test('all without egress', () => {
    const spec = { outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } };
    expect(scope([[spec]]).seesService(reviews, 80).visible).toBe(true);
  });

  test('and VirtualServices by one of their hosts', () => {
    const { seesVirtualService } = scope([[egress('books/*.books.svc.cluster.local')]]);
    const seen = (hosts: string[], namespace = 'books') =>
      seesVirtualService({ namespace, hosts }, 80).visible;
    expect(seen(['x', 'reviews.books.svc.cluster.local'])).toBe(true);
    expect(seen(['*.cluster.local'])).toBe(true);
    expect(seen(['reviews.other.svc.cluster.local'])).toBe(false);
    expect(seen(['reviews.books.svc.cluster.local'], 'shop')).toBe(false);
  });
});

describe('sidecarScope lets out', () => {
  const rows: [SidecarSpec['outboundTrafficPolicy'], SidecarScopeInput['meshOutbound'], string][] =
    [
      [undefined, undefined, 'allow-any'],
      [undefined, 'registry-only', 'registry-only'],
      [{}, undefined, 'registry-only'],
      [{ mode: 'ALLOW_ANY' }, 'registry-only', 'allow-any'],
      [{ mode: 'REGISTRY_ONLY' }, undefined, 'registry-only'],
    ];
  test.each(rows)('%p in a mesh that is %p: %s', (outboundTrafficPolicy, meshOutbound, want) => {
    const { outbound } = scope([[{ ...egress('*/*'), outboundTrafficPolicy }]], { meshOutbound });
    expect(outbound).toBe(want as typeof outbound);
  });

  test('what is unknown through a proxy, when there is one', () => {
    const egressProxy = { host: 'out.shop.svc.cluster.local', port: { number: 443 } };
    const policy = { outboundTrafficPolicy: { mode: 'ALLOW_ANY', egressProxy } };
    expect(scope([[policy]]).egressProxy).toMatchObject({ host: egressProxy.host, port: 443 });
  });
});

describe('compileSidecar', () => {
  const errors = (spec: SidecarSpec) =>
    compileSidecar(sidecarObject(spec), { domain: 'cluster.local' })
      .findings.filter(({ level }) => level === 'error')
      .map(({ path }) => path);
  const port = { number: 80, name: 'a' };
  const rows: [string, SidecarSpec, string[]][] = [
    ['takes a port without protocol', { ingress: [{ port }] }, []],
    [
      'refuses an unknown protocol',
      { ingress: [{ port: { ...port, protocol: 'x' } }] },
      ['spec.ingress[0].port.protocol'],
    ],
    [
      'takes a socket',
      { egress: [{ port: { protocol: 'HTTP' }, bind: 'unix:///x', hosts: ['*/*'] }] },
      [],
    ],
    [
      'refuses port 0 without a socket',
      { egress: [{ port: { protocol: 'HTTP' }, hosts: ['*/*'] }] },
      ['spec.egress[0].bind'],
    ],
    [
      'refuses an address elsewhere',
      { ingress: [{ port, defaultEndpoint: '1.1.1.1:90' }] },
      ['spec.ingress[0].defaultEndpoint'],
    ],
    [
      'refuses a bad pool',
      { inboundConnectionPool: { http: { maxRetries: -1 } } },
      ['spec.inboundConnectionPool.http.maxRetries'],
    ],
    [
      'refuses a proxy in a closed mesh',
      { outboundTrafficPolicy: { egressProxy: { host: 'a.b', port: { number: 1 } } } },
      ['spec.outboundTrafficPolicy.egressProxy'],
    ],
  ];
  test.each(rows)('%s', (_title, spec, paths) => {
    expect(errors(spec)).toEqual(paths);
  });
});

test('compileSidecar says that nothing acts on a Sidecar', () => {
  const { findings } = compileSidecar(sidecarObject(egress('*/*')), { domain: 'cluster.local' });
  expect(findings).toMatchObject([{ level: 'info', code: 'TULLE0001', path: 'spec' }]);
});
