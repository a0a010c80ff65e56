import { describe, expect, test } from 'bun:test';
import { route, table, to } from '#test/support/waypoint-rig.ts';
import {
  compileLoadShedding,
  compileLocalRateLimit,
  type LoadSheddingSpec,
  type LocalRateLimitSpec,
  withLimits,
} from './tulle-kinds.ts';

const metadata = { name: 'l', namespace: 'shop' };
const SERVICE = { kind: 'Service', name: 'p' };
const rate = (spec: LocalRateLimitSpec) => compileLocalRateLimit({ metadata, spec });
const shedding = (spec: LoadSheddingSpec) => compileLoadShedding({ metadata, spec });

describe('compileLocalRateLimit', () => {
  test('fills in what is left out', () => {
    const { value, findings } = rate({
      targetRefs: [SERVICE],
      limits: [
        { requests: 100, unit: 'Second' },
        { requests: 5, unit: 'Minute', burst: 9, key: 'Header', header: 'X-User' },
        { requests: 1, unit: 'Day', key: 'SourceIdentity' },
      ],
    });
    expect(findings).toEqual([]);
    expect(value?.targets).toEqual([{ key: 'Service/shop/p', routeName: undefined }]);
    expect(
      value?.limits.map(({ id, key, requests, unitMs, burst }) => [
        id,
        key,
        requests,
        unitMs,
        burst,
      ]),
    ).toEqual([
      ['shop/l/0', { kind: 'overall' }, 100, 1000, 100],
      ['shop/l/1', { kind: 'header', name: 'x-user' }, 5, 60_000, 9],
      ['shop/l/2', { kind: 'source-identity' }, 1, 86_400_000, 1],
    ]);
  });

  const limits = [{ requests: 1, unit: 'Second' }];
  /** [spec, field, message] */
  const rows: [LocalRateLimitSpec, string, string][] = [
    [{ limits }, 'spec.targetRefs', 'no target is given'],
    [{ targetRefs: [SERVICE] }, 'spec.limits', 'no limit is given'],
    [
      { targetRefs: [{ kind: 'Pod', name: 'x' }], limits },
      'spec.targetRefs[0].kind',
      'is none of Service',
    ],
    [
      { targetRefs: [{ kind: 'HTTPRoute', name: 'x' }], limits },
      'spec.targetRefs[0].group',
      'gateway.networking.k8s.io',
    ],
    [{ targetRefs: [{ kind: 'Service' }], limits }, 'spec.targetRefs[0].name', 'has no name'],
    [
      { targetRefs: [{ ...SERVICE, sectionName: 'r' }], limits },
      'spec.targetRefs[0].sectionName',
      'has no routes',
    ],
    [
      { targetRefs: [SERVICE], limits: [{ requests: 0, unit: 'Second' }] },
      'spec.limits[0].requests',
      'no positive whole number',
    ],
    [
      { targetRefs: [SERVICE], limits: [{ requests: 1.5, unit: 'Second' }] },
      'spec.limits[0].requests',
      'no positive whole number',
    ],
    [
      { targetRefs: [SERVICE], limits: [{ requests: 1, unit: 'Fortnight' }] },
      'spec.limits[0].unit',
      'is none of Second',
    ],
    [
      { targetRefs: [SERVICE], limits: [{ requests: 1, unit: 'Second', key: 'Header' }] },
      'spec.limits[0].header',
      'needs a header',
    ],
    [
      { targetRefs: [SERVICE], limits: [{ requests: 1, unit: 'Second', key: 'Moon' }] },
      'spec.limits[0].key',
      'is none of Overall',
    ],
  ];
  test.each(rows)('%j is refused at %s', (spec, path, message) => {
    const { value, findings } = rate(spec);
    expect(value).toBeUndefined();
    expect(findings).toContainEqual(
      expect.objectContaining({ level: 'error', path, message: expect.stringContaining(message) }),
    );
  });
});

describe('compileLoadShedding', () => {
  test('fills in what is left out', () => {
    const { value, findings } = shedding({
      targetRefs: [SERVICE],
      adaptive: {},
      eventLoopLag: '50ms',
      priority: { header: 'X-Priority', classes: ['high', 'low'] },
    });
    expect(findings).toEqual([]);
    expect(value?.shedding).toEqual({
      id: 'shop/l',
      provenance: { kind: 'LoadShedding', namespace: 'shop', name: 'l' },
      adaptive: { minRequests: 10, tolerancePercent: 200 },
      eventLoopLagMs: 50,
      priority: { header: 'x-priority', classes: ['high', 'low'] },
      retryAfterSeconds: 1,
    });
  });

  const targetRefs = [SERVICE];
  /** [spec, field, message] */
  const rows: [LoadSheddingSpec, string, string][] = [
    [{ targetRefs }, 'spec', 'nothing would be shed'],
    [{ targetRefs, maxRequests: 0 }, 'spec.maxRequests', 'no positive whole number'],
    [{ targetRefs, eventLoopLag: 'soon' }, 'spec.eventLoopLag', 'is not a duration'],
    [
      { targetRefs, adaptive: { tolerancePercent: 100 } },
      'spec.adaptive.tolerancePercent',
      'leaves no room',
    ],
    [
      { targetRefs, maxRequests: 5, adaptive: { minRequests: 6 } },
      'spec.adaptive.minRequests',
      'more than maxRequests',
    ],
    [
      { targetRefs, maxRequests: 5, priority: { header: 'x', classes: ['a', 'a'] } },
      'spec.priority',
      'two different classes',
    ],
    [
      {
        targetRefs: [{ kind: 'HTTPRoute', group: 'gateway.networking.k8s.io', name: 'x' }],
        maxRequests: 1,
      },
      'spec.targetRefs[0].kind',
      'is none of Service, ServiceEntry, Gateway',
    ],
  ];
  test.each(rows)('%j is refused at %s', (spec, path, message) => {
    const { value, findings } = shedding(spec);
    expect(value).toBeUndefined();
    expect(findings).toContainEqual(
      expect.objectContaining({ level: 'error', path, message: expect.stringContaining(message) }),
    );
  });
});

describe('withLimits', () => {
  const routes = [route('a', [to('stable')]), route('b', [to('stable')])];
  const bare = table(routes);
  const good = (spec: LocalRateLimitSpec) => {
    const { value } = rate(spec);
    if (value === undefined) throw new Error('refused');
    return value;
  };
  const limits = [{ requests: 1, unit: 'Second' }];

  test('leaves a table without limits as it is', () => {
    const bound = { rates: [], sheddings: [], ofRoute: () => [] };
    expect(withLimits(bare, bound)).toBe(bare);
  });

  test('binds limits of a VirtualService to its routes, by name where one is given', () => {
    const virtualService = { group: 'networking.istio.io', kind: 'VirtualService', name: 'p' };
    const named = good({ targetRefs: [{ ...virtualService, sectionName: 'b' }], limits });
    const all = good({ targetRefs: [virtualService], limits });
    const limitsWith = (rates: (typeof named)[]) =>
      withLimits(bare, {
        rates: [],
        sheddings: [],
        ofRoute: (key) => (key === 'VirtualService/shop/p' ? rates : []),
      }).ports[0].routes.map((each) => each.rateLimits?.length ?? 0);
    expect(limitsWith([named])).toEqual([0, 1]);
    expect(limitsWith([all])).toEqual([1, 1]);
  });
});
